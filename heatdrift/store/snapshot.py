"""A copy of the database that any DuckDB client may open, for as long as it likes, while training goes on.

Readers of the database itself are safe, too, but a client that opens it for writing, as DuckDB's own shell and UI do
unless they are asked not to, holds it against heatdrift. A copy is nobody's but theirs; it is no hard link, because
what a client writes into a link would be written into the database.
"""

import shutil
from pathlib import Path

import msgspec

from heatdrift.errors import NotAStoreError, StoreError
from heatdrift.store.connect import open_store
from heatdrift.store.files import replacing
from heatdrift.store.ingest import open_current


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What `take_snapshot` wrote: where, how many runs of how many studies, and the bytes of the file."""

    path: Path
    n_runs: int
    n_studies: int
    n_bytes: int


def take_snapshot(store: Path, path: Path) -> Snapshot:
    """Copy the database `store`, as it is now, to `path`, whole or not at all; an earlier snapshot is replaced.

    The file that is open while it is copied stays what it is: an ingest renames a new one over it.

    Raises
    ------
    StoreError
        There is no store; `path` lies in its folder, or is a file that is no store; it cannot be written.
    """
    if path.resolve().parent == store.resolve().parent:
        raise StoreError(
            f"{path} would lie next to {store}, whose folder belongs to one store",
            hint="--path reports/snapshot.duckdb",
        )
    if path.exists():
        _check_replaceable(path)
    with open_current(store):
        pass  # made from the records, or brought up to date, where that is needed
    with replacing(path) as temporary, store.open("rb") as source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, 2**20)
        target.flush()
        with open_store(temporary) as connection:
            counts = connection.sql("SELECT count(*), count(DISTINCT study) FROM runs").fetchall()
    return Snapshot(path=path, n_runs=counts[0][0], n_studies=counts[0][1], n_bytes=path.stat().st_size)


def _check_replaceable(path: Path) -> None:
    """Refuse to replace what is no store."""
    try:
        with open_store(path):
            return
    except NotAStoreError as cause:
        raise StoreError(f"{path} is there and is no store", hint="name another file with --path") from cause
    except StoreError as cause:
        if not any(words in cause.message for words in ("is open", "has schema", "earlier list")):
            raise  # but a snapshot that a client has open, or one of another version, may be replaced
