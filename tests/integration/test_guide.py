"""Every command of docs/guide.md runs, in its order, and prints the words that the page shows of it."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8").replace("\\\n", "")  # a command over two lines
BLOCKS = re.findall(r"```console\n\$ (.*?)\n```", PAGE, re.DOTALL)


def in_order(words, line):
    rest = iter(line)
    return all(word in rest for word in words)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which the examples of the clone lie, as the page says."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_guide_goes_from_a_checkpoint_to_an_answer(folder, monkeypatch):
    for block in BLOCKS:
        command, *shown = block.splitlines()
        program, *arguments = shlex.split(command)
        if program == "python":
            monkeypatch.setattr(sys, "argv", arguments)
            runpy.run_path(arguments[0], run_name="__main__")
            continue
        assert program == "heatdrift"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (command, done.output)
        printed = [line.split() for line in done.stdout.splitlines()]
        for line in shown:
            assert any(in_order(line.split(), words) for words in printed), (command, line, done.stdout)
    written = {"page.html", "kept.safetensors", "maps/maps.npz", "epochs/epoch_1.pt", "runs/heatdrift.duckdb"}
    assert all((folder / name).is_file() for name in written)


def test_the_guide_asks_each_command_of_a_measured_model():
    asked = {block.split()[1] for block in BLOCKS if block.startswith("heatdrift")}
    assert asked == {"inspect", "measure", "evaluate", "maps", "interpolate"}
