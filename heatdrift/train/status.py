"""What the store folder says about planned cells: planned, running, done, diverged, failed; and the time left."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

import msgspec

from heatdrift.errors import RecordError, StoreError, UnknownNameError
from heatdrift.records import FINISHED, Cell, RunRecord, Status
from heatdrift.store.claims import heartbeat_age_s, is_live, read_claim
from heatdrift.store.expire import KILLED
from heatdrift.store.folder import cell_folder, cell_folders, current_record

CellStatus = Literal["planned", "running"] | Status


class CellState(msgspec.Struct, frozen=True, kw_only=True):
    """Status of one cell.

    Attributes
    ----------
    attempt : number of the current record, 0 without one.
    note : why it failed or is not readable; where it runs.
    wall_s : seconds that its current record took.
    device : that its current record trained on.
    host, heartbeat_age_s : of a running cell: its machine, and seconds since its last sign of life.
    test_acc_pct, retention_pct : of a done cell, where they were measured; retention on the first transfer set.
    """

    cell: Cell
    status: CellStatus
    attempt: int = 0
    note: str | None = None
    wall_s: float | None = None
    device: str | None = None
    host: str | None = None
    heartbeat_age_s: float | None = None
    test_acc_pct: float | None = None
    retention_pct: float | None = None


class StudyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a study is.

    Attributes
    ----------
    planned : cells of the kept plan, or all that have a run where none was kept (imported runs).
    missing : planned cells that nobody has started.
    time_left_s : for the cells that are not finished (half of it for a running one), from the mean wall time of
        finished cells of the same data set and method, over the workers that run now (one where none does); None before
        the first cell is finished, 0 when all are.
    states : every planned cell, in order.
    """

    study: str
    planned: int
    done: int
    running: int
    failed: int
    diverged: int
    missing: int
    time_left_s: float | None
    states: tuple[CellState, ...]

    @property
    def is_finished(self) -> bool:
        """Whether no cell is missing and none runs: what failed or diverged stays so until somebody trains it."""
        return self.missing == 0 and self.running == 0

    def counts(self) -> dict[str, object]:
        """Return all but the states, for a table."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "states"}

    def rows(self) -> list[dict[str, object]]:
        """Return one row per cell, for a table."""
        return [
            {
                "study": self.study,
                "cell_id": s.cell.cell_id,
                "group": s.cell.group,
                "lr": s.cell.lr,
                "seed": s.cell.seed,
                "status": s.status,
                "attempt": s.attempt,
                "heartbeat_age_s": None if s.heartbeat_age_s is None else round(s.heartbeat_age_s, 1),
                "note": s.note,
            }
            for s in self.states
        ]


def all_studies(
    store_folder: Path,
    plans: Mapping[str, Sequence[Cell]],
    study: str | None = None,
    bulk: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[StudyStatus, ...]:
    """Return the status of every study of a store folder, or of one.

    A cell counts as planned when the study's plan has it, or when it has a run: imported studies have no plan. `bulk`
    counts the runs that have no folder (``store/bulk_parts.py``), by study and status; they are counted, not listed.

    Raises
    ------
    UnknownNameError
        The folder has no such study.
    StoreError
        It has no study at all.
    """
    found: dict[str, dict[str, Cell]] = {name: {c.cell_id: c for c in cells} for name, cells in plans.items()}
    for folder in cell_folders(store_folder, study):
        cell = _cell_of(folder)
        if cell is not None:
            found.setdefault(folder.parent.name, {}).setdefault(cell.cell_id, cell)
    for name in bulk or {}:
        found.setdefault(name, {})
    if not found:
        raise StoreError(f"there are no runs in {store_folder}", hint="heatdrift train --all --study demo")
    if study is not None and study not in found:
        raise UnknownNameError("study", study, found, where=str(store_folder))
    chosen = sorted(found) if study is None else [study]
    return tuple(
        study_status(
            name,
            cell_states(found[name].values(), study=name, store_folder=store_folder),
            bulk=(bulk or {}).get(name, {}),
        )
        for name in chosen
    )


def _cell_of(folder: Path) -> Cell | None:
    """Return which cell a folder is of, by its record or its claim; None for an unrelated or unreadable one."""
    try:
        record = current_record(folder)
    except RecordError:
        record = None
    if record is not None:
        return record.cell if record.cell_id == folder.name else None
    claim = read_claim(folder)
    return claim.cell if claim is not None else None


def cell_states(cells: Iterable[Cell], *, study: str, store_folder: Path) -> tuple[CellState, ...]:
    """Look up every cell. A record that is damaged beyond its attempts counts as failed: its cell is taken again."""
    return tuple(_state(cell, cell_folder(store_folder, study, cell.cell_id)) for cell in cells)


def _state(cell: Cell, folder: Path) -> CellState:
    claim = read_claim(folder)
    if claim is not None and is_live(folder, claim):
        return CellState(
            cell=cell,
            status="running",
            note=f"{claim.host} pid {claim.pid}",
            host=claim.host,
            heartbeat_age_s=heartbeat_age_s(folder, claim),
        )
    try:
        record = current_record(folder)
    except RecordError as error:
        return CellState(cell=cell, status="failed", note=error.problem)
    if record is not None:
        return CellState(
            cell=cell,
            status=record.status,
            attempt=record.attempt,
            note=record.error,
            wall_s=record.wall_s,
            device=record.provenance.device,
            test_acc_pct=record.test_acc_pct if record.status == "done" else None,
            retention_pct=_retention(record) if record.status == "done" else None,
        )
    if claim is not None:
        return CellState(cell=cell, status="failed", note=KILLED)
    return CellState(cell=cell, status="planned")


def _retention(record: RunRecord) -> float | None:
    """Return zero-shot accuracy on the first transfer set in % of the base's; None without one, or a base at 0."""
    own = record.cell.transfer[0].name if record.cell.transfer else None
    found = [one for one in record.transfer if own is None or one.transfer_set == own]
    return 100.0 * found[0].adapted_pct / found[0].base_pct if found and found[0].base_pct else None


def study_status(study: str, states: Sequence[CellState], bulk: Mapping[str, int] | None = None) -> StudyStatus:
    """Count the states of a study's cells, and its runs without a folder, and estimate the time left."""
    more = bulk or {}
    counts = {
        status: sum(s.status == status for s in states) + more.get(status, 0)
        for status in ("done", "running", "failed", "diverged")
    }
    return StudyStatus(
        study=study,
        planned=len(states) + sum(more.values()),
        missing=sum(s.status == "planned" for s in states),
        time_left_s=time_left_s(states),
        states=tuple(states),
        **counts,
    )


def devices(states: Iterable[CellState]) -> tuple[str | None, ...]:
    """Devices that finished cells were trained on, in alphabetical order; None among them = not recorded."""
    found = {s.device for s in states if s.status in FINISHED and s.wall_s is not None}
    return tuple(sorted(found, key=lambda device: device or ""))


def time_left_s(
    states: Sequence[CellState], *, workers: int | None = None, of: Collection[str | None] | None = None
) -> float | None:
    """Seconds until all are finished: mean wall time of finished cells of the same group, over the workers.

    A group without a finished cell takes the mean of all. `workers`: None = those that run now, one where none does.
    `of`: devices whose finished cells count; None = all.

    Returns
    -------
    None before the first cell is finished, 0 when all are.
    """
    known: dict[str, list[float]] = {}
    for state in states:
        measured = of is None or state.device in of
        if state.status in FINISHED and state.wall_s is not None and measured:
            known.setdefault(state.cell.group, []).append(state.wall_s)
    open_cells = [s for s in states if s.status not in FINISHED]
    if not open_cells:
        return 0.0
    if not known:
        return None
    overall = fmean(wall_s for values in known.values() for wall_s in values)
    expected = [fmean(known.get(s.cell.group, [overall])) / (2 if s.status == "running" else 1) for s in open_cells]
    at_once = sum(s.status == "running" for s in states) if workers is None else workers
    return sum(expected) / max(1, min(at_once, len(open_cells)))


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
