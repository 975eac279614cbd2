"""What counts of a cell here: its finished attempts by the hash of their content."""

from pathlib import Path

import msgspec

from heatdrift.errors import RecordError
from heatdrift.records import FINISHED, RunRecord
from heatdrift.store.folder import attempt_files, current_record, read_record
from heatdrift.store.sync_layout import CellKey, remote_bytes


class SyncProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A file or an object that was passed over, and why."""

    where: str
    reason: str


class LocalCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's finished attempts here.

    Attributes
    ----------
    folder : the cell's folder.
    current : hash of the one that counts; None where none is finished.
    attempts : hash -> record.
    damage : what is wrong with record.json where no attempt can take its place; a pull then can.
    """

    folder: Path
    current: str | None
    attempts: dict[str, RunRecord]
    damage: str | None = None

    def arrays(self, kind: str) -> Path:
        """Path of the arrays of the attempt that counts."""
        return self.folder / f"{kind}.npz"


def local_cell(folder: Path) -> LocalCell:
    """Read a cell's finished attempts; one that is not there has none, a damaged attempt is none.

    Raises
    ------
    RecordError
        record.json is that of another cell.
    """
    here: CellKey = (folder.parent.name, folder.name)
    found: dict[str, RunRecord] = {}
    for path in attempt_files(folder):
        try:
            record = read_record(path)
        except RecordError:
            continue  # ingest reports it
        if record.status in FINISHED and (record.study, record.cell_id) == here:
            found[remote_bytes(record)[0]] = record
    sha256 = damage = current = None
    try:
        current = current_record(folder)
    except RecordError as error:
        damage = error.problem
    if current is not None and (current.study, current.cell_id) != here:
        raise RecordError(folder / "record.json", f"it is the record of {current.study}/{current.cell_id}")
    if current is not None and current.status in FINISHED:
        sha256 = remote_bytes(current)[0]
        found.setdefault(sha256, current)
    return LocalCell(folder=folder, current=sha256, attempts=found, damage=damage)


def rank(sha256: str, record: RunRecord) -> tuple[str, str]:
    """Order of the attempts of a cell, the same on every machine: the one that finished last counts, then by hash."""
    return record.finished_at or "", sha256
