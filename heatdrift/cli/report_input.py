"""What a report shows, gathered from a store and its folder: views, results, plan, attention maps, provenance."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from heatdrift.cli.method_titles import name_methods
from heatdrift.cli.output import note as print_note
from heatdrift.config import STORED_PROTOCOLS
from heatdrift.questions import QUESTIONS
from heatdrift.wording import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

    from heatdrift.cli.workspace import KeptPlan, Workspace
    from heatdrift.report.inputs import ReportInput

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
    option: str | None = None,
    backbone: str | None = None,
    factors: "Sequence[str]" = (),
    note: "Callable[[str], None]" = print_note,
) -> "ReportInput":
    """Everything that the page shows; what these runs cannot answer is left out, and the page says why.

    `images`: whether to show photographs of the probe images, where the images are at hand and their hashes agree;
    `data_dir` is the folder of the images, as in training. `option`: what ``--study`` said; the questions of a
    study file that it names go before those that training kept. `backbone`, `factors`: only these runs, as
    ``--backbone`` and ``--factor`` choose them. `note` takes a sentence about what was left out.
    """
    from heatdrift.cli.report_gallery import gallery_maps, probe_pictures
    from heatdrift.cli.report_provenance import provenance
    from heatdrift.cli.run_arrays import RunArrays
    from heatdrift.cli.runs import Selection, chosen_rows
    from heatdrift.questions.asking import ask_all, family_of
    from heatdrift.questions.base import StudyRuns
    from heatdrift.questions.further_metrics import is_further, with_metrics
    from heatdrift.report.inputs import ReportInput
    from heatdrift.report.study_data import HEATMAP
    from heatdrift.store.read import View, read_view

    probes = sorted({HEATMAP, *(name for question in QUESTIONS for name in question.page_probes)})

    def view(name: View) -> "pl.DataFrame":
        return read_view(connection, name, study=study)

    def selected(name: View) -> "pl.DataFrame":
        query = _SELECTED.format(view=name, head=", head" if name == "heads" else "")
        found: pl.DataFrame = connection.sql(query, params={"study": study, "metrics": probes}).pl()
        return found

    def of_runs(rows: "pl.DataFrame") -> "pl.DataFrame":
        return rows.join(runs.select("cell_id"), on="cell_id", how="semi") if narrow else rows

    asked = work.questions(study, option)
    narrow = Selection(backbone=backbone, factor=factors) if backbone or factors else None
    runs = view("runs") if narrow is None else chosen_rows(view("runs"), narrow, study)
    transfer, corrupted = of_runs(view("transfer")), of_runs(view("robustness"))
    further = [name for name in (*metrics, *asked.metrics) if is_further(name)]
    if further:
        own = view("further")
        runs = with_metrics(runs, transfer, corrupted, further, further=own, unknown_as_null=True)
    rows = StudyRuns(
        runs=runs,
        epochs=of_runs(view("epochs")),
        layers=of_runs(selected("layers")),
        heads=of_runs(selected("heads")),
        metrics=tuple(metrics),
        asked=asked,
        conf_level=conf_level,
        note=note,
    )
    rows = replace(rows, hits=RunArrays(work.store_folder, rows.runs, "hits"))
    plan = work.kept_plan(study)
    name_methods((rows.runs, plan))
    answers, unavailable = ask_all(rows)
    planned = _planned(plan, work)
    if planned is not None and narrow is not None:  # a planned cell without a run has no own factors
        planned = of_runs(planned) if factors else planned.filter(planned["backbone"] == backbone)
    maps = gallery_maps(rows.runs, work.store_folder / study)
    described = (plan.study.title, plan.study.description) if plan else ()
    return ReportInput(
        study=study,
        description=". ".join(part for part in (*described, _of_which(backbone, factors)) if part),
        runs=rows.runs,
        epochs=rows.epochs,
        layers=rows.layers,
        heads=rows.heads,
        transfer=transfer,
        robustness=corrupted,
        reference_points=view("reference_points"),
        planned=planned,
        answers=answers,
        unavailable=unavailable,
        gallery=maps,
        pictures=probe_pictures(plan, work, study, maps, data_dir) if images else {},
        protocol=_protocol(rows.runs),
        choices=_choices(plan, rows.runs),
        provenance=provenance(rows.runs),
        family=family_of(rows, answers, unavailable),
        conf_level=conf_level,
    )


def _of_which(backbone: str | None, factors: "Sequence[str]") -> str:
    """Which runs alone the page shows; empty where it shows all."""
    chosen = [*([f"backbone {backbone}"] if backbone else []), *(text.replace("=", " ") for text in factors)]
    return f"Only runs with {listed(chosen)}" if chosen else ""


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


def _choices(plan: "KeptPlan | None", runs: "pl.DataFrame") -> "dict[str, tuple[str, ...]]":
    """Distinct choices of the recipes behind finished runs; empty if a run's recipe is not in the kept plan."""
    recipes = {cell.cell_id: cell.recipe for cell in plan.cells} if plan is not None else {}
    finished = runs.filter(runs["status"] == "done")["cell_id"].to_list()
    found = [recipe.choices for cell_id in finished if (recipe := recipes.get(cell_id)) is not None]
    if not found or len(found) < len(finished):
        return {}
    return {name: tuple(sorted({each[name] for each in found})) for name in found[0]}


def _protocol(runs: "pl.DataFrame") -> str:
    """The protocol's words, for the protocol of these runs."""
    names = runs["protocol"].unique().drop_nulls().sort().to_list()
    return " ".join(STORED_PROTOCOLS.get(name, name) for name in names)
