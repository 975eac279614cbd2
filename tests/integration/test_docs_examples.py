"""What the pages of docs/questions show as output is what the commands print for the study that comes with the clone.

A shown line may be cut: sentences are wrapped, rows and columns are left out (`...` where lines are). So the words of
each line must be found, in their order, in one line of the output.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    path.stem: match.group(1)
    for path in sorted((ROOT / "docs" / "questions").glob("*.md"))
    if (match := re.search(r"```console\n\$ heatdrift (.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The study as in a clone; `a` has its seeds 7 and 11, `b` the others."""
    place = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "runs" / "mini", place / "runs" / "mini")
    for record in (place / "runs" / "mini").glob("*/record.json"):
        seed = json.loads(record.read_text(encoding="utf-8"))["cell"]["seed"]
        part = place / ("a" if seed in (7, 11) else "b") / "mini" / record.parent.name
        shutil.copytree(record.parent, part)
    for part in ("a", "b"):
        store = str(place / part / "heatdrift.duckdb")
        assert CliRunner().invoke(app, ["store", "rebuild", "--store", store]).exit_code == 0
    return place


def in_order(words, line):
    rest = iter(line)
    return all(word in rest for word in words)


@pytest.mark.parametrize("page", EXAMPLES)
def test_an_example_is_what_its_command_prints(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    command, *shown = EXAMPLES[page].splitlines()
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    printed = [line.split() for line in result.stdout.splitlines()]
    for line in shown:
        assert line == "..." or any(in_order(line.split(), words) for words in printed), line


def test_every_question_shows_an_example():
    assert set(EXAMPLES) == {path.stem for path in (ROOT / "docs" / "questions").glob("*.md")} - {"index"}
