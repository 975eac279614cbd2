"""Which data sets a folder is taken to hold, by names alone."""

import pytest
from PIL import Image

from heatdrift.data.layout import find_sets, without_split
from heatdrift.errors import DataError


def draw(folder, *places):
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            path.write_bytes(b"not opened here")
        else:
            Image.new("RGB", (8, 8)).save(path)


def found(folder):
    return {one.name: dict(one.splits) for one in find_sets(folder)}


@pytest.mark.parametrize("other", ["test", "val", "Validation"])
def test_split_folders(tmp_path, other):
    draw(tmp_path, *(f"birds/{split}/{name}/1.png" for split in ("train", other) for name in ("crow", "owl")))
    split = "test" if other == "test" else "val"
    assert found(tmp_path / "birds") == {"birds": {"train": "folder:train", split: f"folder:{other}"}}
    assert find_sets(tmp_path / "birds")[0].held_out == f"folder:{other}"


def test_a_test_split_goes_before_a_validation_split(tmp_path):
    draw(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "val", "test") for name in ("crow", "owl")))
    (one,) = find_sets(tmp_path)
    assert one.held_out == "folder:test"
    assert one.splits["val"] == "folder:val"


def test_class_folders_alone_are_one_split(tmp_path):
    draw(tmp_path, "birds/crow/1.png", "birds/owl/deeper/1.png", "birds/.cache/1.png")
    assert found(tmp_path / "birds") == {"birds": {"train": "folder:."}}


def test_a_folder_of_several_data_sets(tmp_path):
    for name in ("birds", "fish"):
        draw(tmp_path, *(f"{name}/{split}/{c}/1.png" for split in ("train", "test") for c in ("a", "b")))
    assert found(tmp_path) == {
        name: {"train": f"folder:{name}/train", "test": f"folder:{name}/test"} for name in ("birds", "fish")
    }


def test_parquet_files_by_their_names(tmp_path):
    draw(tmp_path, "birds_train.parquet", "birds_test.parquet", "signs-test.parquet", "fish_trainval.parquet")
    assert found(tmp_path) == {
        "birds": {"train": "parquet:birds_train.parquet", "test": "parquet:birds_test.parquet"},
        "signs": {"test": "parquet:signs-test.parquet"},
        "fish": {"train": "parquet:fish_trainval.parquet"},
    }


def test_shards_of_a_hub_data_set(tmp_path):
    names = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    draw(tmp_path, *(f"birds/data/{name}.parquet" for name in names))
    assert found(tmp_path / "birds") == {
        "birds": {"train": "parquet:data/train-*.parquet", "test": "parquet:data/test-*.parquet"}
    }


@pytest.mark.parametrize(
    ("places", "words"),
    [(["a.png", "b.png"], "2 pictures and no class folders"), (["notes/readme.png"], "no pictures found")],
)
def test_what_is_no_data_set_is_said(tmp_path, places, words):
    draw(tmp_path, *places)
    with pytest.raises(DataError, match=words):
        find_sets(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        find_sets(tmp_path / "none")


@pytest.mark.parametrize(("stem", "name"), [("cifar100_test", "cifar100"), ("test", "test"), ("contest", "contest")])
def test_the_name_without_its_split(stem, name):
    assert without_split(stem) == name
