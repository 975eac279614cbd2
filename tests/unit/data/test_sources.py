import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from stubs import write_image_parquet

from heatdrift.config import SourceSpec
from heatdrift.crop_plan import Preprocess
from heatdrift.data.images import decode_image, readable
from heatdrift.data.sources import open_source, source_sha256
from heatdrift.data.transforms import crops
from heatdrift.errors import DataError, UnknownNameError

PREPROCESS = Preprocess(size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def encoded(mode, size=(10, 14), kind="PNG"):
    stream = io.BytesIO()
    Image.new(mode, size, 1 if mode == "P" else None).save(stream, kind)
    return stream.getvalue()


def write_rows(path, images, labels, names=None):
    columns = {"image": pa.array(images, pa.binary()), "label": pa.array(labels)}
    if names is not None:
        columns["label_name"] = names
    pq.write_table(pa.table(columns), path)


def test_a_parquet_file_gives_images_labels_and_readable_names(tmp_path):
    write_image_parquet(tmp_path / "a.parquet", classes=3, per_class=4, size=12, seed=0)
    images = open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)
    assert len(images) == 12
    assert np.bincount(images.labels).tolist() == [4, 4, 4]
    assert images.read(0).mode == "RGB"
    assert images.sha256 == source_sha256(SourceSpec(source="parquet:a.parquet"), tmp_path)


def test_the_hubs_struct_column_is_read_too(tmp_path):
    image = encoded("RGB")
    column = pa.array([{"bytes": image, "path": "x.png"}] * 2)
    pq.write_table(pa.table({"image": column, "label": [0, 1]}), tmp_path / "hub.parquet")
    assert open_source(SourceSpec(source="parquet:hub.parquet"), tmp_path).read(1).size == (10, 14)


def test_a_pinned_hash_is_used_for_planning_and_verified_on_opening(tmp_path):
    write_image_parquet(tmp_path / "a.parquet", classes=2, per_class=2, size=8, seed=0)
    pinned = SourceSpec(source="parquet:a.parquet", sha256="0" * 64)
    assert source_sha256(pinned, tmp_path / "nowhere") == "0" * 64
    with pytest.raises(DataError, match="the study file says 000000000000"):
        open_source(pinned, tmp_path)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1", "LA"])
def test_grey_palette_and_cmyk_pictures_become_rgb(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode_image(encoded(mode, kind=kind), "here").mode == "RGB"


@pytest.mark.parametrize("data", [b"", b"not a picture", encoded("RGB")[:40]])
def test_an_image_that_does_not_decode_is_named(tmp_path, data):
    write_rows(tmp_path / "a.parquet", [encoded("RGB"), data], [0, 1])
    images = open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)
    with pytest.raises(DataError, match=r"a\.parquet row 1 does not decode"):
        crops(images, np.arange(2), PREPROCESS)


def test_a_missing_or_truncated_file_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="there is no file") as caught:
        open_source(SourceSpec(source="parquet:none.parquet"), tmp_path)
    assert "--data-dir" in caught.value.hint
    write_image_parquet(tmp_path / "a.parquet", classes=2, per_class=20, size=16, seed=0)
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)
    assert "truncated" in caught.value.hint


@pytest.mark.parametrize(
    ("labels", "names", "problem"),
    [
        ([0, -1], None, "label -1 of row 1 is outside"),
        ([0, 2], None, "class 1 has no image"),
        ([0, 0], None, "one class only"),
        ([0.5, 1.0], None, "whole numbers"),
        ([0, None], None, "no NULL"),
        ([1, 1, 0], ["a", "b", "c"], "label 1 has two names"),
    ],
)
def test_impossible_labels_are_refused(tmp_path, labels, names, problem):
    write_rows(tmp_path / "a.parquet", [encoded("RGB")] * len(labels), labels, names)
    with pytest.raises(DataError, match=problem):
        open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)


def test_a_missing_column_is_named(tmp_path):
    pq.write_table(pa.table({"picture": [b"x"], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column 'image' \(it has picture, label\)"):
        open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)


@pytest.mark.parametrize("source", ["zip:a.zip", "a.parquet", ""])
def test_an_unknown_kind_of_source_is_refused(tmp_path, source):
    with pytest.raises(UnknownNameError, match="unknown kind of source"):
        source_sha256(SourceSpec(source=source), tmp_path)


def test_crops_resize_the_shorter_side_and_keep_the_centre(tmp_path):
    picture = Image.new("RGB", (32, 16), "red")
    picture.paste("blue", (8, 0, 24, 16))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_rows(tmp_path / "a.parquet", [stream.getvalue()] * 2, [0, 1])
    images = open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)
    out = crops(images, np.array([0]), PREPROCESS)
    assert out.shape == (1, 3, 8, 8)
    assert out[0, :, 4, 4].tolist() == [0, 0, 255]


def test_crops_equal_open_clips_own_transform_before_normalisation(tmp_path):
    import open_clip

    write_image_parquet(tmp_path / "a.parquet", classes=2, per_class=3, size=19, seed=3)
    images = open_source(SourceSpec(source="parquet:a.parquet"), tmp_path)
    theirs = open_clip.image_transform(8, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
    ours = crops(images, np.arange(6), PREPROCESS)
    for row in range(6):
        assert np.array_equal(ours[row], np.rint(theirs(images.read(row)).numpy() * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "words"),
    [("AnnualCrop", "annual crop"), ("american_bulldog", "american bulldog"), ("SeaLake", "sea lake"), ("pug", "pug")],
)
def test_class_names_become_words(name, words):
    assert readable(name) == words


def test_the_lab_is_a_source_like_any_other(tmp_path):
    images = open_source(SourceSpec(source="lab:terrain/test"), tmp_path)
    assert images.sha256 == source_sha256(SourceSpec(source="lab:terrain/test"), tmp_path)
    assert images.read(0).size == (28, 28)
    with pytest.raises(UnknownNameError):
        source_sha256(SourceSpec(source="lab:terrane/test"), tmp_path)


def write_paths(path, names, *, bytes_of=None):
    column = [{"bytes": (bytes_of or {}).get(name), "path": name} for name in names]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [i % 2 for i in range(len(names))]
    pq.write_table(pa.table({"image": pa.array(column, kind), "label": labels}), path)


def test_pictures_that_a_parquet_file_names_are_read_next_to_it(tmp_path):
    names = [f"train/cat/{i}.png" for i in range(4)]
    for i, name in enumerate(names):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_bytes(encoded("RGB", (i + 3, 5)))
    write_paths(tmp_path / "d" / "a.parquet", names)
    spec = SourceSpec(source="parquet:d/a.parquet")
    images = open_source(spec, tmp_path)
    assert [images.read(i).size for i in range(4)] == [(3, 5), (4, 5), (5, 5), (6, 5)]
    assert images.sha256 == source_sha256(spec, tmp_path)
    assert {file.path for file in images.files} == {"a.parquet", *names}
    (tmp_path / "d" / names[1]).write_bytes(encoded("RGB", (9, 9)))
    assert source_sha256(spec, tmp_path) != images.sha256  # the pictures are what is trained on, not their names


def test_a_column_of_paths_and_rows_with_bytes_among_paths_are_read(tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(encoded("RGB", (i + 3, 5)))
    pq.write_table(pa.table({"image": ["0.png", str(tmp_path / "1.png")], "label": [0, 1]}), tmp_path / "s.parquet")
    images = open_source(SourceSpec(source="parquet:s.parquet"), tmp_path)
    assert [images.read(i).size for i in range(2)] == [(3, 5), (4, 5)]
    write_paths(tmp_path / "m.parquet", ["0.png", "elsewhere.png"], bytes_of={"elsewhere.png": encoded("RGB", (8, 8))})
    images = open_source(SourceSpec(source="parquet:m.parquet"), tmp_path)
    assert [images.read(i).size for i in range(2)] == [(3, 5), (8, 8)]


def test_pictures_that_are_not_there_are_one_error(tmp_path):
    write_paths(tmp_path / "a.parquet", [f"ok/{i}.png" for i in range(36)])
    spec = SourceSpec(source="parquet:a.parquet")
    for ask in (source_sha256, open_source, lambda s, f: open_source(s, f, skip_unreadable=True)):
        with pytest.raises(
            DataError, match="names 36 of its pictures by path instead of holding them, and 36"
        ) as caught:
            ask(spec, tmp_path)
        assert str(tmp_path / "ok" / "0.png") in caught.value.message
        assert "skip" not in caught.value.hint
    write_paths(tmp_path / "a.parquet", ["../x.png", "/etc/hostname"])
    with pytest.raises(DataError, match="outside"):
        open_source(spec, tmp_path)
