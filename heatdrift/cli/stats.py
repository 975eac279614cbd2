"""``heatdrift stats``: interaction and correlation."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from heatdrift.cli.options import (
    BackboneOption,
    ConfOption,
    DatasetOption,
    Format,
    FormatOption,
    LrOption,
    MethodOption,
    SeedOption,
    StoredStudyOption,
    StoreOption,
)
from heatdrift.cli.output import show_json
from heatdrift.cli.runs import Selection, selected_runs


class LrAs(StrEnum):
    """How the learning rate enters the model."""

    factor = "factor"
    linear = "linear"
    poly = "poly"


class Ddf(StrEnum):
    """Denominator degrees of freedom of the contrasts."""

    kenward_roger = "kenward_roger"
    satterthwaite = "satterthwaite"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(no_args_is_help=True, help="Test what the runs say; every result has n, unit and method.")
    group.command("interaction")(interaction)
    group.command("correlation")(correlation)
    app.add_typer(group, name="stats")


def interaction(
    metric: Annotated[str, typer.Option("--metric", help="Result column of runs.")] = "retention_pct",
    lr_as: Annotated[LrAs, typer.Option("--lr-as", help="Learning rate as a factor, line or quadratic.")] = LrAs.factor,
    random: Annotated[
        str,
        typer.Option(
            "--random", help="'seed', 'seed + seed:method', 'seed + seed:dataset' or 'dataset:seed' (intercepts)."
        ),
    ] = "seed",
    ddf: Annotated[Ddf, typer.Option("--ddf", help="Degrees of freedom of the contrasts.")] = Ddf.kenward_roger,
    conf_level: ConfOption = 0.95,
    study: StoredStudyOption = None,
    backbone: BackboneOption = None,
    dataset: DatasetOption = None,
    method: MethodOption = None,
    lr: LrOption = None,
    seed: SeedOption = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Fit METRIC ~ lr * method * dataset with seed as a random effect; the headline is the seed-level test.

    Example: `heatdrift stats interaction --metric delta_entropy_pct`
    """
    from heatdrift.cli.tables import show_interaction
    from heatdrift.stats.interaction import interaction as fit

    chosen = Selection(
        study=study, backbone=backbone, dataset=dataset or (), method=method or (), lr=lr or (), seed=seed or ()
    )
    ddf_name: Literal["kenward_roger", "satterthwaite"] = ddf.value
    result = fit(
        selected_runs(store, chosen),
        metric=metric,
        lr_as=lr_as.value,
        random=random,
        ddf=ddf_name,
        conf_level=conf_level,
    )
    show_json(result) if fmt is Format.json else show_interaction(result, fmt)


def correlation(
    x: Annotated[str, typer.Option("--x", help="Result column of runs.")] = "delta_erf95_pct",
    y: Annotated[str, typer.Option("--y", help="Result column of runs.")] = "retention_pct",
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=100, help="Resamples of cells.")] = 2000,
    resampling_seed: Annotated[int, typer.Option("--resampling-seed", help="Seed of bootstrap and permutation.")] = 0,
    conf_level: ConfOption = 0.95,
    study: StoredStudyOption = None,
    backbone: BackboneOption = None,
    dataset: DatasetOption = None,
    method: MethodOption = None,
    lr: LrOption = None,
    seed: SeedOption = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Correlate X with Y: pooled, within data set, within group, repeated-measures and partial given lr.

    Example: `heatdrift stats correlation --x delta_erf95_pct --y retention_pct`
    """
    from heatdrift.cli.tables import show_correlation
    from heatdrift.stats.correlation import correlation as correlate

    chosen = Selection(
        study=study, backbone=backbone, dataset=dataset or (), method=method or (), lr=lr or (), seed=seed or ()
    )
    result = correlate(
        selected_runs(store, chosen), x=x, y=y, bootstrap=bootstrap, seed=resampling_seed, conf_level=conf_level
    )
    show_json(result) if fmt is Format.json else show_correlation(result, fmt)
