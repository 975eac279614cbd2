"""``heatdrift stats`` commands that compare methods, blocks, signals and cells; ``cli/stats.py`` registers them."""

from typing import Annotated

import typer

from heatdrift.cli.options import (
    BootstrapOption,
    ConfOption,
    Format,
    MethodAOption,
    MethodBOption,
    MetricOption,
    MetricsOption,
    ResamplingSeedOption,
)
from heatdrift.cli.output import show_json
from heatdrift.cli.runs import Selection, selected_runs, selected_views


def paired(
    metric: MetricsOption = None,
    method_a: MethodAOption = "lora_r8",
    method_b: MethodBOption = "full_ft",
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Compare two methods over identical data set, lr and seed: over pairs as published, and at the seed level.

    Example: `heatdrift stats paired --metric retention_pct --metric test_acc_pct`
    """
    from heatdrift.cli.tables_methods import show_paired
    from heatdrift.questions.paired.analysis import paired as compare

    result = compare(selected_runs(chosen), metrics=metric, method_a=method_a, method_b=method_b, conf_level=conf_level)
    show_json(result) if fmt is Format.json else show_paired(result, fmt)


def layers(
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Per-block probe, e.g. entropy (repeatable). Default: all that were measured."),
    ] = None,
    method_a: MethodAOption = "lora_r8",
    method_b: MethodBOption = "full_ft",
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Test every block and head: do the methods differ, did it drift; false discovery rate controlled.

    Example: `heatdrift stats layers --metric entropy`
    """
    from heatdrift.cli.tables_methods import show_layers
    from heatdrift.questions.layers.analysis import layers as test_layers

    runs, blocks, heads = selected_views(chosen, "layers", "heads")
    result = test_layers(
        runs, blocks, heads, metrics=metric, method_a=method_a, method_b=method_b, conf_level=conf_level
    )
    show_json(result) if fmt is Format.json else show_layers(result, fmt)


def predictors(
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, help="Candidates: within this many points of the best validation.")
    ] = 2.0,
    bootstrap: BootstrapOption = 2000,
    resampling_seed: ResamplingSeedOption = 0,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Compare signals that need no transfer labels: which ranks retention, and what does choosing by it keep.

    Example: `heatdrift stats predictors --margin 2`
    """
    from heatdrift.cli.tables_methods import show_predictors
    from heatdrift.questions.predictors.analysis import predictors as compare

    runs, epochs = selected_views(chosen, "epochs")
    result = compare(runs, epochs, margin=margin, bootstrap=bootstrap, seed=resampling_seed, conf_level=conf_level)
    show_json(result) if fmt is Format.json else show_predictors(result, fmt)


def frontier(
    bootstrap: BootstrapOption = 2000,
    resampling_seed: ResamplingSeedOption = 0,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Show which cells are beaten by none in accuracy and retention, and methods at equal accuracy or weight drift.

    Example: `heatdrift stats frontier --dataset eurosat`
    """
    from heatdrift.cli.tables_methods import show_frontier
    from heatdrift.questions.frontier.analysis import frontier as find

    result = find(selected_runs(chosen), bootstrap=bootstrap, seed=resampling_seed, conf_level=conf_level)
    show_json(result) if fmt is Format.json else show_frontier(result, fmt)


def power(
    metric: MetricOption = "retention_pct",
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Planned number of seeds.")] = 5,
    method_a: MethodAOption = "lora_r8",
    method_b: MethodBOption = "full_ft",
    alpha: Annotated[float, typer.Option("--alpha", min=0.0001, max=0.5, help="Level of the test.")] = 0.05,
    target: Annotated[float, typer.Option("--power", min=0.51, max=0.999, help="Wanted power.")] = 0.8,
    conf_level: ConfOption = 0.95,
    *,
    chosen: Selection,
    fmt: Format,
) -> None:
    """Compute the smallest difference of two methods that a number of seeds can find, and what more would buy.

    Example: `heatdrift stats power --seeds 5 --metric retention_pct`
    """
    from heatdrift.cli.tables_methods import show_power
    from heatdrift.questions.power.analysis import power as plan

    result = plan(
        selected_runs(chosen),
        metric=metric,
        seeds=seeds,
        method_a=method_a,
        method_b=method_b,
        alpha=alpha,
        target=target,
        conf_level=conf_level,
    )
    show_json(result) if fmt is Format.json else show_power(result, fmt)
