"""Which records of a store folder the database does not hold yet, decided by the hash of their bytes.

A damaged record.json is reported and replaced by the cell's newest readable attempt, if there is one; the same cell
found in two folders is counted once and reported. Nothing here stops at a bad file.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from heatdrift.errors import RecordError
from heatdrift.records import FINISHED, RunRecord
from heatdrift.store.folder import attempt_files, decode_record, find_cells, read_bytes

CellKey = tuple[str, str]  # study, cell_id


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was passed over, or taken from elsewhere, and why."""

    path: Path
    reason: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is new about a cell.

    Attributes
    ----------
    path, sha256 : its current record and the hash of the bytes.
    record : the record, if the database lacks it or holds another one.
    attempts : executions that the database lacks.
    """

    path: Path
    sha256: str
    record: RunRecord | None
    attempts: tuple[RunRecord, ...] = ()


_Read = tuple[CellKey, Path, str, RunRecord | None]


class Scan:
    """One pass over a store folder; `changed` yields, the counts are complete when it is exhausted.

    Parameters
    ----------
    store_folder : folder of the study folders.
    known : hash of the record that the database holds, by study and cell id.
    attempts : numbers of the attempts that it holds.
    """

    def __init__(
        self, store_folder: Path, known: Mapping[CellKey, str], attempts: Mapping[CellKey, frozenset[int]]
    ) -> None:
        self._store_folder = store_folder
        self._known = known
        self._attempts = attempts
        self._key_of = {sha256: key for key, sha256 in known.items()}
        self._taken: dict[CellKey, tuple[Path, str]] = {}
        self._damaged: set[CellKey] = set()
        self.unchanged = 0
        self.problems: list[Problem] = []

    @property
    def orphans(self) -> list[CellKey]:
        """Cells of the database whose record is gone; their rows stay until a rebuild."""
        return sorted(set(self._known) - set(self._taken) - self._damaged)

    def changed(self) -> Iterator[Found]:
        """Yield the cells that have something new, each at most once."""
        elsewhere = []
        for folder in find_cells(self._store_folder):
            found = self._read(folder)
            if found is None:
                self._damaged.add((folder.parent.name, folder.name))
            elif found[0] == (folder.parent.name, folder.name):
                yield from self._take(*found)
            else:
                elsewhere.append(folder)  # a renamed or copied folder: its own place, if it exists, goes first
        for folder in elsewhere:
            found = self._read(folder)
            if found is not None:
                yield from self._take(*found)

    def _take(self, key: CellKey, path: Path, sha256: str, record: RunRecord | None) -> Iterator[Found]:
        if key in self._taken:
            other, other_sha256 = self._taken[key]
            kind = "the same record" if sha256 == other_sha256 else "another record of the same cell"
            self.problems.append(Problem(path=path, reason=f"not counted: {kind} is at {other}"))
            return
        self._taken[key] = (path, sha256)
        attempts = tuple(self._new_attempts(key, path, record))
        if record is None:
            self.unchanged += 1
        if record is not None or attempts:
            yield Found(path=path, sha256=sha256, record=record, attempts=attempts)

    def _new_attempts(self, key: CellKey, path: Path, record: RunRecord | None) -> Iterator[RunRecord]:
        """Yield the attempts that the database lacks; a damaged one is reported."""
        folder = path.parent if path.name == "record.json" else path.parent.parent
        held = self._attempts.get(key, frozenset())
        listed = False
        for file in attempt_files(folder):
            number = int(file.stem)
            listed |= record is not None and number == record.attempt
            if number in held:
                continue
            try:
                found = record if record and number == record.attempt else decode_record(read_bytes(file), file)
            except RecordError as error:
                self._report(file, error.problem)
                continue
            if (found.study, found.cell_id, found.attempt) == (*key, number):
                yield found
            else:
                self._report(file, "not counted: it is an attempt of another cell or number")
        if record is not None and not listed and record.attempt not in held:
            yield record  # a crash came between the two files of an attempt

    def _read(self, folder: Path) -> _Read | None:
        """Return the cell's current record; without decoding it when the database holds those very bytes."""
        path = folder / "record.json"
        try:
            return self._decode(path)
        except RecordError as error:
            kept = self._newest_readable(folder)
            if kept is None:
                if path.exists() or attempt_files(folder):
                    self._report(path, error.problem)
                return None
            self._report(path, f"{error.problem}; took {kept[1].relative_to(folder)} instead")
            return kept

    def _report(self, path: Path, reason: str) -> None:
        problem = Problem(path=path, reason=reason)
        if problem not in self.problems:  # a folder elsewhere is read twice
            self.problems.append(problem)

    def _decode(self, path: Path) -> _Read:
        data = read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in self._key_of:
            return self._key_of[sha256], path, sha256, None
        record = decode_record(data, path)
        key = (record.study, record.cell_id)
        return key, path, sha256, record

    def _newest_readable(self, folder: Path) -> _Read | None:
        """Return the attempt that record.json would hold: the newest finished one, else the newest."""
        newest = None
        for path in reversed(attempt_files(folder)):
            try:
                found = self._decode(path)
            except RecordError:
                continue
            record = found[3]
            if record is None or record.status in FINISHED:
                return found
            newest = newest or found
        return newest
