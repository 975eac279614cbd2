"""`heatdrift import`: what it prints before it writes, and how it finds out what lies at a path."""

import json

import pytest
from typer.testing import CliRunner

from heatdrift.cli.import_formats import format_of
from heatdrift.cli.main import app
from heatdrift.errors import DataError

TABLE = """dataset;method;learning_rate;seed;val/acc;test_acc;f1
cars;full_ft;1e-5;0;62,5;60,5;0,5
cars;full_ft;1e-5;1;63,5;61,5;0,6
cars;full_ft;nan;2;63,5;61,5;0,6
cars;full_ft;nan;3;63,5;61,5;0,6
cars;full_ft;nan;5;63,5;61,5;0,6
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def table(tmp_path):
    (tmp_path / "runs.csv").write_text(TABLE)
    return tmp_path / "runs.csv"


def test_a_dry_run_prints_what_the_import_prints_and_writes_nothing(table, tmp_path):
    store = tmp_path / "s" / "h.duckdb"
    arguments = ("import", table, "--set", "backbone=m", "--store", store)
    dry = call(*arguments, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert not store.parent.exists()
    for line in (
        "5 rows (CSV, separated by semicolons; decimal commas in val/acc, test_acc, f1)",
        "guessed: lr is learning_rate (--map lr=COLUMN says otherwise)",
        "guessed: val_acc_pct is val/acc",
        "taken from: backbone = m for all rows",
        "lr: 1e-05",
        "val_acc_pct: 62.5 to 63.5 %, in 5 of 5 rows",
        "further metrics: f1 (--metric further.f1",
        "study imported: 2 to import, 0 there already, 3 left out (dry run: nothing was written)",
    ):
        assert line in dry.stdout
    assert f"left out: {table}: rows 3 to 5: no value for lr (column 'learning_rate' holds 'nan')" in dry.stderr
    real = call(*arguments)
    assert real.stdout.splitlines()[:-1] == dry.stdout.splitlines()[:-1]
    assert real.stderr == dry.stderr
    assert "2 imported, 0 there already, 3 left out" in real.stdout
    assert "0 to import, 2 there already" in call(*arguments, "--dry-run").stdout


def test_json_has_all_of_it(table, tmp_path):
    result = call("import", table, "--set", "backbone=m", "--store", tmp_path / "h.duckdb", "--output", "json")
    found = json.loads(result.stdout)
    assert [problem["reason"][:5] for problem in found["problems"]] == ["row 3", "row 4", "row 5"]
    assert found["audit"]["guessed"] == ["lr", "val_acc_pct", "test_acc_pct"]


def test_a_question_is_an_error_with_what_to_answer(tmp_path):
    (tmp_path / "t.csv").write_text("backbone,dataset,method,lr,seed,test_acc\nm,cars,full_ft,1e-5,0,0.6\n")
    store = tmp_path / "s" / "h.duckdb"
    asked = call("import", tmp_path / "t.csv", "--store", store)
    assert isinstance(asked.exception, DataError)
    assert '--map "test_acc_pct=test_acc*100"' in asked.exception.hint
    assert not store.exists()
    assert call("import", tmp_path / "t.csv", "--store", store, "--map", "test_acc_pct=test_acc*100").exit_code == 0


def test_the_format_is_found_out(table, tmp_path):
    (tmp_path / "runs" / "s" / "c1-a").mkdir(parents=True)
    (tmp_path / "runs" / "s" / "c1-a" / "record.json").write_text("{}")
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("")
    (tmp_path / "one.json").write_text('{"run_id": "a", "config": {}, "baseline": {}}')
    (tmp_path / "rows.json").write_text("[]")
    (tmp_path / "notes").mkdir()
    expected = {
        table: "table",
        tmp_path / "runs": "heatdrift",
        tmp_path / "mlruns": "mlflow",
        "sqlite:///m.db": "mlflow",
        tmp_path / "one.json": "reference",
        tmp_path / "rows.json": "table",
    }
    assert {path: format_of(str(path)).value for path in expected} == expected
    for path in (tmp_path / "notes", tmp_path / "nowhere.csv"):
        with pytest.raises(DataError):
            format_of(str(path))
