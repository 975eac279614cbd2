"""Crops kept on disk: equal to those made in memory, shared, and made again where they cannot be trusted."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from stubs import write_image_parquet

from heatdrift.config import SourceSpec
from heatdrift.crop_plan import Preprocess
from heatdrift.data import crop_cache
from heatdrift.data.crop_cache import kept_crops
from heatdrift.data.sources import open_source
from heatdrift.data.transforms import crops
from heatdrift.errors import DataError

PREPROCESS = Preprocess(size=16, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
POSITIONS = np.array([5, 0, 11, 3, 7])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_image_parquet(folder / "some.parquet", classes=3, per_class=4, size=24, seed=1)
    return folder


@pytest.fixture
def images(pictures):
    return open_source(SourceSpec(source="parquet:some.parquet"), pictures)


def made(folder):
    return sorted(path.suffix for path in folder.iterdir())


def test_kept_crops_are_those_made_in_memory_and_are_made_once(images, tmp_path, monkeypatch):
    done = []
    first = kept_crops(images, POSITIONS, PREPROCESS, tmp_path, report=done.append)
    assert np.array_equal(first, crops(images, POSITIONS, PREPROCESS))
    assert done == [5]
    assert made(tmp_path) == [".lock", ".npy", ".sha256"]
    monkeypatch.setattr(crop_cache, "crops", lambda *_: pytest.fail("made again"))
    again = kept_crops(images, POSITIONS, PREPROCESS, tmp_path)
    assert np.array_equal(first, again)
    again[0] = 0  # private pages: whoever writes into them changes nothing for others
    assert np.array_equal(first, kept_crops(images, POSITIONS, PREPROCESS, tmp_path))


def test_without_a_folder_nothing_is_kept(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(kept_crops(images, POSITIONS, PREPROCESS, None), crops(images, POSITIONS, PREPROCESS))
    drawn = open_source(SourceSpec(source="lab:terrain/test"), tmp_path)
    kept_crops(drawn, np.arange(2), PREPROCESS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_crops_are_decoded_in_chunks_by_threads_in_their_order(images, tmp_path, monkeypatch):
    monkeypatch.setattr(crop_cache, "CHUNK", 2)
    monkeypatch.setattr(crop_cache, "cores", lambda: 3)
    done = []
    found = kept_crops(images, POSITIONS, PREPROCESS, tmp_path, report=done.append)
    assert np.array_equal(found, crops(images, POSITIONS, PREPROCESS))
    assert done == [2, 4, 5]


@pytest.mark.parametrize(
    "change",
    [{"size": 12}, {"interpolation": "bilinear"}, {"antialias": False}, {"resize": 20}, "positions", "version"],
)
def test_whatever_the_bytes_depend_on_names_the_file(images, tmp_path, monkeypatch, change):
    kept_crops(images, POSITIONS, PREPROCESS, tmp_path)
    if change == "version":
        monkeypatch.setattr("PIL.__version__", "0.0")
    other = msgspec.structs.replace(PREPROCESS, **change) if isinstance(change, dict) else PREPROCESS
    positions = POSITIONS[::-1] if change == "positions" else POSITIONS
    found = kept_crops(images, positions, other, tmp_path)
    assert np.array_equal(found, crops(images, positions, other))
    assert made(tmp_path).count(".npy") == 2


def test_normalisation_does_not_name_the_file(images, tmp_path):
    kept_crops(images, POSITIONS, PREPROCESS, tmp_path)
    kept_crops(images, POSITIONS, msgspec.structs.replace(PREPROCESS, mean=(0.1, 0.1, 0.1)), tmp_path)
    assert made(tmp_path).count(".npy") == 1


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".sha256").unlink(),
        lambda path: path.with_suffix(".sha256").write_bytes(b"\xff\xfe"),
    ],
    ids=["a bit", "cut short", "empty", "gone", "no hash: its maker was killed", "a hash that is none"],
)
def test_a_file_that_cannot_be_trusted_is_made_again(images, tmp_path, damage):
    kept_crops(images, POSITIONS, PREPROCESS, tmp_path)
    (path,) = tmp_path.glob("*.npy")
    path.with_suffix(".part").write_bytes(b"left by a process that was killed")
    damage(path)
    assert np.array_equal(kept_crops(images, POSITIONS, PREPROCESS, tmp_path), crops(images, POSITIONS, PREPROCESS))
    assert made(tmp_path) == [".lock", ".npy", ".sha256"]


def test_a_folder_that_cannot_be_used_is_reported_and_costs_nothing_else(images, tmp_path):
    (tmp_path / "file").write_text("in the way")
    problems = []
    found = kept_crops(images, POSITIONS, PREPROCESS, tmp_path / "file", on_problem=problems.append)
    assert np.array_equal(found, crops(images, POSITIONS, PREPROCESS))
    assert len(problems) == 1
    assert "parquet:some.parquet are not kept in" in problems[0]


def test_a_full_disk_is_reported_and_leaves_nothing(images, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    problems = []
    found = kept_crops(images, POSITIONS, PREPROCESS, tmp_path, on_problem=problems.append)
    assert np.array_equal(found, crops(images, POSITIONS, PREPROCESS))
    assert problems == [f"crops of parquet:some.parquet are not kept in {tmp_path}: No space left on device"]
    assert made(tmp_path) == [".lock"]


def test_a_picture_that_does_not_decode_is_named_and_nothing_is_kept(pictures, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pictures / "some.parquet")
    column = table["image"].to_pylist()
    column[3] = {**column[3], "bytes": b"no picture"} if isinstance(column[3], dict) else b"no picture"
    broken = table.set_column(table.schema.get_field_index("image"), "image", pa.array(column, table["image"].type))
    pq.write_table(broken, pictures / "broken.parquet")
    images = open_source(SourceSpec(source="parquet:broken.parquet"), pictures)
    with pytest.raises(DataError, match="row 3 does not decode"):
        kept_crops(images, POSITIONS, PREPROCESS, tmp_path)
    assert made(tmp_path) == [".lock"]


def test_several_at_once_make_a_file_once(pictures, tmp_path):
    """The lock belongs to an open file, so threads keep each other out as processes do."""

    def ask(_):
        images = open_source(SourceSpec(source="parquet:some.parquet"), pictures)
        calls = []
        found = kept_crops(images, POSITIONS, PREPROCESS, tmp_path, report=calls.append)
        return len(calls), int(found.sum())

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, range(4)))
    assert sum(calls > 0 for calls, _ in results) == 1
    assert len({total for _, total in results}) == 1
