"""``heatdrift report``: one self-contained page per study."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from heatdrift.cli.options import ConfOption, StoredStudyOption, StoreOption
from heatdrift.cli.output import note, say
from heatdrift.cli.workspace import Workspace
from heatdrift.config import PROTOCOLS
from heatdrift.errors import HeatdriftError, ReportError
from heatdrift.metrics import run_column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb
    import polars as pl

    from heatdrift.cli.workspace import KeptPlan
    from heatdrift.report.inputs import ReportInput

T = TypeVar("T")
METRICS = ("retention_pct", "delta_entropy_pct", "test_acc_pct")  # models shown; the first is the question of the study
PER_DATASET = ("data_sha256", "split_sha256", "n_train", "n_val", "n_probe", "n_test")
PAIR = ("delta_erf95_pct", "retention_pct")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("report")(report)


def report(
    html: Annotated[bool, typer.Option("--html", help="Write an HTML page (the only format so far).")] = True,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder. Default: reports/STUDY.html.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Metrics to model (repeatable).")] = None,
    conf_level: ConfOption = 0.95,
    study: StoredStudyOption = None,
    store: StoreOption = None,
) -> None:
    """Write a page with findings, charts, models, checks and provenance that opens without a network.

    Example: `heatdrift report --html --study demo`
    """
    from heatdrift.report.page import write_report
    from heatdrift.store.ingest import open_current
    from heatdrift.store.read import resolve_study

    if not html:
        raise ReportError("no format chosen", hint="heatdrift report --html")
    for name in metric or ():
        run_column(name)
    work = Workspace.of(store)
    with open_current(work.store) as connection:
        chosen = resolve_study(connection, study)
        page = _gather(connection, chosen, work, tuple(metric or METRICS), conf_level)
    target = out or Path("reports")
    written = write_report(page, target if target.suffix == ".html" else target / f"{chosen}.html")
    say(f"{written} ({written.stat().st_size / 1e6:.2f} MB)")


def _gather(
    connection: "duckdb.DuckDBPyConnection", study: str, work: Workspace, metrics: "Sequence[str]", conf_level: float
) -> "ReportInput":
    """Everything that the page shows; a model that these runs cannot bear is said and left out."""
    from heatdrift.report.inputs import ReportInput
    from heatdrift.stats.correlation import correlation
    from heatdrift.stats.interaction import interaction
    from heatdrift.store.read import View, read_view

    def view(name: View) -> "pl.DataFrame":
        return read_view(connection, name, study=study)

    runs = view("runs")
    plan = work.kept_plan(study)
    interactions = [
        result
        for metric in metrics
        if (result := _attempted(metric, partial(interaction, runs, metric=metric, conf_level=conf_level))) is not None
    ]
    pair = _attempted(" against ".join(PAIR), partial(correlation, runs, x=PAIR[0], y=PAIR[1], conf_level=conf_level))
    return ReportInput(
        study=study,
        description=". ".join(part for part in (plan.study.title, plan.study.description) if part) if plan else "",
        runs=runs,
        epochs=view("epochs"),
        layers=view("layers"),
        heads=view("heads"),
        transfer=view("transfer"),
        cells=view("cells"),
        planned=_planned(plan, work),
        interactions=interactions,
        correlations=[pair] if pair is not None else [],
        protocol=_protocol(runs),
        provenance=_provenance(runs),
        conf_level=conf_level,
    )


def _attempted(what: str, compute: "Callable[[], T]") -> "T | None":
    try:
        return compute()
    except HeatdriftError as error:
        note(f"left out of the report: {what}: {error.message}")
        return None


def _planned(plan: "KeptPlan | None", work: Workspace) -> "pl.DataFrame | None":
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


def _provenance(runs: "pl.DataFrame") -> "dict[str, list[tuple[str, str]]]":
    """Distinct values of every provenance column; what differs between data sets is listed under each."""

    def distinct(frame: "pl.DataFrame", columns: "Sequence[str]") -> "list[tuple[str, str]]":
        found = []
        for column in columns:
            values = frame[column].drop_nulls().unique().sort().to_list() if column in frame.columns else []
            if values:
                found.append((column, ", ".join(str(v) for v in values)))
        return found

    targets = {
        f"data set {dataset}": distinct(runs.filter(runs["dataset"] == dataset), PER_DATASET)
        for dataset in runs["dataset"].drop_nulls().unique().sort()
    }
    return {
        "code": distinct(runs, ("commit", "dirty", "diff_sha256", "origin", "packages", "python")),
        "machine": distinct(runs, ("platform", "host", "device", "threads", "precision")),
        "backbone": distinct(runs, ("backbone", "backbone_sha256", "preprocess")),
        **targets,
        "evaluation": distinct(runs, ("transfer_set", "n_transfer", "template", "select_on", "data_seed")),
        "time": _span(runs),
    }


def _span(runs: "pl.DataFrame") -> "list[tuple[str, str]]":
    started, finished = runs["started_at"].drop_nulls(), runs["finished_at"].drop_nulls()
    if started.is_empty() or finished.is_empty():
        return []
    return [("first run started", str(started.min())), ("last run finished", str(finished.max()))]
