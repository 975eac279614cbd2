"""The small picture files of public bug reports that lie next to the checkout: what happens with each now."""

import shutil
import tarfile

import pyarrow.parquet as pq
import pytest

from heatdrift.config import SourceSpec, TransferSpec
from heatdrift.data.prompts import name_caution
from heatdrift.data.sources import open_source
from heatdrift.errors import DataError
from heatdrift.train.inputs import transfer_names


def opened(folder, source, **reading):
    return open_source(SourceSpec(source=source, **reading), folder)


@pytest.fixture
def cases(shared):
    return shared / "cases"


def test_text_labels_are_classes(cases):
    images = opened(cases, "parquet:parquet_str_label.parquet")
    assert (len(images), images.class_names) == (36, ("cat", "dog", "fox"))
    assert [images.read(i).mode for i in range(36)] == ["RGB"] * 36
    assert name_caution("x", images.class_names, "a photo of a {}.") is None


def test_numbers_without_names_are_a_caution_until_a_names_file_gives_words(cases, tmp_path):
    source = "parquet:parquet_no_class_names.parquet"
    images = opened(cases, source)
    assert images.class_names == ("class 0", "class 1", "class 2")
    assert "'a photo of a class 0.'" in name_caution("other", images.class_names, "a photo of a {}.")
    (tmp_path / "names.txt").write_text("cat\ndog\nfox\n")
    spec = TransferSpec(test=source, class_names="names.txt")
    words = transfer_names(spec, images, tmp_path)
    assert words == ("cat", "dog", "fox")
    assert name_caution("other", words, "a photo of a {}.") is None


def test_paths_without_their_pictures_are_one_error_and_with_them_pictures(cases, tmp_path):
    with pytest.raises(DataError, match="names 36 of its pictures by path instead of holding them, and 36") as caught:
        opened(cases, "parquet:parquet_path_only.parquet")
    assert "put the pictures into" in caught.value.hint
    shutil.copy(cases / "parquet_path_only.parquet", tmp_path / "p.parquet")
    whole = opened(cases, "parquet:parquet_no_class_names.parquet")
    rows = pq.read_table(tmp_path / "p.parquet")["image"].to_pylist()
    for i, row in enumerate(rows):
        path = tmp_path / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.read(i).save(path)
    images = opened(tmp_path, "parquet:p.parquet")
    assert [images.read(i).size for i in range(36)] == [whole.read(i).size for i in range(36)]


def test_what_editors_and_systems_keep_is_no_picture_unpacked_or_not(cases, tmp_path):
    with tarfile.open(cases / "folder_hidden_subfolders.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    packed = opened(cases, "folder:folder_hidden_subfolders.tar.gz")
    unpacked = opened(tmp_path, "folder:jup/train")
    assert len(packed) == len(unpacked) == 8  # next to 3 copies of .ipynb_checkpoints and a thumbnail of @eaDir
    assert packed.class_names == ("cat", "dog")
    assert packed.sha256 == unpacked.sha256


def test_a_linked_folder_is_followed_and_in_an_archive_it_is_named(cases, tmp_path):
    with pytest.raises(DataError, match="lnk/train/cat/extra is a link"):
        opened(cases, "folder:folder_nested_link.tar.gz")
    with tarfile.open(cases / "folder_nested_link.tar.gz") as archive:
        archive.extractall(tmp_path, [m for m in archive if not m.issym()], filter="data")
    (tmp_path / "lnk" / "train" / "cat" / "extra").symlink_to(tmp_path / "more" / "extra_cats")  # as where it was made
    images = opened(tmp_path, "folder:lnk/train")
    assert len(images) == 12
    assert sum(images.name(i).startswith("cat/extra/") for i in range(12)) == 4
