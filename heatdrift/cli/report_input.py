"""What a report shows, gathered from a store and its folder: views, results, plan, attention maps, provenance."""

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from heatdrift.cli.method_words import name_methods
from heatdrift.cli.output import note
from heatdrift.config import PROTOCOLS
from heatdrift.errors import HeatdriftError, LargeDesignError, StatsError
from heatdrift.metrics import RUN_COLUMN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

    from heatdrift.cli.workspace import KeptPlan, Workspace
    from heatdrift.report.inputs import ReportInput
    from heatdrift.results import InteractionResult

T = TypeVar("T")
METRICS: Final = ("retention_pct", "delta_entropy_pct", "test_acc_pct")  # modelled; the first is the study's question
PAIR: Final = ("delta_erf95_pct", "retention_pct")
LAYER_METRICS: Final = ("entropy", "erf95")  # tested per block and head
# Per-block and per-head values at the selected epoch only: of ten thousand runs all epochs would not fit into memory.
_SELECTED: Final = (
    "SELECT v.* FROM {view} v JOIN runs r USING (study, cell_id) WHERE study = $study AND v.epoch = r.selected_epoch "
    "AND list_contains($metrics, v.metric) ORDER BY cell_id, metric, layer{head}"
)


def gather(
    connection: "duckdb.DuckDBPyConnection",
    study: str,
    work: "Workspace",
    metrics: "Sequence[str]",
    conf_level: float,
    *,
    images: bool = False,
    data_dir: "Path | None" = None,
) -> "ReportInput":
    """Everything that the page shows; what these runs cannot bear is said on the page and left out.

    `images`: whether to show photographs of the probe images, where the images are at hand and their hashes agree;
    `data_dir` is the folder of the images, as in training.
    """
    from heatdrift.cli.report_gallery import gallery_maps, probe_pictures
    from heatdrift.cli.report_provenance import provenance
    from heatdrift.report.inputs import ReportInput
    from heatdrift.stats.correlation import correlation
    from heatdrift.stats.dose import dose
    from heatdrift.stats.frontier import frontier
    from heatdrift.stats.layers import layers
    from heatdrift.stats.paired import paired
    from heatdrift.stats.predictors import predictors
    from heatdrift.store.read import View, read_view

    def view(name: View) -> "pl.DataFrame":
        return read_view(connection, name, study=study)

    def selected(name: View) -> "pl.DataFrame":
        query = _SELECTED.format(view=name, head=", head" if name == "heads" else "")
        found: pl.DataFrame = connection.sql(query, params={"study": study, "metrics": list(LAYER_METRICS)}).pl()
        return found

    tried = _Attempts()
    runs, epochs, blocks, heads = view("runs"), view("epochs"), selected("layers"), selected("heads")
    plan = work.kept_plan(study)
    name_methods((runs, plan))
    accuracy = _accuracy(runs)
    asked = ("delta_entropy_pct", "delta_erf95_pct", "retention_pct", accuracy)
    compared = tuple(m for m in asked if m in runs.columns and runs[m].count())
    interactions = [
        tried("models", _title(m), partial(_model, runs, m, conf_level))
        for m in dict.fromkeys(accuracy if m == "test_acc_pct" else m for m in metrics)
    ]
    x, y = PAIR
    pair = tried(
        "correlation",
        f"{_title(y)} against {_title(x)}",
        partial(correlation, runs, x=x, y=y, conf_level=conf_level),
    )
    tested = partial(layers, blocks=blocks, heads=heads, metrics=_measured(blocks), conf_level=conf_level)
    layer_tests = [
        tried("layers", f"tests of blocks and heads on {d}", partial(tested, runs.filter(runs["dataset"] == d)))
        for d in runs["dataset"].drop_nulls().unique().sort().to_list()
    ]
    maps = gallery_maps(runs, work.store_folder / study)
    return ReportInput(
        study=study,
        description=". ".join(part for part in (plan.study.title, plan.study.description) if part) if plan else "",
        runs=runs,
        epochs=epochs,
        layers=blocks,
        heads=heads,
        transfer=view("transfer"),
        cells=view("cells"),
        planned=_planned(plan, work),
        interactions=[result for result in interactions if result is not None],
        correlations=[pair] if pair is not None else [],
        layer_tests=[result for result in layer_tests if result is not None],
        paired=tried("paired", "paired comparison", partial(paired, runs, metrics=compared, conf_level=conf_level)),
        dose=tried("dose", "trend over learning rates", partial(dose, runs, metrics=compared, conf_level=conf_level)),
        predictors=tried("predictors", "predictors", partial(predictors, runs, epochs, conf_level=conf_level)),
        frontier=tried("frontier", "frontier", partial(frontier, runs, conf_level=conf_level)),
        unavailable=tried.reasons,
        gallery=maps,
        pictures=probe_pictures(plan, work, study, maps, data_dir) if images else {},
        protocol=_protocol(runs),
        provenance=provenance(runs),
        conf_level=conf_level,
    )


class _Attempts:
    """Results, or None where the runs cannot bear them: the reason is kept for the page and said on the way."""

    def __init__(self) -> None:
        self.reasons: dict[str, list[str]] = {}

    def __call__(self, section: str, what: str, compute: "Callable[[], T]") -> "T | None":
        try:
            return compute()
        except HeatdriftError as error:
            self.reasons.setdefault(section, []).append(f"{what[:1].upper()}{what[1:]}: {error.message}.")
            note(f"left out of the report: {what}: {error.message}")
            return None


def _model(runs: "pl.DataFrame", metric: str, conf_level: float) -> "InteractionResult":
    """The model with lr as a factor; where that has too many coefficients, as a line, which the result then says."""
    from heatdrift.stats.interaction import interaction

    try:
        return interaction(runs, metric=metric, conf_level=conf_level)
    except LargeDesignError as refused:
        try:
            result = interaction(runs, metric=metric, lr_as="linear", conf_level=conf_level)
        except StatsError as error:
            raise StatsError(f"{refused.message}; with the learning rate as a line: {error.message}") from error
        note(f"{_title(metric)}: {refused.message}; the learning rate entered as a line instead")
        return result


def _title(metric: str) -> str:
    return RUN_COLUMN[metric].title if metric in RUN_COLUMN else metric


def _accuracy(runs: "pl.DataFrame") -> str:
    """The test accuracy; the accuracy that selected the epoch where the test split did so and was not read again."""
    if "test_acc_pct" in runs.columns and runs["test_acc_pct"].count():
        return "test_acc_pct"
    return "val_acc_pct" if "val_acc_pct" in runs.columns and runs["val_acc_pct"].count() else "test_acc_pct"


def _measured(blocks: "pl.DataFrame") -> "list[str]":
    found = set(blocks["metric"].unique().to_list())
    return [metric for metric in LAYER_METRICS if metric in found] or list(LAYER_METRICS[:1])


def _planned(plan: "KeptPlan | None", work: "Workspace") -> "pl.DataFrame | None":
    """One row per planned cell with its status in the store folder; None when no plan is known (imported runs)."""
    if plan is None:
        return None
    import polars as pl

    from heatdrift.train.status import cell_states

    states = cell_states(plan.cells, study=plan.study.name, store_folder=work.store_folder)
    return pl.DataFrame(
        [
            {
                "cell_id": s.cell.cell_id,
                "backbone": s.cell.backbone,
                "dataset": s.cell.dataset,
                "method": s.cell.method,
                "lr": s.cell.lr,
                "seed": s.cell.seed,
                "status": s.status,
                "error": s.note,
            }
            for s in states
        ],
        infer_schema_length=None,
    )


def _protocol(runs: "pl.DataFrame") -> str:
    """The protocol's words, for the protocol of these runs."""
    names = runs["protocol"].unique().drop_nulls().sort().to_list()
    return " ".join(PROTOCOLS.get(name, name) for name in names)
