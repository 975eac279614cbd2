"""What a process loads for a study: skipped pictures, class names, splits that do not fit together."""

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from heatdrift.cli.workspace import planned_cells
from heatdrift.crop_plan import CropPlan
from heatdrift.errors import DataError
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.train.cell import run_cell
from heatdrift.train.resources import Resources


@pytest.fixture
def inputs(tiny_inputs, tmp_path):
    """A copy of the tiny study, to be spoilt."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def spoil(path, row):
    table = pq.read_table(path)
    pictures = table["image"].to_pylist()
    pictures[row] = b""
    pq.write_table(table.set_column(table.column_names.index("image"), "image", pa.array(pictures)), path)


def resources_of(study, folder):
    return Resources.of(study, folder, torch.device("cpu"))


def test_an_unreadable_picture_is_refused_and_named_or_left_out_and_recorded(inputs):
    study = load_study(str(inputs / "study.toml"))
    spoil(inputs / "other.parquet", 7)
    cell = planned_cells(study, inputs)[0]
    with pytest.raises(DataError, match="row 7"):
        resources_of(study, inputs).transfer(cell.transfer[0])
    skipping = msgspec.structs.replace(study, train=msgspec.structs.replace(study.train, skip_unreadable=True))
    other = planned_cells(skipping, inputs)[0]
    assert other.cell_id != cell.cell_id
    assert other.recipe.skip_unreadable
    outcome = run_cell(other, study="tiny", resources=resources_of(skipping, inputs), provenance=Provenance())
    read = outcome.record.provenance.sources["other"]
    assert (len(read.skipped), read.n_images) == (1, 29)
    assert "7" in read.skipped[0]
    assert outcome.record.transfer[0].n_images == 29


def test_splits_with_other_classes_are_refused(inputs):
    study = load_study(str(inputs / "study.toml"))
    (inputs / "stripes_test.parquet").write_bytes((inputs / "hues_test.parquet").read_bytes())
    with pytest.raises(DataError, match="do not have the same classes"):
        resources_of(study, inputs).target("stripes")


def test_a_list_of_class_names_must_fit_the_source(inputs):
    study = load_study(str(inputs / "study.toml"))
    spec = msgspec.structs.replace(study.transfer["other"], class_names="cifar100/1")
    named = msgspec.structs.replace(study, transfer={"other": spec})
    cell = planned_cells(named, inputs)[0]
    assert cell.transfer[0].class_names == "cifar100/1"
    with pytest.raises(DataError, match="cifar100/1"):
        resources_of(named, inputs).transfer(cell.transfer[0])


def test_the_crops_of_a_study_are_made_everywhere_and_recorded(inputs):
    """Training, probe and transfer images all have the study's filter, and the record says so."""
    study = load_study(str(inputs / "study.toml"))
    plan = CropPlan(interpolation="bilinear", resize=34)
    wider = msgspec.structs.replace(study, preprocess=plan)
    before, after = resources_of(study, inputs), resources_of(wider, inputs)
    cell = planned_cells(wider, inputs)[0]
    assert cell.cell_id != planned_cells(study, inputs)[0].cell_id
    for part in ("train", "val", "probe", "test"):
        own, other = (getattr(r.target(cell.dataset), part) for r in (before, after))
        assert own.crops.shape == other.crops.shape
        assert not torch.equal(own.crops, other.crops)
    transfer = cell.transfer[0]
    assert not torch.equal(before.transfer(transfer).pixels.crops, after.transfer(transfer).pixels.crops)
    outcome = run_cell(cell, study="tiny", resources=after, provenance=Provenance())
    made = outcome.record.provenance.preprocess
    assert (made.interpolation, made.shorter_side, made.size) == ("bilinear", 34, 28)
    assert outcome.record.cell.preprocess == plan
