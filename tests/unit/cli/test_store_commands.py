"""import, export, status, sql --out and store check through the command line: what they print and their exit codes."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError, QueryError, StoreError


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def store(trained, tmp_path):
    """A copy of two really trained runs under this test's folder, made by import."""
    result = call("import", trained, "--format", "heatdrift", "--store", tmp_path / "runs" / "heatdrift.duckdb")
    assert result.exit_code == 0, result.output
    assert "study tiny: 2 imported, 0 there already, 0 left out" in result.stdout
    return tmp_path / "runs" / "heatdrift.duckdb"


def test_an_export_goes_in_and_out(store, tmp_path):
    for to in (tmp_path / "csv", tmp_path / "parquet", tmp_path / "all.duckdb"):
        kind = to.name if to.suffix == "" else "parquet"
        assert call("export", "--to", to, "--format", kind, "--store", store).exit_code == 0
    assert pl.read_csv(tmp_path / "csv" / "runs.csv").height == 2
    again = tmp_path / "again" / "heatdrift.duckdb"
    for source, says in ((tmp_path / "parquet", "2 imported"), (tmp_path / "parquet", "2 there already")):
        assert says in call("import", source, "--format", "heatdrift", "--store", again).stdout
    (row,) = json.loads(call("status", "--store", again, "--format", "json").stdout)
    assert (row["planned"], row["done"]) == (2, 2)
    assert call("export", "--to", tmp_path / "csv", "--store", store).exit_code != 0  # never over something


def test_a_query_is_written_as_parquet(store, tmp_path):
    out = tmp_path / "layers.parquet"
    assert call("sql", "from layers", "--format", "parquet", "--out", out, "--store", store).exit_code == 0
    counted = json.loads(call("sql", "select count(*) n from layers", "--store", store, "--format", "json").stdout)
    assert pl.read_parquet(out).height == counted[0]["n"] > 0
    assert isinstance(call("sql", "from runs", "--format", "parquet", "--store", store).exception, QueryError)


def test_status_counts_and_lists(store):
    (row,) = json.loads(call("status", "--store", store, "--format", "json").stdout)
    assert (row["study"], row["planned"], row["done"], row["missing"], row["time_left_s"]) == ("tiny", 2, 2, 0, 0.0)
    cells = json.loads(call("status", "--cells", "--store", store, "--format", "json").stdout)
    assert [c["status"] for c in cells] == ["done", "done"]


@pytest.mark.parametrize("option", ["--repair", "--mend"])
def test_check_exits_2_when_something_is_wrong_and_puts_it_right_when_asked(store, option):
    assert call("store", "check", "--store", store).exit_code == 0
    path = next(store.parent.rglob("record.json"))
    path.write_text("{")
    result = call("store", "check", "--store", store, "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["findings"][0]["todo"] == f"heatdrift store check --repair --store {store}"
    assert call("store", "check", option, "--store", store).exit_code == 0
    assert json.loads(call("store", "check", "--store", store, "--format", "json").stdout)["findings"] == []


def test_the_older_name_of_repair_is_not_in_the_help():
    assert "--repair" in call("store", "check", "--help").stdout
    assert "--mend" not in call("store", "check", "--help").stdout


def test_a_table_needs_a_map(tmp_path):
    (tmp_path / "t.csv").write_text("model,seed\nViT,7\n")
    store = tmp_path / "runs" / "heatdrift.duckdb"
    result = call("import", tmp_path / "t.csv", "--format", "table", "--map", "backbone=model", "--store", store)
    assert isinstance(result.exception, DataError)
    assert "no value for dataset, method, lr" in result.exception.message
    assert "--set method=VALUE" in result.exception.hint


def test_a_second_store_in_the_folder_is_refused_before_anything_is_done(store, tmp_path):
    second = store.with_name("other.duckdb")
    result = call("import", tmp_path / "nothing", "--format", "heatdrift", "--store", second)
    assert isinstance(result.exception, StoreError)
    assert str(store) in result.exception.message
    assert str(store) in result.exception.hint


def test_a_table_import_says_what_it_ignored_and_what_stood_twice(tmp_path):
    row = "m/w,shapes,full_ft,1e-5,7,50,blue"
    head = "backbone,dataset,method,lr,seed,val_acc_pct,colour"
    (tmp_path / "runs.csv").write_text("\n".join((head, row, row, row.replace(",7,", ",11,"))) + "\n")
    arguments = ("import", tmp_path / "runs.csv", "--format", "table", "--store", tmp_path / "s" / "h.duckdb")
    first, again = call(*arguments), call(*arguments)
    assert "study imported: 2 imported, 0 there already, 1 repeated in the file, 0 left out" in first.stdout
    assert "study imported: 0 imported, 2 there already, 1 repeated in the file, 0 left out" in again.stdout
    assert "ignored columns: colour" in first.stderr


def test_rows_with_different_results_need_a_rule_and_every_answer_says_what_was_taken(tmp_path):
    rows = ["backbone,dataset,method,lr,seed,val_acc_pct,test_acc_pct"]
    for method in ("full_ft", "lora_r8"):
        rows += [
            f"m/w,shapes,{method},{lr},{seed},50,{40 + seed + 1e5 * lr}" for lr in (1e-5, 1e-4) for seed in (1, 2, 3)
        ]
    rows.append("m/w,shapes,full_ft,1e-5,1,50,99")
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n")
    store = tmp_path / "s" / "h.duckdb"
    arguments = ("import", tmp_path / "runs.csv", "--format", "table", "--store", store)
    refused = call(*arguments)
    assert isinstance(refused.exception, DataError)
    assert "row 1 and row 13 (shapes, full_ft, lr 1e-5, seed 1; test_acc_pct 42 and 99)" in refused.exception.message
    taken = call(*arguments, "--duplicates", "mean")
    assert taken.exit_code == 0
    assert "1 run with different results in the source" in taken.stderr
    assert "row 1 and row 13" in taken.stderr
    for command in (("paired",), ("interaction", "--metric", "test_acc_pct"), ("dose",), ("best",)):
        answer = json.loads(call("stats", *command, "--store", store, "--format", "json").stdout)
        assert any("of which the mean was taken" in text for text in answer["left_out"]), command
