import json

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import StatsError, UnknownNameError

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
    assert isinstance(asked("--formula", FORMULA).exception, StatsError)
    assert isinstance(asked("--formula", FORMULA, "--table", table, "--view", "runs").exception, StatsError)
    assert isinstance(asked("--formula", FORMULA, "--view", "rums").exception, UnknownNameError)
