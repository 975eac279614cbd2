import json
import shutil

import duckdb
import pytest
from typer.testing import CliRunner

from heatdrift.api.store import Store
from heatdrift.cli.main import app
from heatdrift.errors import HeatdriftError, StatsError, StoreError, UnknownNameError

FORMULA = "y ~ a + (1 | g)"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "scores.csv"
    rows = [(1.0, "u", 1), (2.1, "v", 1), (1.4, "u", 2), (2.2, "v", 2), (0.9, "u", 3), (2.4, "v", 3), ("NA", "u", 4)]
    path.write_text("y,a,g\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path


def asked(*arguments):
    return CliRunner().invoke(app, ["stats", "model", *map(str, arguments)])


def test_a_table_of_any_names_is_modelled(table):
    found = json.loads(asked("--formula", FORMULA, "--table", table, "--format", "json").stdout)
    assert (found["n_rows"], found["n_dropped"], found["left_out"]) == (6, 1, ["1 row with no value in y"])
    assert found["contrasts"][0]["contrast"] == "u - v"
    assert found["contrasts"][0]["estimate"] == pytest.approx(-3.4 / 3)
    shown = asked("--formula", FORMULA, "--table", table, "--verbose")
    assert shown.exit_code == 0
    assert "y depends on a" in shown.stdout


def test_one_table_is_named_and_known(table):
    assert isinstance(asked("--formula", FORMULA).exception, UnknownNameError)  # of runs, which have other columns
    assert isinstance(asked("--formula", FORMULA, "--table", table, "--view", "runs").exception, StatsError)
    assert isinstance(asked("--formula", FORMULA, "--view", "rums").exception, UnknownNameError)


@pytest.fixture
def copied(tmp_path):
    return shutil.copy(Store.shipped().path, tmp_path / "copied.duckdb")


VIEW = ("--view", "runs", "--formula", "retention_pct ~ method + (1 | seed)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--formula", "retenton_pct ~ method + (1 | seed)", "--view", "runs"), "did you mean 'retention_pct'"),
        (("--formula", "retention_pct ~ metod + (1 | seed)", "--view", "runs"), "did you mean 'method'"),
        ((*VIEW, "--study", "minni"), "did you mean 'mini'"),
        (("--formula", "retention_pct ~ study + (1 | seed)", "--view", "runs"), "has one level"),
        (("--formula", "retention_pct ~ method + (1 | cell_id)", "--view", "runs"), "as many levels as there are rows"),
        (("--formula", "retention_pct ~ C(wall_s) + (1 | seed)", "--view", "runs"), "leave nothing to estimate"),
        (("--formula", "retention_pct ~ lr + I(2 * lr) + (1 | seed)", "--view", "runs"), "cannot be estimated"),
    ],
)
def test_what_a_view_cannot_answer_is_one_clear_error(arguments, said, copied):
    refused = asked(*arguments, "--store", copied).exception
    assert isinstance(refused, HeatdriftError)
    assert said in f"{refused.message} {refused.hint}"


def test_a_store_that_is_absent_locked_or_newer_says_so(copied, tmp_path):
    absent = asked(*VIEW, "--store", tmp_path / "no.duckdb").exception
    assert isinstance(absent, StoreError)
    assert "there is no store" in absent.message
    with duckdb.connect(copied) as connection:
        locked = asked(*VIEW, "--store", copied).exception
        connection.execute("update raw.migration set version = version + 1000")
    assert isinstance(locked, StoreError)
    assert "is open" in locked.message
    newer = asked(*VIEW, "--store", copied).exception
    assert isinstance(newer, StoreError)
    assert "newer than" in newer.message


@pytest.mark.parametrize(
    ("text", "said"),
    [("", ""), ("y,a,g\n", "no row"), ("a,g\nu,1\nv,2\n", "unknown column 'y'"), ("\x00\x01", "")],
)
def test_a_table_of_another_shape_is_one_clear_error(text, said, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(text, encoding="utf-8")
    refused = asked("--formula", FORMULA, "--table", path).exception
    assert isinstance(refused, HeatdriftError)
    assert said in refused.message
    assert isinstance(asked("--formula", FORMULA, "--table", tmp_path / "absent.csv").exception, HeatdriftError)
