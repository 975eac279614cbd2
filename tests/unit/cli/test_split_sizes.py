"""A study that asks for more pictures than there are is not ready, whichever command looks at it first."""

import json

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

PROBLEM = "class 'colour 0' has 16 images, [datasets.hues] sizes asks for 57 per class (train 50 + val 4 + probe 3)"


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """A folder with the tiny study, whose hues ask for 50 training images a class where 16 are there in all."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "study.toml").read_text()
    before, hues, after = text.partition("[datasets.hues]")
    (tmp_path / "study.toml").write_text(before + hues + after.replace("train = 6", "train = 50"))
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [*arguments, "--study", "study.toml"])


def said(result):
    """Everything that a person would read; main() prints the error that ends a command."""
    return result.output + (getattr(result.exception, "message", "") or "")


@pytest.mark.parametrize("arguments", [["plan"], ["doctor"], ["fetch"], ["train", "--all", "--dry-run"]])
def test_no_command_calls_it_ready(place, arguments):
    result = run(*arguments)
    assert result.exit_code != 0
    assert PROBLEM in " ".join(said(result).split())


@pytest.mark.parametrize("arguments", [["plan"], ["doctor"], ["fetch"], ["train", "--all", "--dry-run"]])
def test_sizes_that_fit_are_ready(place, tiny_inputs, arguments):
    (place / "study.toml").write_bytes((tiny_inputs / "study.toml").read_bytes())
    assert run(*arguments).exit_code == 0


def test_plan_prints_the_cells_before_it_refuses(place):
    result = run("plan", "--format", "json")
    assert len(json.loads(result.stdout)) == 24
    assert result.exit_code != 0


def test_every_data_set_that_does_not_fit_is_said(place):
    text = (place / "study.toml").read_text().replace("track = 10", "track = 1000")
    (place / "study.toml").write_text(text)
    words = " ".join(said(run("plan")).split())
    assert PROBLEM in words
    assert "1000 images asked for, 30 are there" in words


def test_a_dry_run_looks_at_the_chosen_cells_alone(place):
    assert run("train", "--dataset", "stripes", "--dry-run").exit_code == 0


def test_after_fetch_the_manifest_is_enough(place):
    """The counts come from the manifest: nothing is opened, so doctor stays quick on large data."""
    run("fetch")
    (place / "hues_train.parquet").write_bytes(b"no parquet any more")
    assert PROBLEM in " ".join(said(run("doctor")).split())


def test_what_is_not_here_is_said_to_be_unchecked(place, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("pathlib.Path.home", lambda: place)
    result = CliRunner().invoke(app, ["plan", "--study", "preprint80"])
    assert result.exit_code == 0
    assert "sizes of eurosat, pets, cifar100 are not checked" in " ".join(result.stderr.split())
    assert "heatdrift fetch --study preprint80" in result.stderr
