"""Records -> database: idempotent, one process at a time, by writing a copy of the database and renaming it.

A reader keeps the file that it opened, so it never stops an ingest, and an ingest never stops a reader. A crash leaves
the old database whole; the records stay the truth, and `rebuild` makes the database anew from them.
"""

import contextlib
import glob
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from heatdrift.errors import NotAStoreError, StoreError
from heatdrift.store.connect import attach, checked_version, open_store
from heatdrift.store.files import exclusive_lock, remove_temporary, replacing
from heatdrift.store.folder import find_cells
from heatdrift.store.migrate import latest_version, migrate
from heatdrift.store.rows import Rows
from heatdrift.store.scan import CellKey, Found, Problem, Scan

_BATCH: Final = 2_000_000  # values held in memory between two inserts
_RUN_TABLES: Final = ("raw.run", "raw.epoch", "raw.layer", "raw.head", "raw.transfer", "raw.robustness")


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one ingest did.

    Attributes
    ----------
    added, updated, unchanged : cells, by what happened to their row of `runs`.
    orphans : cells in the database whose record is gone (their rows stay; a rebuild drops them).
    problems : files that were passed over or replaced by an attempt, with the reason.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    orphans: int = 0
    problems: tuple[Problem, ...] = ()


def ingest(store: Path) -> IngestReport:
    """Bring the database `store` up to the records in its folder; running it twice changes nothing.

    Raises
    ------
    StoreError
        The database is locked by a writer, newer, not a heatdrift store, or its folder cannot be written. A damaged
        record raises nothing: it is in ``problems``, and rows that were loaded from it earlier stay.
    """
    with _ingest_lock(store):
        held, outdated = _held(store)
        return _load_changes(store, held, write_anyway=outdated)


def rebuild(store: Path) -> IngestReport:
    """Make the database anew from the records; a file in its place that is no store is kept beside it as ``*.damaged``.

    Raises
    ------
    StoreError
        There are no records, while the database holds runs: they would be lost. Or as `ingest`.
    """
    with _ingest_lock(store):
        aside = False
        try:
            held, _ = _held(store)
        except NotAStoreError:
            held, aside = {}, True
        if held and next(find_cells(store.parent), None) is None:
            raise StoreError(
                f"{store.parent} has no records, but {store} holds {len(held)} runs that a rebuild would lose",
                hint="name the store beside its records with --store, or delete the file if you mean it",
            )
        return _load_changes(store, {}, write_anyway=True, fresh=True, keep_old=aside)


def open_current(store: Path) -> duckdb.DuckDBPyConnection:
    """Open a store for reading; one that is missing while records exist is built, one of an old schema is migrated."""
    if store.exists():
        with attach(store, read_only=True) as connection:
            outdated = checked_version(connection, store) < latest_version()
        if outdated:
            ingest(store)
    elif next(find_cells(store.parent), None) is not None:
        ingest(store)
    return open_store(store, read_only=True)


def _ingest_lock(store: Path) -> contextlib.AbstractContextManager[None]:
    return exclusive_lock(store.with_name(f".{store.name}.lock"), doing="ingest records")


def _held(store: Path) -> tuple[dict[CellKey, tuple[str, int]], bool]:
    """Return (study, cell id) -> (record hash, run id) of the database, and whether its file must be (re)written."""
    if not store.exists():
        return {}, True
    with attach(store, read_only=True) as connection:
        version = checked_version(connection, store)
        if version == 0:
            return {}, True
        rows = connection.sql("SELECT study, cell_id, record_sha256, run_id FROM raw.run").fetchall()
    return {(study, cell_id): (sha256, run_id) for study, cell_id, sha256, run_id in rows}, version < latest_version()


def _load_changes(
    store: Path,
    held: dict[CellKey, tuple[str, int]],
    *,
    write_anyway: bool,
    fresh: bool = False,
    keep_old: bool = False,
) -> IngestReport:
    scan = Scan(store.parent, {key: sha256 for key, (sha256, _) in held.items()})
    changed = scan.changed()
    first = next(changed, None)
    added = updated = 0
    if first is not None or write_anyway:
        with rewriting(store, fresh=fresh, keep_old=keep_old) as connection:
            added, updated = _load(connection, chain([first] if first else [], changed), held)
    return IngestReport(
        added=added, updated=updated, unchanged=scan.unchanged, orphans=len(scan.orphans), problems=tuple(scan.problems)
    )


@contextlib.contextmanager
def rewriting(store: Path, *, fresh: bool = False, keep_old: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a writable connection to a migrated copy of the database, which replaces it when the block ends well.

    Parameters
    ----------
    store : the database; the caller holds the ingest lock.
    fresh : start from an empty database instead of a copy.
    keep_old : keep the file that is replaced, beside it.
    """
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
        except duckdb.IOException as cause:
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


def _load(
    connection: duckdb.DuckDBPyConnection, changed: Iterable[Found], held: dict[CellKey, tuple[str, int]]
) -> tuple[int, int]:
    """Insert the changed records in batches, replacing the rows of those that were held; return (added, updated)."""
    next_id = 1 + max((run_id for _, run_id in held.values()), default=0)
    added = updated = 0
    rows, stale = Rows(), list[int]()
    for found in changed:
        earlier = held.get((found.record.study, found.record.cell_id))
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
    if stale:
        for table in _RUN_TABLES:
            connection.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT unnest(?::BIGINT[]))", [stale])
    for table, frame in rows.frames().items():
        if frame.height:
            connection.register("incoming", frame.to_arrow())
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
            connection.unregister("incoming")
