"""Every command of docs/watching.md runs on the study that comes with the clone and ends: nothing of it is missing."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heatdrift.cli import watching
from heatdrift.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split(" >>")[0] for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


def test_a_command_of_the_page_runs_and_ends(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "runs" / "mini", tmp_path / "runs" / "mini")
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(watching.time, "sleep", lambda _seconds: pytest.fail("a finished study is not waited for"))
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "reports" / "mini.html").exists()
    assert (tmp_path / "reports" / "snapshot.duckdb").exists()
