"""A user's SQL, read-only and locked down: no writes, no files, no extensions, no settings, one statement.

A query sees what DuckDB says of itself: its settings, and the absolute path of the store. It has half of the machine's
memory (``limits.py``), and as much time as is given to it.

DuckDB itself enforces the walls (database attached read-only, external access off, configuration locked); the check of
the statement's kind comes first only to give a clear message.
"""

import io
import math
import re
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import polars as pl

from heatdrift.csv_safe import csv_safe
from heatdrift.errors import QueryError, nearest_name
from heatdrift.store.damage import first_line, is_damage, is_full_disk
from heatdrift.store.date_range import refuse_far_dates
from heatdrift.store.files import write_bytes
from heatdrift.store.ingest import open_current
from heatdrift.store.read import VIEWS

Parameter = str | int | float | bool | None
_DAY: Final = 86_400_000_000  # microseconds
_READING: Final = {"SELECT", "EXPLAIN", "MULTI"}  # MULTI: a PIVOT whose columns come from the data
_LOCKS: Final = (
    "SET enable_external_access = false",
    "SET autoload_known_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",  # else a Python variable's name is a table
    "SET lock_configuration = true",
)
_MISSING_TABLE: Final = re.compile(r'(?P<what>Table with name (?P<name>\S+) does not exist!) Did you mean "[^"]*"\?')
_NO_NAMES: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)  # texts and comments
_STUDY: Final = re.compile(r"\bstudy\b", re.IGNORECASE)
_A_VIEW: Final = re.compile(rf"\b({'|'.join(VIEWS)})\b", re.IGNORECASE)
_ABOUT_TABLES: Final = re.compile(r"\s*(describe|show|explain)\b", re.IGNORECASE)
_HINT: Final = f"heatdrift sql --list shows the named questions, docs/schema.md the columns; views: {', '.join(VIEWS)}"


def run_sql(
    store: Path, query: str, parameters: Mapping[str, Parameter] | None = None, *, timeout_s: float | None = None
) -> pl.DataFrame:
    """Run one reading statement on a store and return its rows.

    Parameters
    ----------
    store : the database; built first if it is missing while records exist.
    query : one SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN; ``$name`` is a parameter.
    parameters : values by name; a text is converted to the type of the column it is compared with.
    timeout_s : seconds after which the statement is stopped; None = never.

    Raises
    ------
    QueryError
        DuckDB refuses the statement, it would write, it took too long, a parameter is missing or unknown, or a date of
        the result is beyond the years that Python has.
    """
    with open_current(store) as connection:
        lock_down(connection)
        return query_frame(connection, query, parameters, timeout_s=timeout_s)


def lock_down(connection: duckdb.DuckDBPyConnection) -> None:
    """Take from a connection all access to files, extensions and settings, for good."""
    for statement in _LOCKS:
        connection.execute(statement)


def query_frame(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    timeout_s: float | None = None,
) -> pl.DataFrame:
    """Run one reading statement on a locked-down connection (see `run_sql`)."""
    if timeout_s is not None and not timeout_s > 0.0:
        raise QueryError(f"a timeout is above 0 seconds, got {timeout_s:g}", hint="heatdrift sql QUERY --timeout 60")
    _check_utf8(query, *(value for item in (parameters or {}).items() for value in item))
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as cause:
        raise _explained(cause) from cause
    if len(statements) != 1:
        raise QueryError(f"one SQL statement is wanted, got {len(statements)}", hint=_HINT)
    statement = statements[0]
    kind = _kind(statement)
    if kind not in _READING:
        raise QueryError(
            f"{kind} is refused: a store is only read with SQL, its rows come from the records",
            hint="write a SELECT; to keep the result: heatdrift sql QUERY --format csv > FILE",
        )
    given = dict(parameters or {})
    _check_names(set(statement.named_parameters), given)
    try:
        frame = _interruptible(connection, query, given, timeout_s)
    except duckdb.Error as cause:
        if is_damage(cause):
            raise  # no fault of the query: whoever opened the file names it (``damage.Opened``)
        raise _explained(cause) from cause
    except pl.exceptions.PolarsError as cause:
        raise QueryError(
            f"a column of the result has a type that tables cannot hold: {cause}", hint="cast it: column::VARCHAR"
        ) from cause
    refuse_far_dates(frame)
    return frame


def _kind(statement: duckdb.Statement) -> str:
    """Name of a statement's kind; DuckDB's Python client lacks some that its parser has (UPDATE EXTENSIONS)."""
    try:
        return str(statement.type.name)
    except ValueError:
        return "a statement of this kind"


def _check_utf8(*texts: object) -> None:
    """Refuse what a shell passed on as bytes that are no text."""
    for text in texts:
        if isinstance(text, str):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise QueryError(f"not UTF-8: {text}", hint="write the query and its parameters in UTF-8") from None


def _interruptible(
    connection: duckdb.DuckDBPyConnection, query: str, given: dict[str, Parameter], timeout_s: float | None
) -> pl.DataFrame:
    """Run a query in a thread, so that Ctrl-C reaches this one, which stops DuckDB and passes the signal on."""
    end = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sql") as pool:
        running = pool.submit(lambda: _frame(connection.sql(query, params=given or None)))
        try:
            while not running.done():  # in short waits: a signal that another thread took would not end a long one
                wait([running], timeout=max(0.0, min(0.2, end - time.monotonic())))
                if time.monotonic() >= end and not running.done():
                    _stop(connection, running)
                    raise QueryError(
                        f"the query was stopped after {timeout_s:g} seconds",
                        hint="give it more with --timeout, or ask for less (LIMIT, WHERE)",
                    )
        except KeyboardInterrupt:
            _stop(connection, running)
            raise
        frame: pl.DataFrame = running.result()
        return frame


def _frame(found: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """Return the rows; a column that holds the time 24:00:00, which polars has not, is text."""
    if "TIME" not in map(str, found.types):
        plain: pl.DataFrame = found.pl()
        return plain
    import pyarrow as pa
    import pyarrow.compute as pc

    table = found.to_arrow_table()
    for i, field in enumerate(table.schema):
        if pa.types.is_time64(field.type):
            microseconds = table.column(i).cast(pa.int64())
            latest = pc.max(microseconds).as_py()
            if latest is not None and latest >= _DAY:
                texts = [None if n is None else _clock(n) for n in microseconds.to_pylist()]
                table = table.set_column(i, field.name, pa.array(texts, pa.string()))
    return pl.DataFrame(table)


def _clock(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{rest:06d}".rstrip("0") if rest else text


def _stop(connection: duckdb.DuckDBPyConnection, running: Future[pl.DataFrame]) -> None:
    """Interrupt a query until it has ended: an interrupt between two of its stages is forgotten."""
    while not running.done():
        connection.interrupt()
        wait([running], timeout=0.1)


def pooled_studies(store: Path, query: str, frame: pl.DataFrame) -> dict[str, int]:
    """Return study -> runs of the studies that a query took together; empty where it did not.

    A query names `study` to keep studies apart or to choose one; one whose rows say their study pools nothing either.
    What its other conditions leave of a study is not looked at.

    Parameters
    ----------
    query : a statement that `run_sql` accepted.
    frame : what it returned.
    """
    text = _NO_NAMES.sub(" ", query)
    if _STUDY.search(text) or "study" in frame.columns or _ABOUT_TABLES.match(text) or not _A_VIEW.search(text):
        return {}
    with open_current(store) as connection:
        found = connection.execute("SELECT study, count(*) FROM raw.run GROUP BY study ORDER BY study").fetchall()
    return dict(found) if len(found) > 1 else {}


def _check_names(wanted: set[str], given: Mapping[str, Parameter]) -> None:
    missing, unknown = sorted(wanted - set(given)), sorted(set(given) - wanted)
    if missing:
        raise QueryError(f"no value for the parameter ${missing[0]}", hint=f"add --param {missing[0]}=VALUE")
    if unknown:
        names = ", ".join(f"${name}" for name in sorted(wanted)) or "none"
        raise QueryError(
            f"the query has no parameter ${unknown[0]} (it has: {names})", hint=f"leave out --param {unknown[0]}"
        )


def write_frame(frame: pl.DataFrame, path: Path, kind: str, *, safe: bool = True) -> None:
    """Write rows to a file as ``parquet``, ``csv`` or ``json``, whole or not at all; StoreError when it cannot be.

    `safe`: texts of a CSV file that a spreadsheet would run are marked (``csv_safe.py``).
    """
    made = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(made)
    elif kind == "csv":
        (csv_safe(frame) if safe else frame).write_csv(made)
    else:
        made.write(msgspec.json.encode(frame.to_dicts(), enc_hook=str))
    write_bytes(path, made.getvalue())


def parse_parameter(text: str) -> Parameter:
    """Return the value of ``--param name=TEXT``: a JSON number, true, false, null or "text"; else the text itself."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if value is None or isinstance(value, str | int | float | bool) else text


def _explained(cause: duckdb.Error) -> QueryError:
    """Return DuckDB's message as one paragraph, without the drawing of the line that it ends with.

    A full disk is no fault of the query.
    """
    if is_full_disk(cause):
        return QueryError(
            f"the query puts more aside than the disk of temporary files takes: {first_line(cause)}",
            hint="ask for less (WHERE, LIMIT, fewer columns), free some space, or set TMPDIR to a larger disk",
        )
    if isinstance(cause, duckdb.IOException):
        return QueryError(f"a file cannot be read or written: {first_line(cause)}", hint="try the same query again")
    text = str(cause).split("\n\nLINE ", maxsplit=1)[0].split("\nLINE ", maxsplit=1)[0]
    return QueryError(_MISSING_TABLE.sub(_missing_table, " ".join(text.split())), hint=_HINT)


def _missing_table(found: re.Match[str]) -> str:
    """Offer the nearest view: DuckDB offers the tables behind the views and its own catalogue."""
    nearest = nearest_name(found["name"], VIEWS)
    return found["what"] + (f' Did you mean "{nearest}"?' if nearest else "")
