"""Label columns as they lie: texts, numbers written as texts or decimals, from 1, with classes that no picture has."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_stand_ins import picture

from heatdrift.config import SourceSpec
from heatdrift.data.parquet import open_parquet
from heatdrift.data.sources import fetch_source, open_source, source_sha256
from heatdrift.errors import DataError


def write(path, labels, names=None, *, column="label", declared=None, **more):
    columns = {"image": pa.array([picture((i, 0, 0)) for i in range(len(labels))], pa.binary()), column: labels, **more}
    if names is not None:
        columns["label_name"] = names
    table = pa.table(columns)
    if declared is not None:
        features = {column: {"_type": "ClassLabel", "names": declared}, "image": {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return SourceSpec(source=f"parquet:{path.name}")


def opened(tmp_path, labels, *args, reading=None, **options):
    spec = write(tmp_path / "a.parquet", labels, *args, **options)
    return open_source(SourceSpec(source=spec.source, **(reading or {})), tmp_path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_labels_are_classes_in_alphabetical_order(tmp_path, kind):
    images = opened(tmp_path, pa.array(["dog", "cat", "big_dog", "cat "], pa.string()).cast(kind))
    assert images.source_names == ("big_dog", "cat", "dog")
    assert images.class_names == ("big dog", "cat", "dog")
    assert images.labels.tolist() == [2, 1, 0, 1]


def test_the_shards_of_one_set_may_have_other_texts(tmp_path):
    write(tmp_path / "s-0.parquet", ["b", "c"])
    write(tmp_path / "s-1.parquet", ["a", "c"])
    images = open_source(SourceSpec(source="parquet:s-*.parquet"), tmp_path)
    assert images.source_names == ("a", "b", "c")
    assert images.labels.tolist() == [1, 2, 0, 2]
    write(tmp_path / "s-2.parquet", [0, 1])
    with pytest.raises(DataError, match="some shards have text labels, others numbers"):
        open_source(SourceSpec(source="parquet:s-*.parquet"), tmp_path)


def test_texts_that_are_ids_take_their_words_from_label_name(tmp_path):
    images = opened(tmp_path, ["n02", "n01", "n02"], ["cat", "dog", "cat"])
    assert images.source_names == ("dog", "cat")
    assert images.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("labels", [["2", "10", "0", "1"], [2.0, 10.0, 0.0, 1.0]])
def test_numbers_written_as_texts_or_decimals_are_numbers(tmp_path, labels):
    with pytest.raises(DataError, match="class 3 has no image"):
        opened(tmp_path, labels)
    whole = [type(labels[0])(i) for i in range(11)]
    assert opened(tmp_path, whole).labels.tolist() == list(range(11))


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (["a", None, "b"], "row 1 has none"),
        (["a", "", "b", "nan"], r"2 rows have none \(rows 1, 3\)"),
        ([0.0, float("nan"), 1.0], "row 1 has none"),
        ([0.0, 1.5], "row 1 has 1.5"),
        ([True, False], "it holds bool"),
        ([[0], [1]], "it holds list"),
    ],
)
def test_labels_that_are_none_name_their_rows(tmp_path, labels, problem):
    with pytest.raises(DataError, match=problem):
        opened(tmp_path, labels)


def test_a_class_called_none_is_a_class(tmp_path):
    assert opened(tmp_path, ["scratch", "none"]).source_names == ("none", "scratch")


def test_labels_from_one_are_read_where_the_study_says_so(tmp_path):
    with pytest.raises(DataError, match="class 0 has no image") as caught:
        opened(tmp_path, [1, 2, 3])
    assert "labels_from = 1" in caught.value.hint
    images = opened(tmp_path, [1, 2, 3, 1], reading={"labels_from": 1})
    assert images.labels.tolist() == [0, 1, 2, 0]
    named = opened(tmp_path, [1, 2, 3], ["a", "b", "c"], reading={"labels_from": 1})
    assert named.source_names == ("a", "b", "c")
    with pytest.raises(DataError, match="label 3 of row 2 is outside") as caught:
        opened(tmp_path, [1, 2, 3], declared=["a", "b", "c"])
    assert "labels_from = 1" in caught.value.hint


def test_a_split_without_labels_says_so(tmp_path):
    with pytest.raises(DataError, match="all labels are -1"):
        opened(tmp_path, [-1, -1, -1], declared=["a", "b"])


def test_declared_classes_without_a_picture_are_no_classes_and_are_named(tmp_path):
    images = opened(tmp_path, [3, 1, 3], declared=["plane", "cat", "dog", "horse"])
    assert images.class_names == ("cat", "horse")
    assert images.labels.tolist() == [1, 0, 1]
    assert images.unused == ("plane", "dog")
    assert images.class_numbers == (1, 3)
    named = opened(tmp_path, [3, 1, 3], ["horse", "cat", "horse"])
    assert (named.class_names, named.labels.tolist()) == (("cat", "horse"), [1, 0, 1])
    got = fetch_source(SourceSpec(source="parquet:a.parquet"), tmp_path, lambda *_: None)
    assert (got.n_classes, got.state) == (2, "listed")


def test_the_study_may_name_the_columns(tmp_path):
    spec = write(tmp_path / "a.parquet", [0, 1, 2], ["a", "b", "c"], coarse=["x", "y", "x"], photo=[picture()] * 3)
    coarse = SourceSpec(source=spec.source, label="coarse", image="photo")
    images = open_source(coarse, tmp_path)
    assert images.source_names == ("x", "y")
    assert images.read(1).getpixel((0, 0)) == images.read(2).getpixel((0, 0))
    assert source_sha256(coarse, tmp_path) == images.sha256 != source_sha256(spec, tmp_path)
    for each in (spec, coarse):  # a manifest each: they are other classes
        assert fetch_source(each, tmp_path, lambda *_: None).state == "listed"
        assert fetch_source(each, tmp_path, lambda *_: None).state == "verified"
    with pytest.raises(DataError, match="has no column 'kind'") as caught:
        open_source(SourceSpec(source=spec.source, label="kind"), tmp_path)
    assert 'label = "COLUMN"' in caught.value.hint


def test_what_a_default_says_again_changes_no_identity(tmp_path):
    spec = write(tmp_path / "a.parquet", [0, 1])
    plain = source_sha256(spec, tmp_path)
    again = SourceSpec(source=spec.source, labels_from=0, exif_rotation=False)
    assert source_sha256(again, tmp_path) == plain == open_source(again, tmp_path).sha256


def test_columns_cannot_be_named_where_there_are_none(tmp_path):
    with pytest.raises(DataError, match="has no columns, so label cannot be said of it"):
        open_source(SourceSpec(source="lab:terrain/test", label="x"), tmp_path)


def test_a_folder_of_shards_and_a_deep_pattern_are_read(tmp_path):
    (tmp_path / "set" / "deep").mkdir(parents=True)
    write(tmp_path / "set" / "1.parquet", ["a", "b"])
    write(tmp_path / "set" / "deep" / "2.parquet", ["a", "b"])
    assert len(open_source(SourceSpec(source="parquet:set"), tmp_path)) == 2
    assert len(open_source(SourceSpec(source="parquet:set/**/*.parquet"), tmp_path)) == 4
    images = open_source(SourceSpec(source="parquet:set"), tmp_path)
    assert np.array_equal(images.labels, [0, 1])


def test_codes_with_gaps_are_classes_where_the_study_names_them(tmp_path):
    with pytest.raises(DataError, match="class 0 has no image") as caught:
        opened(tmp_path, [102, 206, 205])
    assert "classes = [102, 205, 206]" in caught.value.hint
    images = opened(tmp_path, [102, 206, 205, 102], reading={"classes": [102, 206]})
    assert images.class_names == ("class 102", "class 206")
    assert images.labels.tolist() == [0, 1, 0]
    assert images.class_numbers == (102, 206)
    every = opened(tmp_path, [2, 1, 0], reading={"classes": [0, 1, 2]})
    assert every.labels.tolist() == [2, 1, 0]
    shifted = opened(tmp_path, [1, 5, 9], reading={"classes": [5, 9], "labels_from": 1})
    assert (shifted.class_numbers, shifted.first_number, len(shifted)) == ((4, 8), 1, 2)


@pytest.mark.parametrize("labels", [[0, 10**9], [-(10**9), 1], [0.0, 1e300], ["0", "1000000000"]])
def test_a_label_that_is_an_id_is_refused_by_its_row_before_classes_are_named(tmp_path, labels):
    table = pa.table({"image": [b"x", b"y"], "label": labels, "label_name": ["a", "b"]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet: column label, row [01]: .* is no class number"):
        open_parquet("t.parquet", tmp_path)


def test_numbers_too_long_to_be_labels_are_names(tmp_path):
    pq.write_table(pa.table({"image": [b"x", b"y"], "label": ["1" * 5000, "2" * 5000]}), tmp_path / "t.parquet")
    assert open_parquet("t.parquet", tmp_path).source_names == ("1" * 5000, "2" * 5000)
