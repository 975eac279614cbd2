"""``heatdrift status``: how far every study is, and how to go on."""

from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.options import Format, FormatOption, StoredStudyOption, StoreOption
from heatdrift.cli.output import show_rows
from heatdrift.cli.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heatdrift.train.status import StudyStatus


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("status")(status)


def status(
    study: StoredStudyOption = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
    cells: Annotated[bool, typer.Option("--cells", help="One row per cell instead of the counts.")] = False,
) -> None:
    """Say how far every study is: done, running, failed (why), diverged, missing, time left.

    Example: `heatdrift status`
    """
    from heatdrift.store.parts import count_bulk
    from heatdrift.train.status import all_studies

    work = Workspace.of(store)
    plans = {name: plan.cells for name in work.studies() if (plan := work.kept_plan(name)) is not None}
    found = all_studies(work.store_folder, plans, study=study, bulk=count_bulk(work.store))
    if not cells:
        show_rows([s.counts() for s in found], fmt)
    if cells or fmt is Format.table:
        _show_cells(found, fmt, everything=cells)


def _show_cells(found: "Sequence[StudyStatus]", fmt: Format, *, everything: bool) -> None:
    """Print every cell, or those that somebody should look at: running, failed, diverged."""
    rows = [row for s in found for row in s.rows() if everything or row["status"] in ("running", "failed", "diverged")]
    if rows or everything:
        show_rows(rows, fmt)
