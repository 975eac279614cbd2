import hashlib
import re
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import QueryError, StoreError, UnknownNameError
from heatdrift.store import queries
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.queries import list_queries, named_query, parse_query, run_query
from heatdrift.store.sql import parse_parameter, pooled_studies, query_frame, run_sql


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_record):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (7, 11):
        write_record(make_record(seed=seed), folder)
    ingest(folder / "heatdrift.duckdb")
    return folder / "heatdrift.duckdb"


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("select status, count(*) from runs group by 1", (1, 2)),
        ("FROM runs", (2, 104)),
        ("-- a comment\nWITH a AS (SELECT 1 AS x) SELECT * FROM a;", (1, 1)),
        ("VALUES (1), (2)", (2, 1)),
        ("DESCRIBE runs", (104, 6)),
        ("SHOW TABLES", (10, 1)),
        ("EXPLAIN SELECT 1", (1, 2)),
        ("SUMMARIZE transfer", (14, 12)),
        ("PIVOT transfer ON transfer_set USING avg(adapted_pct) GROUP BY study", (1, 3)),
        ("SELECT seed FROM runs WHERE false", (0, 1)),
    ],
)
def test_reading_statements_run(store, query, shape):
    assert run_sql(store, query).shape == shape


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO raw.run (study) VALUES ('x')",
        "UPDATE raw.run SET study = 'x'",
        "DELETE FROM raw.run",
        "DROP VIEW runs",
        "DROP SCHEMA raw CASCADE",
        "CREATE TABLE mine (x INTEGER)",
        "CREATE TABLE memory.mine (x INTEGER)",
        "ALTER TABLE raw.run ADD COLUMN x INTEGER",
        "TRUNCATE raw.run",
        "COPY runs TO '{out}'",
        "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
        "EXPORT DATABASE '{out}'",
        "EXPLAIN ANALYZE DELETE FROM raw.run",
        "EXPLAIN ANALYZE COPY runs TO '{out}'",
        "ATTACH '{out}' AS other",
        "DETACH store",
        "USE memory",
        "LOAD httpfs",
        "INSTALL httpfs",
        "SET threads = 1",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        "PRAGMA enable_profiling = 'json'",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "CALL pragma_version()",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{store}')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT 1; DELETE FROM raw.run",
        "SELECT * FROM connection",  # a Python variable
        "",
        ";",
        "-- nothing",
    ],
)
def test_writes_files_extensions_settings_and_more_are_refused(store, tmp_path, query):
    before = hashlib.sha256(store.read_bytes()).hexdigest()
    out = tmp_path / "out.csv"
    with pytest.raises(QueryError) as caught:
        run_sql(store, query.format(out=out, store=store))
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert not out.exists()
    assert hashlib.sha256(store.read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT retention FROM runs", 'Referenced column "retention" not found.*"retention_pct"'),
        ("SELECT * FROM run", "Table with name run does not exist"),
        ("SELEC 1", "syntax error at or near"),
        ("SELECT study::INTEGER FROM runs", "Could not convert string 'tiny'"),
        ("SELECT INTERVAL 3 DAY", "tables cannot hold"),
        ("SELECT error('boom')", "boom"),
    ],
)
def test_an_error_is_one_clear_paragraph(store, query, says):
    with pytest.raises(QueryError, match=says) as caught:
        run_sql(store, query)
    assert "LINE 1" not in caught.value.message
    assert caught.value.hint


def test_parameters_are_values_never_text(store):
    query = "SELECT count(*) AS n FROM runs WHERE study = $study AND lr = $lr"
    assert run_sql(store, query, {"study": "tiny", "lr": "0.001"})["n"].to_list() == [2]
    assert run_sql(store, query, {"study": "tiny' OR '1'='1", "lr": 0.001})["n"].to_list() == [0]
    with pytest.raises(QueryError, match=r"no value for the parameter \$lr"):
        run_sql(store, query, {"study": "tiny"})
    with pytest.raises(QueryError, match=r"no parameter \$seed \(it has: \$lr, \$study\)"):
        run_sql(store, query, {"study": "tiny", "lr": 1, "seed": 1})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1e-5", 1e-5),
        ("null", None),
        ("true", True),
        ('"1"', "1"),
        ("lora_r8", "lora_r8"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_a_parameter_is_a_json_value_or_text(text, value):
    assert parse_parameter(text) == value


def test_a_store_that_is_missing_is_built_for_a_query(store):
    other = store.with_name("other.duckdb")
    assert run_sql(other, "SELECT count(*) AS n FROM runs")["n"].to_list() == [2]
    with pytest.raises(StoreError, match="no store"):
        run_sql(store.parent / "nowhere" / "x.duckdb", "SELECT 1")


def test_a_named_question_takes_its_defaults(store):
    assert run_query(store, "retention_by_method").height == 1
    assert run_query(store, "retention_by_method", {"study": "other"}).height == 0
    assert run_query(store, "layer_drift", {"metric": "gini"})["layer"].to_list() == [0, 1, 2]
    with pytest.raises(UnknownNameError, match="best_run"):
        named_query("best_run")
    with pytest.raises(QueryError, match="study"):
        run_query(store, "best_runs", {"nonsense": 1})


def test_every_question_has_a_header_and_no_unused_parameter():
    found = list_queries()
    assert len(found) >= 6
    for query in found:
        assert query.question.endswith("?")
        assert query.grain.startswith("one row per ")
        used = set(re.findall(r"\$(\w+)", "\n".join(x for x in query.sql.splitlines() if not x.startswith("--"))))
        assert {p.name for p in query.parameters} == used
    with pytest.raises(QueryError, match="grain"):
        parse_query("x", "-- question: why?\nSELECT 1")


def test_questions_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    assert queries._FOLDERS[1] == Path(__file__).resolve().parents[3] / "queries"
    monkeypatch.setattr(queries, "_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(QueryError, match="missing"):
        list_queries()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.sql").write_text(
        "-- question: q?\n-- grain: g\n-- units: u\n-- param k = 3: a number\nSELECT $k"
    )
    assert list_queries()[0].parameters[0].default == 3


@pytest.mark.parametrize(
    ("table", "offered"), [("run", '"runs"'), ("epoch", '"epochs"'), ("cell", '"cells"'), ("zzqq", None)]
)
def test_a_missing_table_offers_the_nearest_view_and_no_table_behind_it(store, table, offered):
    with pytest.raises(QueryError) as caught:
        run_sql(store, f"select * from {table}")
    assert "raw." not in caught.value.message
    assert "pg_" not in caught.value.message
    if offered:
        assert f"Did you mean {offered}?" in caught.value.message


@pytest.mark.parametrize("name", ["layer_drift", "head_extremes"])
def test_a_metric_that_the_view_lacks_is_named(store, name):
    with pytest.raises(UnknownNameError, match="entropi") as caught:
        run_query(store, name, {"metric": "entropi"})
    assert caught.value.nearest == "entropy"
    assert run_query(store, name, {"metric": "entropy"}).height


@pytest.fixture(scope="module")
def two_studies(tmp_path_factory, make_record):
    folder = tmp_path_factory.mktemp("two")
    for study, seeds in (("mini", (7, 11)), ("vitb16", (7,))):
        for seed in seeds:
            write_record(make_record(study=study, seed=seed), folder)
    ingest(folder / "heatdrift.duckdb")
    return folder / "heatdrift.duckdb"


@pytest.mark.parametrize(
    "query",
    [
        "select method, avg(retention_pct) from runs group by all",  # the README's
        "SELECT count(*) FROM epochs",
        "WITH r AS (FROM runs) SELECT avg(lr) FROM r",
        "select avg(retention_pct) from runs where dataset <> 'study' -- by study",
        "select avg(retention_pct_mean) /* study */ from cells where lr > $lr",
        'select avg("retention_pct") as a_study from main.runs',
    ],
)
def test_a_query_that_pools_studies_is_noticed(two_studies, query):
    parameters = {"lr": 0.0} if "$lr" in query else None
    assert pooled_studies(two_studies, query, run_sql(two_studies, query, parameters)) == {"mini": 2, "vitb16": 1}


@pytest.mark.parametrize(
    "query",
    [
        "select method, avg(retention_pct) from runs where study = 'mini' group by all",
        "select STUDY, avg(retention_pct) from runs group by all",
        'select avg(lr) from runs group by "study"',
        "FROM runs",  # every row says its study
        "select 1",
        "SHOW TABLES",
        "DESCRIBE runs",
        "EXPLAIN SELECT avg(lr) FROM runs",
    ],
)
def test_a_query_that_names_the_study_or_reads_no_runs_pools_nothing(two_studies, query):
    assert pooled_studies(two_studies, query, run_sql(two_studies, query)) == {}


def test_one_study_is_nothing_to_pool(store):
    query = "select avg(lr) from runs"
    assert pooled_studies(store, query, run_sql(store, query)) == {}


def test_the_command_says_which_studies_a_result_mixes(two_studies):
    result = CliRunner().invoke(app, ["sql", "select avg(lr) from runs", "--store", str(two_studies)])
    said = " ".join(result.stderr.split())
    assert "the result mixes runs of 2 studies, because the query does not name study: mini (2), vitb16 (1)" in said
    assert "note" not in result.stdout
    result = CliRunner().invoke(app, ["sql", "--name", "retention_by_method", "--store", str(two_studies)])
    assert "mixes" not in result.stderr


def test_the_time_at_the_end_of_a_day_is_text():
    found = query_frame(
        duckdb.connect(), "SELECT TIME '24:00:00' AS t, TIME '01:02:03.5' AS u UNION ALL SELECT NULL, NULL"
    )
    assert sorted(found["t"].to_list(), key=str) == ["24:00:00", None]
    assert found["u"].dtype == pl.Time
