"""What train says of the cells that end, and of finished cells that lack the weights that are asked for."""

import shlex

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

ONE = ["--study", "study.toml", "--dataset", "hues", "--method", "full_ft", "--lr", "1e-4"]


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """A folder with the tiny study and its inputs; commands run there."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def train(*arguments):
    result = CliRunner().invoke(app, ["train", *arguments, "--jobs", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def test_weights_of_finished_cells_are_made_by_the_command_that_it_names(place):
    said = train(*ONE, "--seed", "1")
    assert "1/1 hues/full_ft lr 1e-4 seed 1 done in " in said
    record = next(place.glob("runs/tiny/*/record.json")).read_text()
    assert '"test_acc_pct"' in record
    assert "s: test accuracy " in said
    assert " % on other" in said  # retention

    said = train(*ONE, "--seed", "1", "--seed", "2", "--keep", "weights")
    assert "1 finished cell has no weights: hues/full_ft lr 1e-4 seed 1" in said
    assert "nothing to do" not in said
    assert "hues/full_ft lr 1e-4 seed 2 done" in said
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith("heatdrift train")]
    assert line == (
        "heatdrift train --study study.toml --jobs 1 --keep weights --dataset hues --method full_ft --lr 0.0001 "
        "--seed 1 --force"
    )

    said = train(*ONE, "--seed", "1", "--keep", "weights")  # nothing to run, and yet not "nothing to do"
    assert "nothing to do" not in said
    assert line in said
    assert "1/1 hues/full_ft lr 1e-4 seed 1 done" in train(*shlex.split(line)[2:-1], "--force")
    assert "nothing to do" in train(*ONE, "--seed", "1", "--keep", "weights")
    assert len(list(place.glob("runs/tiny/*/weights"))) == 2
