"""The commands of docs/sync.md run as they are written, on a folder, and the page says what the code does."""

import re
import shlex
from pathlib import Path

import pytest
from sync_machines import held, put
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.store.remote import _INSTALL

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sync.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_commands_of_the_page_run_in_their_order(tmp_path, monkeypatch, make_record, make_hits):
    monkeypatch.chdir(tmp_path)
    record = make_record(seed=1)
    put(Path("one"), record, make_hits(record))
    printed = []
    for line in "".join(BLOCKS).splitlines():
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        printed.append(result.stdout)
    assert printed[0].startswith("shared: 1 run would be sent with 1 array file, 0 there already\n")
    assert printed[1].startswith("shared: 1 run sent with 1 array file, 0 there already\n")
    assert "shared: 1 run taken with 1 array file; store: 1 added, 0 changed" in printed[2]
    assert held(Path("one")) == held(Path("two"))


@pytest.mark.parametrize("what", sorted(set(_INSTALL.values())))
def test_the_page_names_what_to_install(what):
    assert f"`python -m pip install {what}`" in PAGE


@pytest.mark.parametrize("only", ["--push", "--pull"])
def test_one_way_prints_one_line(only, tmp_path, monkeypatch, make_record):
    monkeypatch.chdir(tmp_path)
    put(Path("one"), make_record(seed=1))
    Path("shared").mkdir()
    result = CliRunner().invoke(app, ["sync", "shared", only, "--store", "one/heatdrift.duckdb"])
    assert result.exit_code == 0, result.output
    said = {
        "--push": "shared: 1 run sent, 0 there already",
        "--pull": "shared: 0 runs taken; store: 1 added, 0 changed",
    }
    assert result.stdout.splitlines() == [said[only]]


def test_different_results_and_damaged_objects_are_said(tmp_path, monkeypatch, make_record):
    monkeypatch.chdir(tmp_path)
    for name, pct in (("one", 71.0), ("two", 72.0)):
        put(Path(name), make_record(seed=1, test_acc_pct=pct))
        CliRunner().invoke(app, ["sync", "shared", "--store", f"{name}/heatdrift.duckdb"])
    first = next(Path("shared").rglob("*.json"))
    first.write_bytes(first.read_bytes()[:100])
    result = CliRunner().invoke(app, ["sync", "shared", "--pull", "--store", "three/heatdrift.duckdb"])
    assert result.exit_code == 0
    assert f"left out: {first.relative_to('shared')}: half-uploaded or changed" in result.stderr
    result = CliRunner().invoke(app, ["sync", "shared", "--store", "two/heatdrift.duckdb"])
    assert "1 cell with several results, the one that finished last counts, all are kept: tiny/c1-" in result.stderr
    csv = CliRunner().invoke(app, ["sync", "shared", "--store", "two/heatdrift.duckdb", "--format", "csv"])
    assert csv.stdout.splitlines()[0].startswith("remote,pushed,pulled,")
