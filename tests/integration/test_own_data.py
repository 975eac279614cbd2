"""docs/data.md, done as it says: a user's own class folders and Parquet file, fetched and trained on."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub_stand_ins import picture

from heatdrift.cli.workspace import planned_cells
from heatdrift.config import Reading, SourceSpec
from heatdrift.data.class_names import LISTS
from heatdrift.data.prompts import TEMPLATES
from heatdrift.data.sources import SCHEMES, fetch_source, open_source
from heatdrift.plan.study import load_study
from heatdrift.provenance import collect
from heatdrift.train.cell import run_cell
from heatdrift.train.resources import Resources

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def block(language, containing=""):
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return next(text for text in blocks if containing in text)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The page's study, its folders of pictures, and the Parquet file that the page's script makes."""
    generator = np.random.default_rng(0)
    for folder, classes, n in (
        ("birds/train", ("blue_tit", "robin"), 8),
        ("birds/test", ("blue_tit", "robin"), 3),
        ("signs", ("give_way", "stop", "no_entry"), 2),
    ):
        for name in classes:
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(n):
                colour = tuple(generator.integers(0, 256, 3).tolist())
                (tmp_path / folder / name / f"{i}.png").write_bytes(picture(colour, size=(30, 30)))
    (tmp_path / "mine.toml").write_text(block("toml", 'name = "mine"'))
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), "docs/data.md", "exec"), {})
    return tmp_path


def test_a_users_own_sets_train_and_are_measured(place):
    study = load_study("mine.toml")
    for source in (study.datasets["birds"].train, study.datasets["birds"].test, study.transfer["signs"].test):
        assert fetch_source(SourceSpec(source=source), place, lambda *_: None).state == "listed"
    cells = planned_cells(study, place)
    assert len(cells) == 12
    resources = Resources.of(study, place, torch.device("cpu"))
    record = run_cell(cells[0], study=study.name, resources=resources, provenance=collect()).record
    assert record.status == "done"
    assert record.provenance.class_names["signs"] == ("give way", "no entry", "stop")
    assert record.provenance.class_names["birds"] == ("blue tit", "robin")
    assert (record.transfer[0].transfer_set, record.transfer[0].n_images) == ("signs", 6)
    assert record.provenance.sources["birds/train"].n_images == 16
    signs = open_source(SourceSpec(source="parquet:signs.parquet"), place)
    assert record.provenance.sources["signs"].sha256 == signs.sha256


def test_pictures_as_they_lie_train_and_are_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lie.toml").write_text(block("toml", 'name = "as_they_lie"'))
    with zipfile.ZipFile("birds.zip", "w") as archive:
        for number, name in enumerate(("blue_tit", "owl", "robin")):
            for i in range(12):
                archive.writestr(f"birds/{name}/{i}.png", picture((90 * number, 20 * i, 9), size=(30, 30)))
    for shard in range(2):
        rows = {"photo": [picture((9, 80 * i, 90 * shard)) for i in range(3)], "code": ["s102", "s206", "s205"]}
        pq.write_table(pa.table(rows), f"signs-{shard}.parquet")
    (tmp_path / "signs.csv").write_text("code,name\ns102,priority road\ns205,give way\ns206,stop\n")
    study = load_study("lie.toml")
    cells = planned_cells(study, tmp_path)
    assert len(cells) == 12
    resources = Resources.of(study, tmp_path, torch.device("cpu"))
    record = run_cell(cells[0], study=study.name, resources=resources, provenance=collect()).record
    assert record.status == "done", record.error
    assert record.provenance.class_names["birds"] == ("blue tit", "robin")
    assert record.provenance.class_names["signs"] == ("priority road", "give way", "stop")
    assert {name: source.n_images for name, source in record.provenance.sources.items()} == {
        "backbone": None,
        "birds/train": 18,
        "birds/test": 6,
        "signs": 6,
    }


def test_the_page_names_every_kind_of_source_and_list():
    page = PAGE.read_text(encoding="utf-8")
    for name in SCHEMES:
        assert f"`{name}:" in page
    for name, spellings in LISTS.items():
        assert f"| `{name}` | {len(spellings)} |" in page
    for name, templates in TEMPLATES.items():
        assert (
            f"| `{name}` | {len(templates)} | `{templates[1] if name == 'openai/cifar18' else templates[0]}` |" in page
        )
    for key in {*Reading.__struct_fields__, "class_names", "test_fraction", "template"}:
        assert re.search(rf"^\| .*`{key}`.* \|", page, re.M), key
