"""The recipes of docs/store.md run."""

import re
from pathlib import Path

import pytest

from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "store.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_python_recipe_runs(recipe, tmp_path, make_record, monkeypatch):
    write_record(make_record(method="lora_r8"), tmp_path / "runs")
    ingest(tmp_path / "runs" / "heatdrift.duckdb")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(recipe, "docs/store.md", "exec"), names)
    results = [names[n] for n in ("rows", "runs", "frame", "ask") if n in names]
    assert results


def test_every_command_of_the_page_exists():
    import typer

    from heatdrift.cli.main import app

    known = set(typer.main.get_command(app).commands)
    used = set(re.findall(r"^heatdrift ([a-z]+) ", PAGE, flags=re.MULTILINE)) | set(
        re.findall(r"`heatdrift ([a-z]+)", PAGE)
    )
    assert {"sql", "import", "export", "store", "train"} <= used <= known
