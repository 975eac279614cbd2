"""store check: do files, rows and views agree? Reads everything and changes nothing.

Files: every record and attempt decodes, record.json equals its own attempt, arrays open, parts have their hashes, no
killed writer left anything. Rows: the hash of every record, the number of its epochs, layers, heads and evaluations, no
row without a run. Views: as many rows as their tables.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import duckdb
import msgspec

from heatdrift.errors import RecordError, StoreError
from heatdrift.metrics import PROBE
from heatdrift.records import FINISHED, RunRecord
from heatdrift.store.advice import with_store
from heatdrift.store.bulk_parts import LONG_VIEWS, PARTS, find_parts, is_sealed, part_damage
from heatdrift.store.checksum import split_checksum
from heatdrift.store.claims import CLAIM_FILE, is_live, read_claim
from heatdrift.store.connect import open_store
from heatdrift.store.folder import (
    ArrayKind,
    attempt_files,
    cell_folders,
    decode_record,
    find_cells,
    newest_attempt,
    read_arrays,
    read_bytes,
)
from heatdrift.store.hits import hits_problems, stated_transfers
from heatdrift.store.rows import result_sha256

_COUNTED: Final = ("epoch", "layer", "head", "transfer", "robustness", "further")
_REBUILD: Final = "heatdrift store rebuild"
_REPAIR: Final = "heatdrift store check --repair"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    Attributes
    ----------
    kind : damaged, changed, misplaced, not loaded, orphan, rows, view, missing layers, repeated, leftover, interrupted,
        unverified.
    where : file or cell.
    what, todo : what was found, and the next command or edit.
    wrong : False for what needs no repair: kept attempts that differ, runs that were killed.
    """

    kind: str
    where: str
    what: str
    todo: str
    wrong: bool = True


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check looked at and found."""

    records: int
    attempts: int
    runs: int
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> bool:
        """Whether anything must be repaired."""
        return any(finding.wrong for finding in self.findings)


class _Cells(msgspec.Struct, kw_only=True):
    """What the files say: (study, cell id) -> (hash of record.json, expected rows per table)."""

    expected: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {}
    unreadable: set[tuple[str, str]] = set()
    records: int = 0
    attempts: int = 0
    unverified: int = 0


def check_store(store: Path) -> CheckReport:
    """Check a store folder and its database.

    Raises
    ------
    StoreError
        There is neither a database nor a record, or the database cannot be opened.
    """
    cells = _Cells()
    findings = list(_files(store.parent, cells))
    if cells.unverified:
        what = f"{cells.unverified} of {cells.records} records carry no checksum: a change to them would not be noticed"
        where = str(store.parent)
        findings.append(Finding(kind="unverified", where=where, what=what, todo=_REPAIR, wrong=False))
    n_runs = 0
    if store.exists():
        with open_store(store) as connection:
            findings += _rows(connection, cells, {part.sha256 for part in find_parts(store.parent)})
            findings += _views(connection)
            n_runs = connection.sql("SELECT count(*) FROM raw.run").fetchall()[0][0]
    elif cells.records or find_parts(store.parent):
        findings.append(Finding(kind="not loaded", where=str(store), what="there is no database", todo=_REBUILD))
    elif not findings:
        raise StoreError(f"there is no store at {store}", hint="heatdrift train --all, or name one with --store")
    todo = tuple(msgspec.structs.replace(f, todo=with_store(f.todo, store)) for f in findings)
    return CheckReport(records=cells.records, attempts=cells.attempts, runs=n_runs, findings=todo)


def _files(store_folder: Path, cells: _Cells) -> Iterator[Finding]:
    for folder in cell_folders(store_folder):
        yield from _leftovers(folder)
        yield from _arrays(folder)  # a run that came in bulk has per-image results without a record next to them
    for folder in find_cells(store_folder):
        yield from _cell(folder, cells)
    for part in find_parts(store_folder):
        damage = part_damage(part)
        if damage:
            todo = f"restore the folder, or delete it, {_REBUILD} and import again"
            yield Finding(kind="damaged", where=str(part.folder), what=damage, todo=todo)
        elif not is_sealed(part):
            what = "its part.json carries no checksum: a change to it would not be noticed"
            yield Finding(kind="unverified", where=str(part.folder), what=what, todo=_REPAIR, wrong=False)
    for left in (*store_folder.glob(".*.tmp*"), *(store_folder / PARTS).glob(".*.tmp")):
        yield _leftover(left)


def _arrays(folder: Path) -> Iterator[Finding]:
    """Check that arrays open, that per-image results agree with each other, and with the record's accuracies."""
    for kind in get_args(ArrayKind):
        try:
            arrays = read_arrays(folder, kind)
        except RecordError as error:
            yield Finding(kind="damaged", where=str(error.path), what=error.problem, todo=error.hint or "")
            continue
        if kind == "hits" and arrays:
            todo = f"delete {folder / 'hits.npz'}, then heatdrift train --force, or import again"
            for what in hits_problems(arrays, stated_transfers(folder)):
                yield Finding(kind="damaged", where=str(folder / "hits.npz"), what=what, todo=todo)


def _leftovers(folder: Path) -> Iterator[Finding]:
    if (folder / CLAIM_FILE).exists():
        running = read_claim(folder)
        if running is None:
            yield Finding(kind="damaged", where=str(folder / CLAIM_FILE), what="not a readable claim", todo=_REPAIR)
        elif not is_live(folder, running):
            what = f"process {running.pid} on {running.host} ended before the run did"
            yield Finding(kind="interrupted", where=str(folder), what=what, todo="heatdrift train --all", wrong=False)
        else:
            return  # its owner's files in the making
    for left in (*folder.glob(".*.tmp"), *folder.glob("attempts/.*.tmp")):
        yield _leftover(left)


def _leftover(path: Path) -> Finding:
    what = "left half-made by a process that was killed"
    return Finding(kind="leftover", where=str(path), what=what, todo=_REPAIR, wrong=False)


def _cell(folder: Path, cells: _Cells) -> Iterator[Finding]:
    """Check a cell's record and attempts against each other."""
    path, here = folder / "record.json", (folder.parent.name, folder.name)
    attempts: dict[int, tuple[bytes, RunRecord]] = {}
    for file in attempt_files(folder):
        try:
            data = read_bytes(file)
            attempts[int(file.stem)] = data, decode_record(data, file)
            cells.attempts += 1
        except RecordError as error:
            yield Finding(kind="damaged", where=str(file), what=error.problem, todo=f"delete {file}")
    if not path.exists() and not attempt_files(folder):
        return  # an empty folder, as a full disk leaves it
    try:
        data = read_bytes(path)
        record = decode_record(data, path)
    except RecordError as error:
        cells.unreadable.add(here)
        todo = _REPAIR if newest_attempt(folder) else error.hint or ""
        yield Finding(kind="damaged", where=str(path), what=error.problem, todo=todo)
        return
    cells.records += 1
    cells.unverified += split_checksum(data)[1] is None
    key = (record.study, record.cell_id)
    if key != here:
        what = f"holds the record of study {record.study}, cell {record.cell_id}"
        yield Finding(kind="misplaced", where=str(folder), what=what, todo="give the folder its name, or delete it")
    if key in cells.expected and key != here:
        return
    cells.expected[key] = hashlib.sha256(data).hexdigest(), _expected(record)
    kept = attempts.get(record.attempt)
    if kept is not None and split_checksum(kept[0])[0] != split_checksum(data)[0]:
        what = f"differs from attempts/{record.attempt}.json, which was written with it"
        yield Finding(kind="changed", where=str(path), what=what, todo=f"cp attempts/{record.attempt}.json record.json")
    results = {result_sha256(r) for _, r in attempts.values() if r.status in FINISHED}
    if len(results) > 1:
        what = f"{len(results)} finished attempts have different results; the newest counts, all are kept"
        todo = "heatdrift sql --name repeated_runs"
        yield Finding(kind="repeated", where=str(folder), what=what, todo=todo, wrong=False)
    yield from _missing_layers(record, path)


def _expected(record: RunRecord) -> tuple[int, ...]:
    layers = sum(len(values) for epoch in record.epochs for values in epoch.layers.values())
    heads = sum(len(row) for epoch in record.epochs for rows in epoch.heads.values() for row in rows)
    return len(record.epochs), layers, heads, len(record.transfer), len(record.robustness), len(record.further or {})


def _missing_layers(record: RunRecord, path: Path) -> Iterator[Finding]:
    """Every probe that heatdrift measures per block has its blocks in every epoch; imports may lack them."""
    if record.origin != "heatdrift":
        return
    for epoch in record.epochs:
        for name, mean in epoch.means.items():
            if mean is not None and PROBE[name].per_layer and not epoch.layers.get(name):
                what = f"epoch {epoch.epoch} has a mean of {name} but no layers"
                yield Finding(kind="missing layers", where=str(path), what=what, todo="heatdrift train --force")


def _rows(connection: duckdb.DuckDBPyConnection, cells: _Cells, parts: set[str]) -> Iterator[Finding]:
    counts = ", ".join(f"(SELECT count(*) FROM raw.{t} WHERE run_id = r.run_id)" for t in _COUNTED)
    held = connection.sql(f"SELECT study, cell_id, record_sha256, {counts} FROM raw.run AS r WHERE part IS NULL")
    seen = set()
    for study, cell_id, sha256, *found in held.fetchall():
        key, where = (study, cell_id), f"{study}/{cell_id}"
        seen.add(key)
        if key in cells.unreadable:
            continue  # reported with its file; the earlier rows stay
        if key not in cells.expected:
            yield Finding(kind="orphan", where=where, what="a run without a record", todo=f"{_REBUILD} drops it")
        elif cells.expected[key][0] != sha256:
            yield Finding(kind="not loaded", where=where, what="its record is not the one loaded", todo=_REBUILD)
        elif cells.expected[key][1] != tuple(found):
            pairs = zip(_COUNTED, cells.expected[key][1], found, strict=True)
            what = ", ".join(f"{n} of {wanted} {table} rows" for table, wanted, n in pairs if n != wanted)
            yield Finding(kind="rows", where=where, what=what, todo=_REBUILD)
    for study, cell_id in sorted(set(cells.expected) - seen):
        yield Finding(kind="not loaded", where=f"{study}/{cell_id}", what="its record has no row", todo=_REBUILD)
    loaded = {sha256 for (sha256,) in connection.sql("SELECT sha256 FROM raw.part").fetchall()}
    for sha256 in sorted(loaded ^ parts):
        kind, what = ("orphan", "its files are gone") if sha256 in loaded else ("not loaded", "it is not loaded")
        yield Finding(kind=kind, where=f"part {sha256}", what=what, todo=_REBUILD)
    for table in _COUNTED:
        query = f"SELECT count(*) FROM raw.{table} ANTI JOIN raw.run USING (run_id)"
        (lost,) = connection.sql(query).fetchall()[0]
        if lost:
            yield Finding(kind="orphan", where=f"raw.{table}", what=f"{lost} rows without a run", todo=_REBUILD)


def _views(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """A view that joins has as many rows as its table: more would be a key that occurs twice."""
    tables = {"runs": "raw.run", "attempts": "raw.attempt", **LONG_VIEWS}
    for view, table in tables.items():
        of_view, of_table = connection.sql(
            f"SELECT (SELECT count(*) FROM {view}), (SELECT count(*) FROM {table})"
        ).fetchall()[0]
        if of_view != of_table:
            what = f"{of_view} rows, {of_table} in {table}: a key occurs twice or a run is missing"
            yield Finding(kind="view", where=view, what=what, todo=_REBUILD)
