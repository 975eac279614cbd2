"""README's Python and that of docs/python.md run as they stand, and the tutorial shows what its cells give."""

import contextlib
import io
import re
from pathlib import Path

import notebook_cells
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "python.md"]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
]
TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder that is no clone: the shipped study must be found, and what is written stays here."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def as_before(monkeypatch):
    """Altair's renderer and polars' widths as they were before the notebook chose its own."""
    import altair as alt
    import polars as pl

    with pl.Config():
        yield
    alt.renderers.enable("default")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs_and_prints_what_its_comments_say(block):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "block", "exec"), {})
    said = re.findall(r"^# (?:->|prints) (.*)$", block, re.MULTILINE)
    assert printed.getvalue().strip()
    for line in said:
        assert line in printed.getvalue()


def test_there_is_a_block_to_run():
    assert BLOCKS


def test_the_tutorial_shows_what_its_cells_give(as_before):
    notebook = notebook_cells.read(TUTORIAL)
    made = notebook_cells.run(notebook)
    for cell, outputs in zip(notebook_cells.code_cells(notebook), made, strict=True):
        source = "".join(cell["source"])
        assert [_comparable(o) for o in outputs] == [_comparable(o) for o in cell["outputs"]], source
    assert sum("image/png" in o.get("data", {}) for outputs in made for o in outputs) == 2


def _comparable(output):
    """An output without what depends on the machine's fonts and the reader's version of polars' HTML."""
    data = {mime: None if mime != "text/plain" else "".join(part) for mime, part in output.get("data", {}).items()}
    return output["output_type"], "".join(output.get("text", [])), data


def test_a_notebook_stays_small():
    assert TUTORIAL.stat().st_size < 500_000


def test_the_picture_of_a_page_is_small_enough_for_a_readme():
    from PIL import Image

    picture = ROOT / "docs" / "mini.png"
    assert picture.stat().st_size <= 150_000
    with Image.open(picture) as opened:
        assert opened.size == (1440, 900)
