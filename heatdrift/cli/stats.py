"""``heatdrift stats``: one thin command per question; those that compare methods and cells are in stats_methods."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, Literal

import typer

from heatdrift.cli.options import (
    BootstrapOption,
    ConfOption,
    Format,
    MetricOption,
    MetricsOption,
    ResamplingSeedOption,
)
from heatdrift.cli.output import show_json
from heatdrift.cli.runs import Selection, chooses_runs, selected_runs
from heatdrift.cli.stats_methods import frontier, layers, paired, power, predictors


class LrAs(StrEnum):
    """How the learning rate enters the model."""

    factor = "factor"
    linear = "linear"
    poly = "poly"


class Ddf(StrEnum):
    """Denominator degrees of freedom of the contrasts."""

    kenward_roger = "kenward_roger"
    satterthwaite = "satterthwaite"


class Intervals(StrEnum):
    """Where the model's intervals come from."""

    wald = "wald"
    profile = "profile"
    bootstrap = "bootstrap"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Test what the runs say; every result has study, n, unit and method. Differences are method_a - method_b.",
    )
    for command in COMMANDS:
        group.command(command.__name__)(chooses_runs(command))
    app.add_typer(group, name="stats")


def interaction(
    metric: MetricOption = "retention_pct",
    lr_as: Annotated[LrAs, typer.Option("--lr-as", help="Learning rate as a factor, line or quadratic.")] = LrAs.factor,
    random: Annotated[
        str,
        typer.Option(
            "--random", help="'seed', 'seed + seed:method', 'seed + seed:dataset' or 'dataset:seed' (intercepts)."
        ),
    ] = "seed",
    ddf: Annotated[Ddf, typer.Option("--ddf", help="Degrees of freedom of the contrasts.")] = Ddf.kenward_roger,
    intervals: Annotated[
        Intervals, typer.Option("--intervals", help="t intervals, profile likelihood, or parametric bootstrap.")
    ] = Intervals.wald,
    bootstrap: BootstrapOption = 2000,
    resampling_seed: ResamplingSeedOption = 0,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Fit METRIC ~ lr * method * dataset with seed as a random effect; the headline is the seed-level test.

    Example: `heatdrift stats interaction --metric delta_entropy_pct`
    """
    from heatdrift.cli.tables import show_interaction
    from heatdrift.questions.interaction.analysis import interaction as fit

    ddf_name: Literal["kenward_roger", "satterthwaite"] = ddf.value
    result = fit(
        selected_runs(chosen),
        metric=metric,
        lr_as=lr_as.value,
        random=random,
        ddf=ddf_name,
        intervals=intervals.value,
        bootstrap=bootstrap,
        bootstrap_seed=resampling_seed,
        conf_level=conf_level,
    )
    show_json(result) if fmt is Format.json else show_interaction(result, fmt)


def correlation(
    x: Annotated[str, typer.Option("--x", help="Numeric result column of runs (docs/schema.md).")] = "delta_erf95_pct",
    y: Annotated[str, typer.Option("--y", help="Numeric result column of runs (docs/schema.md).")] = "retention_pct",
    bootstrap: BootstrapOption = 2000,
    resampling_seed: ResamplingSeedOption = 0,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Correlate X with Y: pooled, within data set, within group, repeated-measures and partial given lr.

    Example: `heatdrift stats correlation --x delta_erf95_pct --y retention_pct`
    """
    from heatdrift.cli.tables import show_correlation
    from heatdrift.questions.correlation.analysis import correlation as correlate

    result = correlate(
        selected_runs(chosen), x=x, y=y, bootstrap=bootstrap, seed=resampling_seed, conf_level=conf_level
    )
    show_json(result) if fmt is Format.json else show_correlation(result, fmt)


def dose(
    metric: MetricsOption = None,
    permutations: Annotated[
        int, typer.Option("--permutations", min=99, help="Random arrangements where an exact count is out of reach.")
    ] = 99_999,
    resampling_seed: ResamplingSeedOption = 0,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Test whether METRIC rises or falls with the learning rate, within each data set and method.

    Example: `heatdrift stats dose --metric retention_pct`
    """
    from heatdrift.cli.tables import show_dose
    from heatdrift.questions.dose.analysis import dose as trend

    result = trend(
        selected_runs(chosen),
        metrics=metric,
        permutations=permutations,
        seed=resampling_seed,
        conf_level=conf_level,
    )
    show_json(result) if fmt is Format.json else show_dose(result, fmt)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    interaction,
    correlation,
    dose,
    paired,
    layers,
    predictors,
    frontier,
    power,
)
