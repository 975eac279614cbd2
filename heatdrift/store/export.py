"""Export of the public views: a folder of Parquet or CSV files, or one self-contained .duckdb.

Views become tables, so nothing in the result refers to heatdrift or to another file. A Parquet folder and a .duckdb can
be imported again (``import --format heatdrift``) without loss of what was measured.
"""

import shutil
import uuid
from pathlib import Path
from typing import Final, Literal

import duckdb
import msgspec

from heatdrift.csv_safe import safe_sql
from heatdrift.errors import StoreError
from heatdrift.store.connect import STORAGE_VERSION, is_write_failure, quoted
from heatdrift.store.damage import first_line, is_damage
from heatdrift.store.files import replacing, sync_folder
from heatdrift.store.ingest import open_current
from heatdrift.store.read import ORDER, VIEWS, View, resolve_study

FileFormat = Literal["parquet", "csv"]
_OPTIONS: Final[dict[FileFormat, str]] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER true",
}


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export went, and the rows of every view in it."""

    path: Path
    rows: dict[View, int]


def export_store(
    store: Path, to: Path, *, study: str | None = None, kind: FileFormat = "parquet", safe: bool = True
) -> ExportReport:
    """Write all views of a store (of one study) to `to`, whole or not at all.

    Parameters
    ----------
    to : a file ending in ``.duckdb``, which is replaced, or a folder that does not exist yet or is empty.
    kind : files of a folder.
    safe : whether texts of CSV files that a spreadsheet would run are marked (``csv_safe.py``).

    Raises
    ------
    StoreError
        There is no store, the folder holds something, or `to` cannot be written.
    """
    if to.suffix == ".duckdb" and to.resolve() == store.resolve():
        raise StoreError(f"{to} is the store itself", hint="name another file with --to")
    with open_current(store) as connection:
        if study is not None:
            resolve_study(connection, study)
        try:
            if to.suffix == ".duckdb":
                rows = _database(connection, to, study)
            else:
                rows = _folder(connection, to, study, kind, safe=safe and kind == "csv")
        except duckdb.Error as cause:
            if is_damage(cause) or not (isinstance(cause, duckdb.IOException) or is_write_failure(cause)):
                raise
            raise StoreError(f"cannot write {to}: {first_line(cause)}", hint="free some space") from cause
    return ExportReport(path=to, rows=rows)


def _query(view: View, study: str | None) -> str:
    where = f" WHERE study = {quoted(study)}" if study is not None else ""
    return f"SELECT * FROM store.main.{view}{where} ORDER BY {ORDER[view]}"


def _marked(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Return a query whose texts are marked where a spreadsheet would run them."""
    described = connection.sql(f"DESCRIBE {query}").fetchall()
    texts = [f'"{row[0]}"' for row in described if row[1] == "VARCHAR"]
    marked = ", ".join(f"{safe_sql(name)} AS {name}" for name in texts)
    return f"SELECT * REPLACE ({marked}) FROM ({query})" if texts else query


def _database(connection: duckdb.DuckDBPyConnection, to: Path, study: str | None) -> dict[View, int]:
    rows: dict[View, int] = {}
    with replacing(to) as temporary:
        connection.execute(f"ATTACH {quoted(str(temporary))} AS export (STORAGE_VERSION '{STORAGE_VERSION}')")
        for view in VIEWS:
            connection.execute(f"CREATE TABLE export.{view} AS {_query(view, study)}")
            rows[view] = int(connection.sql(f"SELECT count(*) FROM export.{view}").fetchall()[0][0])
        connection.execute("DETACH export")
    return rows


def _folder(
    connection: duckdb.DuckDBPyConnection, to: Path, study: str | None, kind: FileFormat, *, safe: bool
) -> dict[View, int]:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise StoreError(f"{to} is there already and not an empty folder", hint="name a new folder with --to")
    rows: dict[View, int] = {}
    making = to.with_name(f".{to.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        making.mkdir(parents=True)
        for view in VIEWS:
            file = making / f"{view}.{kind}"
            query = _marked(connection, _query(view, study)) if safe else _query(view, study)
            copied = connection.execute(f"COPY ({query}) TO {quoted(str(file))} ({_OPTIONS[kind]})")
            rows[view] = int(copied.fetchall()[0][0])
        if to.exists():
            to.rmdir()
        making.rename(to)
        sync_folder(to.parent)
    except OSError as cause:
        raise StoreError(f"cannot write {to}: {cause.strerror}", hint="free some space or name another --to") from cause
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return rows
