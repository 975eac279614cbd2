"""A study of awkward pictures, planned, checked and trained: one split, text labels, a names file, several prompts."""

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub_stand_ins import picture
from stubs import write_tiny_backbone

from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import DataError, StudyError, UnknownNameError
from heatdrift.plan.study import load_study
from heatdrift.provenance import collect
from heatdrift.train.cell import run_cell
from heatdrift.train.inputs import check_inputs
from heatdrift.train.resources import Resources

STUDY = """
name = "awkward"
protocol = "leakfree"
backbone = {{ name = "tiny", config = "tiny.json", weights = "tiny.safetensors" }}

[train]
epochs = 1
batch_size = 8
data_seed = 5

[datasets.things]
train = "parquet:things.parquet"
{target}
sizes = {{ train = 4, val = 2, probe = 2 }}

[transfer.other]
test = "parquet:other.parquet"
{transfer}

[grid]
dataset = ["things"]
method = ["full_ft"]
lr = [1e-3]
seed = [1]
"""
WORDS = "number,name\n1,tabby cat\n2,guide dog\n3,war horse\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """things.parquet: text labels in a column `kind`, one split; other.parquet: numbers from 1, no names."""
    folder = tmp_path_factory.mktemp("awkward")
    write_tiny_backbone(folder)
    kinds = [kind for kind in ("jay", "wren", "kite") for _ in range(12)]
    pictures = [picture((i * 7, 40 * (i % 5), 90), size=(30, 28)) for i in range(36)]
    pq.write_table(pa.table({"photo": pa.array(pictures, pa.binary()), "kind": kinds}), folder / "things.parquet")
    labels = [1 + i % 3 for i in range(12)]
    pq.write_table(pa.table({"image": pa.array(pictures[:12], pa.binary()), "label": labels}), folder / "other.parquet")
    (folder / "names.csv").write_text(WORDS)
    return folder


TARGET = 'image = "photo"\nlabel = "kind"\ntest_fraction = 0.25'
TRANSFER = 'labels_from = 1\nclass_names = "names.csv"\ntemplate = ["a {}.", "the {}.", "my {}."]'


def study(place, target=TARGET, transfer=TRANSFER):
    path = place / "study.toml"
    path.write_text(STUDY.format(target=target, transfer=transfer))
    return load_study(str(path))


def cell_id(place, *said):
    return planned_cells(study(place, *said), place)[0].cell_id


def test_a_study_of_awkward_pictures_trains_and_records_what_it_did(place):
    spec = study(place)
    assert check_inputs(spec, place, ["things"]) == ()
    (cell,) = planned_cells(spec, place)
    resources = Resources.of(spec, place, torch.device("cpu"))
    record = run_cell(cell, study=spec.name, resources=resources, provenance=collect()).record
    assert record.status == "done", record.error
    assert (record.n_train, record.n_val, record.n_test) == (12, 6, 9)
    assert record.provenance.class_names == {
        "things": ("jay", "kite", "wren"),
        "other": ("tabby cat", "guide dog", "war horse"),
    }
    sources = record.provenance.sources
    assert sources["things/test"].source == "parquet:things.parquet (0.25 of each class apart as test, data seed 5)"
    assert (sources["things/train"].n_images, sources["things/test"].n_images) == (27, 9)
    assert sources["things/train"].sha256 != sources["things/test"].sha256
    plan = record.cell.transfer[0]
    assert plan.template == "a {}. | the {}. | my {}."
    assert plan.prompts == ("a {}.", "the {}.", "my {}.")
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)).cell.cell_id == cell.cell_id
    mean = sum(resources.backbone.class_embeddings(("tabby cat",), text) for text in plan.prompts)
    assert torch.allclose(resources.transfer(plan).text[0], (mean / mean.norm())[0], atol=1e-6)


def test_each_key_is_part_of_the_id_and_a_default_is_not(place):
    ids = {
        cell_id(place),
        cell_id(place, TARGET.replace("0.25", "0.5")),
        cell_id(place, TARGET + '\nclasses = ["jay", "kite"]'),
        cell_id(place, TARGET, TRANSFER.replace('"my {}."', '"a big {}."')),
        cell_id(place, TARGET, TRANSFER + "\nexif_rotation = true"),
        cell_id(place, TARGET, 'labels_from = 1\nclass_names = "names.csv"\ntemplate = "openai/eurosat3"'),
    }
    assert len(ids) == 6
    assert cell_id(place, TARGET, TRANSFER + "\nexif_rotation = false") == cell_id(place)
    assert cell_id(place, TARGET + '\nclass_names = "names.csv"') == cell_id(place)  # words of a page, no result
    assert cell_id(place, TARGET, 'template = ["a photo of a {}."]') == cell_id(place, TARGET, "")


def test_the_id_holds_the_content_of_a_names_file(place):
    before = cell_id(place)
    spec = study(place)
    (cell,) = planned_cells(spec, place)
    (place / "names.csv").write_text(WORDS.replace("tabby", "wild"))
    try:
        assert cell_id(place) != before
        with pytest.raises(DataError, match="has changed since the cells were planned"):
            Resources.of(spec, place, torch.device("cpu")).transfer(cell.transfer[0])
    finally:
        (place / "names.csv").write_text(WORDS)
    assert cell_id(place) == before


def test_prompts_of_numbers_are_a_caution_before_anything_trains(place):
    spec = study(place, TARGET, "labels_from = 1")
    (caution,) = check_inputs(spec, place, ["things"])
    skipping = msgspec.structs.replace(spec, train=msgspec.structs.replace(spec.train, skip_unreadable=True))
    assert check_inputs(skipping, place, ["things"]) == (caution,)
    assert "other: its class names are no words but numbers or ids" in caution
    assert "'a photo of a class 0.'" in caution


@pytest.mark.parametrize(
    ("target", "error", "problem"),
    [
        ("", StudyError, "neither test nor test_fraction"),
        ('test = "parquet:x.parquet"\ntest_fraction = 0.5', StudyError, "both test and test_fraction"),
        ("test_fraction = 1.0", StudyError, "between 0 and 1"),
        ('test = "parquet:things.parquet"', StudyError, "are the same images"),
    ],
)
def test_a_test_split_is_given_or_made(place, target, error, problem):
    with pytest.raises(error, match=problem):
        study(place, target)


@pytest.mark.parametrize(
    ("transfer", "error", "problem"),
    [
        ("template = []", StudyError, "empty list"),
        ('template = ["a {}.", "a {}."]', StudyError, "names a prompt twice"),
        ('labels_from = 1\ntemplate = "openai/imagenet"', UnknownNameError, "unknown template"),
        ('labels_from = 1\nclass_names = "gone.csv"', DataError, "no names file .*gone.csv"),
    ],
)
def test_templates_and_names_that_are_not_there_are_refused_before_training(place, transfer, error, problem):
    with pytest.raises(error, match=problem):
        check_inputs(spec := study(place, TARGET, transfer), place, ["things"]), planned_cells(spec, place)


def test_two_splits_with_other_classes_name_them(place):
    kinds = pa.table({"photo": pa.array([picture()] * 4, pa.binary()), "kind": ["jay", "wren", "jay", "owl"]})
    pq.write_table(kinds, place / "test.parquet")
    target = 'test = "parquet:test.parquet"\nimage = "photo"\nlabel = "kind"'
    with pytest.raises(DataError, match=r"'kite' is in parquet:things\.parquet only, 'owl' is in") as caught:
        check_inputs(study(place, target), place, ["things"])
    assert "classes = [...]" in caught.value.hint
