"""After a stop or a failure, train and status say which command goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """An empty folder with the tiny study's inputs in a folder beside it; commands run there."""
    data = tmp_path / "my images"
    data.mkdir()
    for path in tiny_inputs.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    (data / "study.toml").rename(tmp_path / "study.toml")
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_diverged_and_a_planned_cell(place):
    (place / "study.toml").write_text((place / "study.toml").read_text().replace("1e-2", "1e9"))
    arguments = ["train", "--study", "study.toml", "--data-dir", "my images", "--method", "full_ft", "--seed", "1"]
    arguments += ["--lr", "1e9", "--dataset", "hues", "--jobs", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 3, result.output
    again = (
        "heatdrift train --study study.toml --data-dir 'my images' --dataset hues --method full_ft --lr 1e+09 --seed 1"
    )
    assert f"diverged is a result and is kept; to try again: {again} --jobs 1 --only-failed" in result.stderr
    said = CliRunner().invoke(app, ["status"]).stderr
    command = "heatdrift train --all --study study.toml --data-dir 'my images'"
    assert f"23 of 24 cells are left; to go on: {command}" in said
    assert f"1 diverged, which is a result; to try them again: {command.replace('--all', '--only-failed')}" in said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process group")
def test_an_interrupted_training_names_the_command_that_goes_on(place):
    arguments = ["train", "--all", "--study", "study.toml", "--data-dir", "my images", "--jobs", "1", "--force"]
    process = subprocess.Popen(
        [sys.executable, "-m", "heatdrift", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(place.glob("runs/tiny/*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    command = "heatdrift train --all --study study.toml --data-dir 'my images' --jobs 1"
    assert f"stopped; what is finished is kept. To go on where it stopped:\n  {command}\n" in said
    status = CliRunner().invoke(app, ["status", "--format", "json"])
    (row,) = json.loads(status.stdout)
    assert 0 < row["done"] < 24
    assert row["failed"] == 0


def test_missing_downloads_name_the_whole_fetch_command(place, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("pathlib.Path.home", lambda: place)
    arguments = ["train", "--all", "--study", "preprint80", "--data-dir", "my images"]
    error = CliRunner().invoke(app, arguments).exception
    assert "heatdrift fetch --study preprint80 --data-dir 'my images'" in error.hint
    assert not (place / "runs").exists()
