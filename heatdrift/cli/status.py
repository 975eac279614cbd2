"""``heatdrift status``: how far every study is, and how to go on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heatdrift.cli.advice import from_here, train_command
from heatdrift.cli.options import Format, FormatOption, StoreOption
from heatdrift.cli.output import note, show_rows
from heatdrift.cli.workspace import KeptPlan, Workspace, study_name
from heatdrift.config import StudySpec
from heatdrift.plan.cells import plan_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heatdrift.train.status import StudyStatus


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("status")(status)


def status(
    study: Annotated[
        str | None,
        typer.Option("--study", help="Only this one: a study of the store, a .toml file or a built-in name."),
    ] = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
    cells: Annotated[bool, typer.Option("--cells", help="One row per cell instead of the counts.")] = False,
) -> None:
    """Say how far every study is: done, running, failed (why), diverged, missing, time left, and how to go on.

    Example: `heatdrift status`
    """
    from heatdrift.store.bulk_parts import count_bulk
    from heatdrift.store.folder import cell_folders
    from heatdrift.train.status import all_studies

    work = Workspace.of(store)
    plans = {name: plan for name in work.studies() if (plan := work.kept_plan(name)) is not None}
    bulk = count_bulk(work.store)
    known = {*plans, *bulk, *(folder.parent.name for folder in cell_folders(work.store_folder))}
    wanted = study or work.settings.study
    name = study_name(wanted, known)
    fresh = not_started(work.study(wanted)) if name is not None and name not in known else None
    found: list[StudyStatus] = [] if fresh is None else [fresh]
    if fresh is None or (study is None and known):
        stored = {n: plan.cells for n, plan in plans.items()}
        found += all_studies(work.store_folder, stored, study=name if study is not None else None, bulk=bulk)
    if not cells:
        show_rows([s.counts() for s in found], fmt)
    if cells or fmt is Format.table:
        _show_cells(found, fmt, everything=cells)
    for one in found:
        if one is fresh:
            note(f"nothing of study {one.study} has run yet; to start: {train_command(str(wanted), store=store)}")
        elif one.study in plans:
            _say_how_to_go_on(one, plans[one.study], work, store)


def not_started(study: StudySpec) -> "StudyStatus":
    """Status of a study of which nothing was run; its cells are counted, not hashed, so no image need be at hand."""
    from heatdrift.train.status import study_status

    cells = plan_cells(study, source_hash=lambda _: "", backbone_hash=lambda _: "")
    return msgspec.structs.replace(
        study_status(study.name, ()), planned=len(cells), missing=len(cells), time_left_s=None
    )


def _say_how_to_go_on(status: "StudyStatus", plan: KeptPlan, work: Workspace, store: Path | None) -> None:
    """Name the command that trains what is missing or failed, and the one for what diverged."""
    left = status.missing + status.failed
    if not left and not status.diverged:
        return
    file = from_here(work.store_folder / plan.file) if plan.file else status.study
    if plan.file and not Path(file).is_file():
        file = "FILE.toml"
    data_dir = from_here(work.store_folder / plan.data_dir) if plan.data_dir else None
    command = train_command(file, store=store, data_dir=data_dir)
    if left:
        going = f" (with {status.running} more running)" if status.running else ""
        note(f"study {status.study}: {left} of {status.planned} cells are left{going}; to go on: {command}")
    if status.diverged:
        again = command.replace("--all", "--only-failed")
        note(f"study {status.study}: {status.diverged} diverged, which is a result; to try them again: {again}")


def _show_cells(found: "Sequence[StudyStatus]", fmt: Format, *, everything: bool) -> None:
    """Print every cell, or those that somebody should look at: running, failed, diverged."""
    rows = [row for s in found for row in s.rows() if everything or row["status"] in ("running", "failed", "diverged")]
    if rows or everything:
        show_rows(rows, fmt)
