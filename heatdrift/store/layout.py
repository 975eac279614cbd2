"""Whether a store was made with this heatdrift's list of metrics, and bringing it up to that list.

Two things in the database follow ``heatdrift.metrics``: the columns of ``raw.epoch``, one per measured value, and the
views (`views.py`). ``raw.layout`` keeps the hash of the statements that made them. Another hash means another list: an
earlier one, and the columns that are missing are added and the views made again; or a later one, known by columns that
are not ours, and the store is left alone.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

import duckdb

from heatdrift import __version__
from heatdrift.metrics import STORED
from heatdrift.store.views import view_statements

_COLUMNS: Final = (
    "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = current_database() "
    "AND (schema_name = 'main' OR schema_name = 'raw' AND table_name = 'epoch')"
)


def layout_sha256() -> str:
    """Return the hash of the statements that make the views of this heatdrift."""
    return hashlib.sha256("\n".join((*STORED, *view_statements())).encode()).hexdigest()


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the open store, whose migrations are all applied, was made with this heatdrift's list of metrics."""
    return connection.sql("SELECT sha256 FROM raw.layout").fetchall() == [(layout_sha256(),)]


def columns(connection: duckdb.DuckDBPyConnection) -> frozenset[tuple[str, str]]:
    """Return (table, column) of the views, and of the table of epochs, in the open store."""
    return frozenset(connection.sql(_COLUMNS).fetchall())


def apply_layout(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the columns that the writable store lacks and make the views, in one transaction, unless it is current.

    A column of a metric that is no longer measured stays in ``raw.epoch``; no view shows it.
    """
    if is_current(connection):
        return
    connection.execute("BEGIN TRANSACTION")
    try:
        for name in STORED:
            connection.execute(f"ALTER TABLE raw.epoch ADD COLUMN IF NOT EXISTS {name} DOUBLE")
        for statement in view_statements():
            connection.execute(statement)
        connection.execute("DELETE FROM raw.layout")
        connection.execute(
            "INSERT INTO raw.layout VALUES (?, ?, ?)",
            [layout_sha256(), __version__, datetime.now(UTC).replace(tzinfo=None)],
        )
    except duckdb.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
