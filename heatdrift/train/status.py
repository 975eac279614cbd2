"""What the store folder says about planned cells: planned, running, done, diverged, failed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from heatdrift.errors import RecordError
from heatdrift.records import Cell, Status
from heatdrift.store.claims import is_live, read_claim
from heatdrift.store.folder import cell_folder, read_record

CellStatus = Literal["planned", "running"] | Status


class CellState(msgspec.Struct, frozen=True, kw_only=True):
    """Status of one cell; `attempts` is the number of the current record, `note` why it failed or is not readable."""

    cell: Cell
    status: CellStatus
    attempt: int = 0
    note: str | None = None


def cell_states(cells: Iterable[Cell], *, study: str, store_folder: Path) -> tuple[CellState, ...]:
    """Look up every cell. A damaged record counts as failed: its cell is taken again."""
    return tuple(_state(cell, cell_folder(store_folder, study, cell.cell_id)) for cell in cells)


def _state(cell: Cell, folder: Path) -> CellState:
    claim = read_claim(folder)
    if claim is not None and is_live(claim):
        return CellState(cell=cell, status="running", note=f"{claim.host} pid {claim.pid}")
    path = folder / "record.json"
    if not path.exists():
        if claim is not None:
            return CellState(cell=cell, status="failed", note="its process ended before the run did")
        return CellState(cell=cell, status="planned")
    try:
        record = read_record(path)
    except RecordError as error:
        return CellState(cell=cell, status="failed", note=error.problem)
    return CellState(cell=cell, status=record.status, attempt=record.attempt, note=record.error)


def unfinished(states: Iterable[CellState], *, only_failed: bool = False, force: bool = False) -> tuple[Cell, ...]:
    """Cells that a training command should run.

    By default those planned or failed; with `only_failed` those failed or diverged; with `force` all but running ones.
    """
    if force:
        wanted: set[CellStatus] = {"planned", "failed", "diverged", "done"}
    elif only_failed:
        wanted = {"failed", "diverged"}
    else:
        wanted = {"planned", "failed"}
    return tuple(state.cell for state in states if state.status in wanted)
