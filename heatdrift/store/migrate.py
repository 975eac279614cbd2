"""The schema: numbered SQL steps in migrations/, each applied in one transaction and noted in ``raw.migration``.

A released step is never edited; the next one is added. What follows the list of metrics is made after the steps
(`layout.py`). There are no other CREATE statements in heatdrift.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from heatdrift import __version__
from heatdrift.store.layout import apply_layout, is_current

FOLDER: Final = Path(__file__).parent / "migrations"
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its number, the name behind it, its SQL."""

    version: int
    name: str
    sql: str


def migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """Return all steps in order; they are numbered 1, 2, 3... without a gap."""
    steps: list[Migration] = []
    for path in sorted((folder or FOLDER).glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != len(steps) + 1:
            raise RuntimeError(f"{path} is not step {len(steps) + 1:04d}_<name>.sql")
        steps.append(Migration(version=int(match[1]), name=match[2], sql=path.read_text(encoding="utf-8")))
    return tuple(steps)


def latest_version() -> int:
    """Return the schema version that this heatdrift writes and reads."""
    return len(migrations())


def schema_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """Return the schema version of the open database; 0 = empty, None = a database that is not heatdrift's."""
    here = "database_name = current_database()"
    noted = f"SELECT count(*) FROM duckdb_tables() WHERE {here} AND schema_name = 'raw' AND table_name = 'migration'"
    if _one(connection, noted):
        return _one(connection, "SELECT coalesce(max(version), 0) FROM raw.migration")
    objects = _one(connection, f"SELECT count(*) FROM duckdb_tables() WHERE {here}")
    return None if objects else 0


def is_outdated(connection: duckdb.DuckDBPyConnection, version: int) -> bool:
    """Whether an open store of schema `version` must be brought up to date before this heatdrift reads it."""
    return version < latest_version() or not is_current(connection)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.sql(query).fetchall()[0][0])


def migrate(connection: duckdb.DuckDBPyConnection) -> tuple[Migration, ...]:
    """Bring the open, writable database to the latest schema and layout; return the steps that were applied.

    A step that fails is rolled back as a whole and its error is raised; earlier steps stay applied.
    """
    done = schema_version(connection)
    if done is None:
        raise ValueError("not a heatdrift database: open it with connect.open_store, which refuses it")
    pending = migrations()[done:]
    for step in pending:
        connection.execute("BEGIN TRANSACTION")
        try:
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO raw.migration VALUES (?, ?, ?, ?)",
                [step.version, step.name, __version__, datetime.now(UTC).replace(tzinfo=None)],
            )
        except duckdb.Error:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    if pending:  # made again after a step: DuckDB writes the views of a store that it rewrites in other words
        connection.execute("DELETE FROM raw.layout")
    apply_layout(connection)
    return pending
