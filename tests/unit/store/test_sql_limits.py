"""What a query may take: time, memory, temporary space; and what it gives back where Python cannot hold it."""

import os
import stat
import sys
from pathlib import Path

import duckdb
import pytest

from heatdrift.cli import output
from heatdrift.errors import QueryError
from heatdrift.machine import machine_memory_bytes
from heatdrift.store.connect import open_store
from heatdrift.store.sql import query_frame, run_sql

ENDLESS = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store.duckdb"
    open_store(path, read_only=False).close()
    return path


def setting(store, name):
    return run_sql(store, "SELECT value FROM duckdb_settings() WHERE name = $name", {"name": name})["value"][0]


def test_a_timeout_stops_a_query():
    with duckdb.connect(":memory:") as connection:
        with pytest.raises(QueryError, match=r"stopped after 0\.3 seconds") as caught:
            query_frame(connection, ENDLESS, timeout_s=0.3)
        assert "--timeout" in caught.value.hint
        assert query_frame(connection, "SELECT 1 AS one", timeout_s=60.0).rows() == [(1,)]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_timeout_is_above_zero(seconds):
    with duckdb.connect(":memory:") as connection, pytest.raises(QueryError, match="above 0"):
        query_frame(connection, "SELECT 1", timeout_s=seconds)


def test_a_query_has_half_of_the_memory(store):
    value, unit = setting(store, "memory_limit").split()
    limit = float(value) * {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    assert limit == pytest.approx(machine_memory_bytes() / 2, rel=0.06)  # DuckDB shows one decimal


def test_temporary_files_lie_in_a_private_folder_of_the_process_with_a_limit(store):
    folder = Path(setting(store, "temp_directory"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()
    assert str(os.getpid()) in folder.name
    assert "%" not in setting(store, "max_temp_directory_size")


def test_folders_of_secrets_and_extensions_of_the_user_are_not_shown(store):
    settings = run_sql(store, "SELECT name, value FROM duckdb_settings()")
    home = str(Path("~").expanduser())
    shown = {name: value for name, value in settings.rows() if value and f"{home}/.duckdb" in value}
    assert not shown


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DATE '290000-01-01' AS d",
        "SELECT DATE 'infinity' AS d",
        "SELECT DATE '0044-03-15 (BC)' AS d",
        "SELECT TIMESTAMP '200000-01-01' AS d",
        "SELECT 'infinity'::TIMESTAMP AS d",
        "SELECT TIMESTAMPTZ '200000-01-01' AS d",
        "SELECT [DATE '290000-01-01'] AS d",
        "SELECT {'x': DATE '290000-01-01'} AS d",
    ],
)
def test_a_date_beyond_the_range_is_one_clear_paragraph(store, query):
    with pytest.raises(QueryError, match="years 1 to 9999") as caught:
        run_sql(store, query)
    assert "VARCHAR" in caught.value.hint


def test_dates_within_the_range_stay(store):
    query = "SELECT DATE '0001-01-01' a, DATE '9999-12-31' b, NULL::DATE c, TIMESTAMP '2026-11-27 12:00:00' d"
    row = run_sql(store, query).rows()[0]
    assert [str(value) for value in row] == ["0001-01-01", "9999-12-31", "None", "2026-11-27 12:00:00"]


def test_a_statement_of_an_unknown_kind_is_refused(store):
    with pytest.raises(QueryError, match="refused"):
        run_sql(store, "UPDATE EXTENSIONS")


@pytest.mark.parametrize(
    ("query", "parameters"), [("SELECT '\udcff'", {}), ("SELECT $a AS a", {"a": "\udcff"})], ids=["query", "parameter"]
)
def test_text_that_is_not_utf8_is_refused(store, query, parameters):
    with pytest.raises(QueryError, match="UTF-8"):
        run_sql(store, query, parameters)


def test_bytes_that_are_not_utf8_can_be_printed(capsys):
    output.note("a\udcffb")
    output.say("a\udcffb")
    captured = capsys.readouterr()
    assert captured.out.strip() == captured.err.strip() == "a\\udcffb"
    assert sys.getfilesystemencoding() == "utf-8"
