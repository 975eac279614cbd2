"""The finished study that comes with the clone: its records are whole, and README's first commands work on it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from stubs import find_records
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Recipe
from heatdrift.store.folder import read_arrays, read_record

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "runs" / "mini"


def test_every_planned_cell_has_a_finished_record_and_its_maps(tmp_path):
    planned = {cell.cell_id for cell in planned_cells(load_study("mini"), tmp_path)}
    records = {path.parent.name: read_record(path) for path in find_records(ROOT / "runs", "mini")}
    assert set(records) == planned
    for name, record in records.items():
        assert record.status == "done"
        assert record.cell_id == name
        assert isinstance(record.cell.recipe, Recipe)
        assert record.transfer[0].n_images == 10_000
        assert (record.provenance.dirty, record.provenance.commit is None) == (False, False)
    folder = MINI / next(iter(records))
    assert read_arrays(folder, "gallery")["adapted_class"].shape[2] == 49
    assert read_arrays(folder, "hits")["cifar100/adapted"].shape == (10_000,)


def test_no_image_and_no_weights_are_committed():
    assert {path.name for path in MINI.rglob("*") if path.is_file()} == {
        "plan.json",
        "record.json",
        "gallery.npz",
        "hits.npz",
    }


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """What a fresh clone has, as the current folder."""
    shutil.copytree(MINI, tmp_path / "runs" / "mini")
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.slow
def test_the_first_commands_of_the_readme_work_on_it(clone):
    block = re.search(r"make install.*?\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    commands = [line for line in block.splitlines() if line.startswith("heatdrift ")]
    assert len(commands) == 3
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    page = (clone / "reports" / "mini.html").read_text()
    assert "80 of 80" in page
    assert "Zero-shot retention is higher with LoRA r=8 than with Full FT" in page
