"""What people read on a terminal: paths that can be typed, commands that can be pasted, 80 columns."""

import json
import math
import shlex
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from heatdrift.cli import output
from heatdrift.cli.main import app


@pytest.fixture
def narrow(tmp_path, monkeypatch):
    """A terminal of 80 columns in an empty folder whose name has a space; returns what a command prints there."""
    place = tmp_path / "my study"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    console = Console(width=80, highlight=False)
    monkeypatch.setattr(output, "out", console)

    def call(*arguments):
        with console.capture() as captured:
            result = CliRunner().invoke(app, [str(a) for a in arguments])
        return captured.get(), result

    return call


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{here}/runs/a.json", "runs/a.json"),
        ("put it at '{here}/a b.pt'", "put it at 'a b.pt'"),
        ("in {here}", "in {here}"),
        ("/mnt{here}/runs", "/mnt{here}/runs"),
        ("https://host{here}/x", "https://host{here}/x"),
        ("{here}-2/x", "{here}-2/x"),
    ],
)
def test_paths_below_the_current_folder_are_relative(text, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output.typable(text.format(here=tmp_path)) == shown.format(here=tmp_path)


@pytest.mark.parametrize("study", ["preprint80", "mini"])
def test_doctor_fits_80_columns_and_says_each_advice_once(narrow, study):
    text, result = narrow("doctor", "--study", study, "--data-dir", Path.cwd())
    assert result.exit_code == 2
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    # Facts, not lines, are counted: how many lines one takes depends on paths and on the lengths of versions.
    assert sum(not line.startswith(" ") for line in lines if line) <= 30
    words = " ".join(" ".join(lines).split())
    assert words.count("heatdrift fetch --study") <= 1
    assert str(Path.cwd() / "hf") not in text


def test_fetch_says_each_reason_once_with_commands_on_lines_of_their_own(narrow):
    text, result = narrow("fetch", "--study", "preprint80")
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 8
    assert result.stderr.count("data set tanganke/eurosat (revision main) is not on this machine") == 1
    commands = [line.strip() for line in result.stderr.splitlines() if line.strip().startswith("hf download")]
    assert len(commands) == 5
    assert all(shlex.split(c)[-2] == "--local-dir" for c in commands)
    assert str(Path.cwd() / "hf") not in result.stderr


def test_questions_are_listed_compactly(narrow):
    text, _ = narrow("sql", "--list")
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 40
    assert "below=90" in text
    one = " ".join(narrow("sql", "--list", "--name", "forgetting_onset")[0].split())
    assert all(
        word in one for word in ("forgetting_onset", "one row per study", "threshold in % of base", "$below = 90")
    )
    rows = json.loads(CliRunner().invoke(app, ["sql", "--list", "--format", "json"]).stdout)
    assert set(rows[0]) == {"name", "question", "grain", "units", "parameters"}


def test_json_writes_out_half_of_a_surrogate_pair(capsys):
    output.show_json({"a\udc80": ["b\udcff", math.nan, Path("c")]})
    assert json.loads(capsys.readouterr().out) == {"a\\udc80": ["b\\udcff", None, "c"]}
