"""Class folders in archives, read in place, and several folders or archives as one set."""

import io
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub_stand_ins import picture

from heatdrift.config import SourceSpec
from heatdrift.data import archive
from heatdrift.data.sources import fetch_source, missing_source, open_source, source_sha256
from heatdrift.errors import DataError

FILES = {  # name in the folder -> red of its picture
    "cats/a.png": 1,
    "cats/deep/b.JPG": 2,
    "big_dogs/z.png": 3,
}
LEFT = {
    "README.md": b"pictures of pets",
    "cats/.hidden.png": b"x",
    "cats/Thumbs.db": b"x",
    "__MACOSX/cats/._a.png": b"x",
    "cats/.ipynb_checkpoints/a.png": b"x",
}
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def contents(files=FILES, more=LEFT):
    return {name: picture((red, 0, 0)) for name, red in files.items()} | more


def pack(path, files, top="", folders=()):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name in folders:
                made.mkdir(top + name)
            for name, data in files.items():
                made.writestr(top + name, data)
        return
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as made:
        for name in folders:
            info = tarfile.TarInfo(top + name)
            info.type = tarfile.DIRTYPE
            made.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))


def unpack(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def opened(tmp_path, place):
    return open_source(SourceSpec(source=f"folder:{place}"), tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("top", ["", "./", "pets/", "somewhere/pets/"])
def test_an_archive_is_its_folder_unpacked_hash_and_all(tmp_path, suffix, top):
    unpack(tmp_path / "pets", contents())
    pack(tmp_path / f"pets{suffix}", contents(), top)
    folder, packed = opened(tmp_path, "pets"), opened(tmp_path, f"pets{suffix}")
    assert packed.sha256 == folder.sha256 == source_sha256(SourceSpec(source=f"folder:pets{suffix}"), tmp_path)
    assert packed.class_names == ("big dogs", "cats")
    assert [packed.name(i) for i in range(3)] == ["big_dogs/z.png", "cats/a.png", "cats/deep/b.JPG"]
    assert [packed.read(i).getpixel((0, 0))[0] for i in range(3)] == [3, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets", f"pets{suffix}"]  # nothing is unpacked


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_many_threads_read_one_archive(tmp_path, suffix):
    files = {f"{name}/{i}.png": i for name in "ab" for i in range(60)}
    pack(tmp_path / f"x{suffix}", contents(files, {}))
    images = opened(tmp_path, f"x{suffix}")
    with ThreadPoolExecutor(8) as pool:
        reds = list(pool.map(lambda i: images.read(i).getpixel((0, 0))[0], range(120)))
    assert reds == [int(images.name(i).split("/")[1].removesuffix(".png")) for i in range(120)]


def test_a_folder_in_an_archive_is_named_like_any_other(tmp_path):
    files = {f"pets/{split}/{name}": red for split in ("train", "test") for name, red in FILES.items()}
    pack(tmp_path / "pets.zip", contents(files, {}))
    images = opened(tmp_path, "pets.zip/pets/test")
    assert len(images) == 3
    assert images.name(0) == "big_dogs/z.png"
    with pytest.raises(DataError, match="called test, train: splits, not classes") as caught:
        opened(tmp_path, "pets.zip/pets")
    assert "folder:pets.zip/pets/train" in caught.value.hint
    with pytest.raises(DataError, match="called test, train: splits, not classes"):
        opened(tmp_path, "pets.zip")
    with pytest.raises(DataError, match="has no folder pets/val") as caught:
        opened(tmp_path, "pets.zip/pets/val")
    assert "pets" in caught.value.hint


def test_splits_are_no_classes_on_disk_either(tmp_path):
    unpack(tmp_path / "pets", {f"{split}/{name}": picture() for split in ("train", "val") for name in FILES})
    with pytest.raises(DataError, match="called train, val: splits, not classes"):
        opened(tmp_path, "pets")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize(
    ("more", "folders", "problem"),
    [
        ({"cats/notes.txt": b"x"}, (), r"cats/notes\.txt is no picture"),
        ({"stray.png": b"x"}, (), r"stray\.png lies next to the class folders"),
        ({}, ("ants",), "ants has no picture"),
    ],
)
def test_the_rules_of_class_folders_hold_in_archives(tmp_path, suffix, more, folders, problem):
    pack(tmp_path / f"pets{suffix}", contents(more=more), folders=folders)
    with pytest.raises(DataError, match=problem):
        opened(tmp_path, f"pets{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_archive_is_named(tmp_path, suffix):
    path = tmp_path / f"pets{suffix}"
    pack(path, contents())
    whole = path.read_bytes()
    for data in (b"", b"no archive at all", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"pets{suffix}"):
            opened(tmp_path, f"pets{suffix}")


def test_an_encrypted_zip_and_links_in_a_tar_are_refused(tmp_path):
    pack(tmp_path / "pets.zip", contents())
    data = bytearray((tmp_path / "pets.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of an encrypted member
    (tmp_path / "pets.zip").write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        opened(tmp_path, "pets.zip")
    with tarfile.open(tmp_path / "l.tar", "w") as made:
        link = tarfile.TarInfo("cats/a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "../b.png"
        made.addfile(link)
    with pytest.raises(DataError, match=r"cats/a\.png is a link") as caught:
        opened(tmp_path, "l.tar")
    assert "--dereference" in caught.value.hint


def test_what_is_far_larger_than_its_archive_is_not_decompressed(tmp_path, monkeypatch):
    pack(tmp_path / "pets.tar.gz", contents({}, {"cats/a.png": bytes(10**6), "dogs/a.png": bytes(10**6)}))
    monkeypatch.setattr(archive, "_SMALL", 1000)
    with pytest.raises(DataError, match="more than 200 times its size"):
        opened(tmp_path, "pets.tar.gz")
    pack(tmp_path / "flat.zip", contents({}, {f"cats/{i}.png": bytes(10**5) for i in range(20)}))
    with pytest.raises(DataError, match=r"flat\.zip holds more than 200 times its size"):
        opened(tmp_path, "flat.zip")
    monkeypatch.setattr(archive, "MOST_PICTURE", 1000)
    pack(tmp_path / "pets.zip", contents({}, {"cats/a.png": bytes(10**4)}))
    with pytest.raises(DataError, match=r"cats/a\.png has 0 MB"):
        opened(tmp_path, "pets.zip")


def test_a_pattern_brings_folders_and_archives_together_by_class(tmp_path):
    unpack(tmp_path / "parts" / "one", {"cats/a.png": picture((1, 0, 0)), "dogs/a.png": picture((2, 0, 0))})
    pack(tmp_path / "parts" / "two.zip", {"birds/a.png": picture((3, 0, 0)), "cats/a.png": picture((4, 0, 0))})
    images = opened(tmp_path, "parts/*")
    assert images.class_names == ("birds", "cats", "dogs")
    assert [images.name(i) for i in range(4)] == [
        "two.zip/birds/a.png",
        "one/cats/a.png",
        "two.zip/cats/a.png",
        "one/dogs/a.png",
    ]
    assert [images.read(i).getpixel((0, 0))[0] for i in range(4)] == [3, 1, 4, 2]
    assert images.sha256 == source_sha256(SourceSpec(source="folder:parts/*"), tmp_path)
    got = fetch_source(SourceSpec(source="folder:parts/*"), tmp_path, lambda *_: None)
    assert (got.n_images, got.n_classes) == (4, 3)


def test_an_archive_that_is_not_there_is_missing(tmp_path):
    absent = missing_source(SourceSpec(source="folder:pets.zip"), tmp_path)
    assert "there is no folder" in absent.message
    assert missing_source(SourceSpec(source="folder:none-*.tar"), tmp_path) is not None
