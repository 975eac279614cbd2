"""Records -> database: idempotent, one process at a time, by writing a copy of the database and renaming it.

A reader keeps the file that it opened, so it never stops an ingest, and an ingest never stops a reader. A crash leaves
the old database whole; the records stay the truth, and `rebuild` makes the database anew from them.
"""

import contextlib
import glob
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import polars as pl

from heatdrift.errors import NotAStoreError, StoreError
from heatdrift.store.bulk_parts import find_parts, load_part
from heatdrift.store.connect import attach, checked_version, is_write_failure, needs_migration, open_store
from heatdrift.store.damage import Opened, damaged, is_damage
from heatdrift.store.expire import expire_claims
from heatdrift.store.files import exclusive_lock, remove_temporary, replacing
from heatdrift.store.folder import find_cells
from heatdrift.store.migrate import is_outdated, migrate
from heatdrift.store.reference_points import find_points, held_points, load_points
from heatdrift.store.rows import Rows
from heatdrift.store.scan import CellKey, Found, Problem, Scan

_LOG: Final = logging.getLogger(__name__)  # without a handler, warnings go to stderr as they are
_BATCH: Final = 2_000_000  # values held in memory between two inserts
RUN_TABLES: Final = ("raw.run", "raw.epoch", "raw.layer", "raw.head", "raw.transfer", "raw.robustness", "raw.further")


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one ingest did.

    Attributes
    ----------
    added, updated, unchanged : cells, by what happened to their row of `runs`.
    orphans : runs in the database whose record or part is gone (their rows stay; a rebuild drops them).
    problems : files that were passed over or replaced by an attempt, with the reason.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    orphans: int = 0
    problems: tuple[Problem, ...] = ()


def ingest(store: Path) -> IngestReport:
    """Bring the database `store` up to the records and parts in its folder; running it twice changes nothing.

    Runs whose process is gone are recorded as failed first (`expire_claims`).

    Raises
    ------
    StoreError
        The database is locked by a writer, newer, not a heatdrift store, or its folder cannot be written. A damaged
        record raises nothing: it is in ``problems``, and rows that were loaded from it earlier stay.
    """
    with _ingest_lock(store):
        held = _held(store)
        expire_claims(store.parent)
        return _load_changes(store, held, write_anyway=held.outdated)


def rebuild(store: Path) -> IngestReport:
    """Make the database anew from the records; a file in its place that is no store is kept as ``*.damaged``.

    Raises
    ------
    StoreError
        There are no records, and no database either or one whose runs would be lost. Or as `ingest`.
    """
    if not store.exists() and not has_runs(store.parent):
        raise StoreError(
            f"{store.parent} has no records to make {store} from", hint="name the file next to the records with --store"
        )
    with _ingest_lock(store):
        aside = False
        try:
            held = _held(store)
        except NotAStoreError:
            held, aside = _Held(), True
        if held.n_runs and not has_runs(store.parent):
            raise StoreError(
                f"{store.parent} has no records, but {store} holds {held.n_runs} runs that a rebuild would lose",
                hint="name the store next to its records with --store, or delete the file if you mean it",
            )
        expire_claims(store.parent)
        return _load_changes(store, _Held(), write_anyway=True, fresh=True, keep_old=aside)


def open_current(store: Path) -> Opened:
    """Open a store for reading (``open_store``).

    One that is missing while records exist is built, one of an old schema is migrated.
    That one was built is logged as a warning: it may be that its name was mistyped.
    """
    if store.exists():
        with Opened(attach(store, read_only=True), store) as connection:
            outdated = needs_migration(connection, store)
        if outdated:
            ingest(store)
    elif has_runs(store.parent):
        _LOG.warning("made %s from %d records", store, ingest(store).added)
    return open_store(store, read_only=True)


def has_runs(store_folder: Path) -> bool:
    """Whether a store folder holds anything that a database could be made from."""
    return next(find_cells(store_folder), None) is not None or bool(
        find_parts(store_folder) or find_points(store_folder)
    )


def _ingest_lock(store: Path) -> contextlib.AbstractContextManager[None]:
    return exclusive_lock(store.with_name(f".{store.name}.lock"), doing="ingest records")


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a database holds.

    Attributes
    ----------
    records : (study, cell id) -> (hash of the record, run id); runs of parts are not among them.
    attempts : (study, cell id) -> numbers.
    parts : hash -> number of runs.
    points : hashes of the sets of reference points.
    n_runs, last_id : runs, of parts too; highest run id.
    outdated : whether its file must be written even if nothing is new.
    """

    records: Mapping[CellKey, tuple[str, int]] = {}
    attempts: Mapping[CellKey, frozenset[int]] = {}
    parts: Mapping[str, int] = {}
    points: frozenset[str] = frozenset()
    n_runs: int = 0
    last_id: int = 0
    outdated: bool = True


def _held(store: Path) -> _Held:
    if not store.exists():
        return _Held()
    with Opened(attach(store, read_only=True), store) as connection:
        version = checked_version(connection, store)
        outdated = version > 0 and is_outdated(connection, version)
    if version == 0:
        return _Held()
    if outdated:
        with rewriting(store):
            pass  # migrated in a copy that replaces it
    with Opened(attach(store, read_only=True), store) as connection:
        records = connection.sql("SELECT study, cell_id, record_sha256, run_id FROM raw.run WHERE part IS NULL")
        attempts = connection.sql("SELECT study, cell_id, list(attempt) FROM raw.attempt GROUP BY ALL")
        n_runs, last_id = connection.sql("SELECT count(*), coalesce(max(run_id), 0) FROM raw.run").fetchall()[0]
        return _Held(
            records={(study, cell_id): (sha256, run_id) for study, cell_id, sha256, run_id in records.fetchall()},
            attempts={(study, cell_id): frozenset(numbers) for study, cell_id, numbers in attempts.fetchall()},
            parts=dict(connection.sql("SELECT sha256, n_runs FROM raw.part").fetchall()),
            points=held_points(connection),
            n_runs=n_runs,
            last_id=last_id,
            outdated=False,
        )


def _load_changes(
    store: Path, held: _Held, *, write_anyway: bool, fresh: bool = False, keep_old: bool = False
) -> IngestReport:
    scan = Scan(store.parent, {key: sha256 for key, (sha256, _) in held.records.items()}, held.attempts)
    changed = scan.changed()
    first = next(changed, None)
    there = find_parts(store.parent)
    parts = [part for part in there if part.sha256 not in held.parts]
    added = updated = 0
    problems: list[Problem] = []
    points = find_points(store.parent)
    if first is not None or parts or write_anyway or held.points != set(points):
        with rewriting(store, fresh=fresh, keep_old=keep_old) as connection:
            added, updated = _load(connection, chain([first] if first else [], changed), held)
            for part in parts:
                n_new, problem = load_part(connection, part)
                added += n_new
                problems += [problem] if problem else []
            problems += load_points(connection, points)
    gone = set(held.parts) - {part.sha256 for part in there}
    return IngestReport(
        added=added,
        updated=updated,
        unchanged=scan.unchanged + sum(n for sha256, n in held.parts.items() if sha256 not in gone),
        orphans=len(scan.orphans) + sum(held.parts[sha256] for sha256 in gone),
        problems=(*scan.problems, *problems),
    )


@contextlib.contextmanager
def rewriting(store: Path, *, fresh: bool = False, keep_old: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a writable connection to a migrated copy of the database, which replaces it when the block ends well.

    Parameters
    ----------
    store : the database; the caller holds the ingest lock.
    fresh : start from an empty database instead of a copy.
    keep_old : keep the file that is replaced, next to it.
    """
    store = store.resolve()  # a link to the database stays a link
    remove_temporary(store.parent, f"{glob.escape('.' + store.name)}.*.tmp")  # a killed ingest's
    with replacing(store) as copy:
        if store.exists() and not fresh:
            with attach(store, read_only=True):  # keeps writers out while the bytes are copied
                shutil.copyfile(store, copy)
                log = store.with_name(f"{store.name}.wal")  # what another DuckDB client committed before it was killed
                if log.exists():
                    shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))
        connection = attach(copy, read_only=False)
        try:
            migrate(connection)
            yield connection
            connection.execute("CHECKPOINT")
        except duckdb.Error as cause:
            if is_damage(cause):  # of the copy, so of the database that it was made from
                raise damaged(store, cause) from cause
            if not (isinstance(cause, duckdb.IOException) or is_write_failure(cause)):
                raise
            raise StoreError(
                f"cannot write a new {store}: {str(cause).splitlines()[0]}",
                hint="free some space, then run the same command again",
            ) from cause
        finally:
            connection.close()
        if keep_old:
            store.rename(_free_name(store))
    store.with_name(f"{store.name}.wal").unlink(missing_ok=True)  # it belonged to the file that was replaced


def _free_name(store: Path) -> Path:
    number = 1
    while (kept := store.with_name(f"{store.name}.damaged-{number}")).exists():
        number += 1
    return kept


def _load(connection: duckdb.DuckDBPyConnection, changed: Iterable[Found], held: _Held) -> tuple[int, int]:
    """Insert the changed records in batches, replacing the rows of those that were held; return (added, updated)."""
    next_id = held.last_id + 1
    added = updated = 0
    rows, stale = Rows(), list[int]()
    for found in changed:
        for attempt in found.attempts:
            rows.add_attempt(attempt)
        if found.record is not None:
            earlier = held.records.get((found.record.study, found.record.cell_id))
            if earlier:
                stale.append(earlier[1])
                updated += 1
            else:
                added += 1
            rows.add(found.record, run_id=next_id, sha256=found.sha256)
            next_id += 1
        if rows.size >= _BATCH:
            _insert(connection, rows, stale)
            rows, stale = Rows(), []
    _insert(connection, rows, stale)
    return added, updated


def _insert(connection: duckdb.DuckDBPyConnection, rows: Rows, stale: list[int]) -> None:
    """Insert a batch; a run that a bulk part brought gives way to its record."""
    frames = rows.frames()
    with _registered(connection, frames["raw.run"]):
        doubled = connection.execute("SELECT run_id FROM raw.run SEMI JOIN incoming USING (study, cell_id)").fetchall()
    gone = sorted({*stale, *(run_id for (run_id,) in doubled)})
    if gone:
        for table in RUN_TABLES:
            connection.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT unnest(?::BIGINT[]))", [gone])
    for table, frame in frames.items():
        if frame.height:
            with _registered(connection, frame):
                connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")


@contextlib.contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> Iterator[None]:
    connection.register("incoming", frame.to_arrow())
    try:
        yield
    finally:
        connection.unregister("incoming")
