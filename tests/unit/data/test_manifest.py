import json
import os

import msgspec
import pytest
from hub_stand_ins import hub_shard
from stubs import write_image_parquet

from heatdrift.config import SourceSpec
from heatdrift.data.manifest import Manifest, manifest_path, read_manifest
from heatdrift.data.sources import fetch_source, open_source, source_sha256
from heatdrift.errors import DataError

SPEC = SourceSpec(source="parquet:a.parquet")


def quiet(*_):
    pass


@pytest.fixture
def place(tmp_path):
    """A data folder with one Parquet file and its manifest."""
    write_image_parquet(tmp_path / "a.parquet", classes=3, per_class=4, size=12, seed=0)
    fetch_source(SPEC, tmp_path, quiet)
    return tmp_path


def test_a_manifest_says_what_the_source_is(place):
    manifest = read_manifest(SPEC.source, place)
    assert manifest.sha256 == source_sha256(SPEC, place)
    assert manifest.n_images == 12
    assert [(c.name, c.n_images) for c in manifest.classes] == [("colour 0", 4), ("colour 1", 4), ("colour 2", 4)]
    assert [(f.path, f.size) for f in manifest.files] == [("a.parquet", (place / "a.parquet").stat().st_size)]
    assert open_source(SPEC, place).sha256 == manifest.sha256


def test_fetching_again_decodes_nothing_and_leaves_the_manifest_alone(place):
    path = manifest_path(SPEC.source, place)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    calls = []
    assert fetch_source(SPEC, place, lambda *what: calls.append(what)).state == "verified"
    assert calls == []
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_changed_file_is_noticed_and_what_changed_is_said(place):
    write_image_parquet(place / "a.parquet", classes=4, per_class=5, size=12, seed=1)
    for action in (open_source, lambda spec, folder: fetch_source(spec, folder, quiet)):
        with pytest.raises(DataError, match=r"is not what .* promises: file a\.parquet changed") as caught:
            action(SPEC, place)
        assert "12 images, now 20" in caught.value.message
        assert "delete" in caught.value.hint
    manifest_path(SPEC.source, place).unlink()
    assert fetch_source(SPEC, place, quiet).n_images == 20


def test_a_change_of_equal_size_and_time_is_noticed(place):
    path = place / "a.parquet"
    data, stat = bytearray(path.read_bytes()), path.stat()
    at = data.index(b"IHDR") - 20
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DataError):
        open_source(SPEC, place)


def test_the_study_files_pinned_hash_goes_before_the_manifest(place):
    write_image_parquet(place / "a.parquet", classes=4, per_class=5, size=12, seed=1)
    pinned = SourceSpec(source=SPEC.source, sha256=source_sha256(SPEC, place))
    assert len(open_source(pinned, place)) == 20
    with pytest.raises(DataError, match="the study file says 000000000000"):
        open_source(SourceSpec(source=SPEC.source, sha256="0" * 64), place)


def test_the_study_files_number_of_images_is_checked(place):
    assert len(open_source(SourceSpec(source=SPEC.source, n_images=12), place)) == 12
    with pytest.raises(DataError, match="has 12 images, the study file says 13"):
        open_source(SourceSpec(source=SPEC.source, n_images=13), place)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: text[:50], "not a readable manifest"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2"),
        (lambda text: text.replace("parquet:a.parquet", "parquet:b.parquet"), "a manifest of parquet:b.parquet"),
    ],
)
def test_a_damaged_or_foreign_manifest_is_named(place, damage, problem):
    path = manifest_path(SPEC.source, place)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=problem) as caught:
        open_source(SPEC, place)
    assert str(path) in caught.value.hint


def test_manifests_of_similar_names_do_not_collide(tmp_path):
    names = ["parquet:a b.parquet", "parquet:a-b.parquet", "folder:a-b.parquet", "hf:a/b/train", "hf:a-b/train/x"]
    paths = {manifest_path(name, tmp_path) for name in names}
    assert len({path.name for path in paths}) == len(names)
    assert all(path.parent == tmp_path / "manifests" for path in paths)


def test_a_manifest_is_plain_json_that_reads_back(place):
    path = manifest_path(SPEC.source, place)
    assert msgspec.convert(json.loads(path.read_text()), type=Manifest) == read_manifest(SPEC.source, place)


def test_a_folder_that_cannot_be_written_still_verifies(tmp_path):
    write_image_parquet(tmp_path / "a.parquet", classes=2, per_class=2, size=8, seed=0)
    (tmp_path / "manifests").write_text("in the way")
    got = fetch_source(SPEC, tmp_path, quiet)
    assert (got.state, got.n_images) == ("listed", 4)
    assert "not written" in got.detail


def test_shards_are_one_source_and_a_lost_one_is_noticed(tmp_path):
    for i in range(3):
        hub_shard(tmp_path / f"d/train-{i}.parquet", [0, 1], names=("a", "b"), first=i * 2)
    spec = SourceSpec(source="parquet:d/train-*.parquet")
    assert fetch_source(spec, tmp_path, quiet).n_images == 6
    assert open_source(spec, tmp_path).read(3).getpixel((0, 0)) == (60, 30, 0)
    (tmp_path / "d/train-1.parquet").unlink()
    with pytest.raises(DataError, match=r"file train-1\.parquet is missing"):
        open_source(spec, tmp_path)


def test_shards_of_different_data_sets_are_refused(tmp_path):
    hub_shard(tmp_path / "train-0.parquet", [0, 1], names=("a", "b"))
    hub_shard(tmp_path / "train-1.parquet", [0, 1], names=("a", "c"))
    with pytest.raises(DataError, match="declare different class names"):
        open_source(SourceSpec(source="parquet:train-*.parquet"), tmp_path)
