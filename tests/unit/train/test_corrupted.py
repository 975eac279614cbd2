"""Corruptions of a study's test images fill the view `robustness`."""

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from stubs import write_image_parquet

from heatdrift.cli.workspace import planned_cells
from heatdrift.data.corruptions import corrupted
from heatdrift.errors import DataError
from heatdrift.plan.study import load_study
from heatdrift.provenance import collect
from heatdrift.store.connect import open_store
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest
from heatdrift.train.cell import run_cell
from heatdrift.train.inputs import check_inputs
from heatdrift.train.resources import Resources


@pytest.fixture
def place(tiny_inputs, tmp_path):
    """The tiny study with a corrupted test split, which is the test split itself, and two corruptions that are made."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "same.parquet").write_bytes((tmp_path / "stripes_test.parquet").read_bytes())
    text = (tmp_path / "study.toml").read_text()
    text = text.replace("sizes", 'corrupted = { same = "parquet:same.parquet" }\nsizes', 1)
    text = text.replace("[grid]", "[corruptions]\ncontrast = [5]\ngaussian_noise = [2]\n\n[grid]")
    (tmp_path / "study.toml").write_text(text)
    return tmp_path


def test_a_run_is_tested_under_each(place):
    study = load_study(str(place / "study.toml"))
    resources = Resources.of(study, place, torch.device("cpu"))
    cell = planned_cells(study, place)[0]
    plain = msgspec.structs.replace(cell, corruptions=None)
    record = run_cell(cell, study="tiny", resources=resources, provenance=collect()).record
    before = run_cell(plain, study="tiny", resources=resources, provenance=collect()).record
    found = {r.corruption: r.acc_pct for r in record.robustness}
    assert list(found) == ["same", "contrast_5", "gaussian_noise_2"]
    assert found["same"] == record.test_acc_pct == before.test_acc_pct  # training knows nothing of them
    assert record.epochs == before.epochs
    assert before.robustness == ()
    assert record.provenance.sources["stripes/same"].source == "parquet:same.parquet"
    made = resources.corrupted("stripes", cell.corruptions[1]).crops.numpy()
    crops = resources.target("stripes").test.crops.numpy()
    np.testing.assert_array_equal(made[4], corrupted(crops[4], "contrast", 5))

    write_record(record, place / "runs")
    ingest(place / "runs" / "heatdrift.duckdb")
    with open_store(place / "runs" / "heatdrift.duckdb") as connection:
        rows = connection.sql("SELECT corruption, acc_pct FROM robustness ORDER BY corruption").pl()
    assert rows.equals(pl.DataFrame({"corruption": sorted(found), "acc_pct": [found[n] for n in sorted(found)]}))


def test_a_corrupted_split_of_other_classes_is_refused_before_training(place):
    write_image_parquet(place / "same.parquet", classes=5, per_class=6, size=28, seed=9)
    study = load_study(str(place / "study.toml"))
    with pytest.raises(DataError, match=r"corrupted same .* has other classes"):
        check_inputs(study, place, ["stripes"])
    check_inputs(study, place, ["hues"])
