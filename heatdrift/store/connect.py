"""Opening the database: attached to a private in-memory DuckDB, its version checked, every failure put into words.

Attaching instead of connecting gives each opening its own DuckDB instance. A connection opened after an ingest
therefore sees the new file, while one opened before keeps its snapshot, even within one process.
"""

import re
from pathlib import Path
from typing import Final

import duckdb

from heatdrift.errors import NotAStoreError, StoreError
from heatdrift.store.damage import Opened, first_line, is_full_disk, rebuilding
from heatdrift.store.layout import columns, is_current
from heatdrift.store.limits import duckdb_limits
from heatdrift.store.migrate import is_outdated, latest_version, migrate, schema_version

STORAGE_VERSION: Final = "v1.4.0"  # read by every DuckDB >= 1.4, the oldest one that heatdrift installs with
_UPGRADE: Final = "python -m pip install --upgrade heatdrift"
_HOLDER: Final = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


def open_store(path: Path, *, read_only: bool = True) -> Opened:
    """Open a store, as a context manager that gives a connection, whose default database is the store.

    Writable, a missing or empty file becomes a store and an older schema is brought up to date. heatdrift itself writes
    only to copies (``ingest.rewriting``): while one process has a DuckDB file open for writing, no other can open it.

    Raises
    ------
    NotAStoreError
        The file is damaged, not DuckDB, or another program's database.
    StoreError
        It is missing (read-only), locked by a writer, of a newer or (read-only) of an older schema or list of metrics.
        Damage that only a query finds is a NotAStoreError at the end of its block.
    """
    connection = attach(path, read_only=read_only)
    try:
        version = checked_version(connection, path)
        if is_outdated(connection, version):
            if read_only:
                raise _outdated(path, version)
            migrate(connection)
    except duckdb.Error as cause:  # a file that is cut off opens, and fails when its blocks are read
        connection.close()
        if is_write_failure(cause):
            raise
        raise _explained(cause, path) from cause
    except BaseException:
        connection.close()
        raise
    return Opened(connection, path)


def checked_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the schema version of an attached store; refuse another program's database and a newer heatdrift's."""
    try:
        version = schema_version(connection)
    except duckdb.Error as cause:
        raise _explained(cause, path) from cause
    if version is None:
        raise NotAStoreError(
            f"{path} is a DuckDB database, but not a heatdrift store",
            hint="name another file with --store (default runs/heatdrift.duckdb)",
        )
    if version > latest_version():
        raise StoreError(
            f"{path} has schema {version}, newer than {latest_version()}, the newest that this heatdrift reads",
            hint=_UPGRADE,
        )
    if version == latest_version() and not is_current(connection) and (later := columns(connection) - _own_columns()):
        names = ", ".join(sorted({column for _, column in later})[:3])
        raise StoreError(f"{path} has columns of a newer heatdrift than this one ({names})", hint=_UPGRADE)
    return version


def needs_migration(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether an attached store has an older schema or list of metrics; NotAStoreError where its blocks are damaged."""
    try:
        return is_outdated(connection, checked_version(connection, path))
    except duckdb.Error as cause:
        raise _explained(cause, path) from cause


def _own_columns() -> frozenset[tuple[str, str]]:
    """Return the columns of a new store."""
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        return columns(connection)


def _outdated(path: Path, version: int) -> StoreError:
    text = f"{path} has schema {version}, this heatdrift reads schema {latest_version()}"
    if version == latest_version():
        text = f"{path} was made with an earlier list of metrics than this heatdrift has"
    return StoreError(text, hint=f"heatdrift store rebuild --store {path}")


def attach(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Attach the DuckDB file `path` to a new in-memory instance as the default database; its schema is not checked."""
    if read_only and not path.exists():
        raise StoreError(
            f"there is no store at {path}",
            hint="heatdrift train --all --study demo makes one, or name another with --store FILE.duckdb",
        )
    options = ["TYPE duckdb"]  # without it DuckDB fetches an extension for a file that looks like SQLite
    if read_only:
        options.append("READ_ONLY")
    elif not path.exists():
        options.append(f"STORAGE_VERSION '{STORAGE_VERSION}'")
    connection = duckdb.connect(":memory:", config=duckdb_limits())
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"ATTACH {quoted(path)} AS store ({', '.join(options)})")
        connection.execute("USE store")
    except duckdb.Error as cause:
        connection.close()
        raise _explained(cause, path) from cause
    except OSError as cause:
        connection.close()
        raise StoreError(
            f"cannot write {path}: {cause.strerror}", hint="make its folder writable or name another --store"
        ) from cause
    return connection


def quoted(text: Path | str) -> str:
    """Return `text` as an SQL literal, for the few statements that take no parameters (ATTACH, COPY)."""
    return "'" + str(text).replace("'", "''") + "'"


def _explained(cause: duckdb.Error, path: Path) -> StoreError:
    """Return the StoreError for a DuckDB error at opening `path`: its cause and the next command."""
    text = str(cause)
    rebuild = rebuilding(path)
    holder = _HOLDER.search(text)
    if "lock on file" in text:
        who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another process"
        return StoreError(
            f"{path} is open for writing in {who}",
            hint="close it there (a DuckDB shell? open it with -readonly), then try again",
        )
    if "already attached" in text:  # one process, two connections: DuckDB before 1.5, or one of them writing
        return StoreError(f"{path} is open in this process already", hint="close the other connection first")
    if is_full_disk(cause):
        return StoreError(f"cannot write {path}: {first_line(cause)}", hint="free some space, then run it again")
    if "version number" in text:
        return StoreError(
            f"{path} was written by a newer DuckDB than the installed {duckdb.__version__}",
            hint="python -m pip install --upgrade duckdb",
        )
    if "not a valid DuckDB database" in text:
        return NotAStoreError(f"{path} is not a DuckDB database", hint=f"name another file with --store; {rebuild}")
    if (
        "Permission denied" in text
        or "Read-only file system" in text
        or "Is a directory" in text
        or "Cannot open file" in text
    ):
        return StoreError(
            f"cannot open {path}: {first_line(cause)}",
            hint="check the file and its permissions, or name another --store",
        )
    return NotAStoreError(f"{path} is damaged: {first_line(cause)}", hint=rebuild)


def is_write_failure(cause: duckdb.Error) -> bool:
    """Whether DuckDB failed because the disk did not take what it wrote: full, at its quota, or gone.

    At a commit such a failure comes as a TransactionException, or as a FatalException that ends the connection.
    """
    kinds = duckdb.TransactionException | duckdb.FatalException | duckdb.OutOfMemoryException
    return isinstance(cause, kinds) or is_full_disk(cause)
