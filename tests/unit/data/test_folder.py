import unicodedata

import pytest
from hub_stand_ins import picture

from heatdrift.config import SourceSpec
from heatdrift.data.sources import missing_source, open_source, source_sha256
from heatdrift.errors import DataError

SPEC = SourceSpec(source="folder:pets")


@pytest.fixture
def pets(tmp_path):
    """Two classes; cats in two folders, one of them deeper."""
    for name, colour in (("cats/b.png", (1, 0, 0)), ("cats/old/a.JPG", (2, 0, 0)), ("big_dogs/z.png", (3, 0, 0))):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(colour))
    return tmp_path / "pets"


def test_class_folders_are_classes_sorted_by_name(pets):
    images = open_source(SPEC, pets.parent)
    assert images.class_names == ("big dogs", "cats")
    assert images.source_names == ("big_dogs", "cats")
    assert images.labels.tolist() == [0, 1, 1]
    assert [images.name(i) for i in range(3)] == ["big_dogs/z.png", "cats/b.png", "cats/old/a.JPG"]
    assert images.read(2).getpixel((0, 0)) == (2, 0, 0)
    assert images.sha256 == source_sha256(SPEC, pets.parent)


def test_the_hash_follows_names_and_bytes_and_nothing_else(pets):
    before = source_sha256(SPEC, pets.parent)
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "cats" / ".DS_Store").write_bytes(b"x")
    (pets / "cats" / "Thumbs.db").write_bytes(b"x")
    (pets / "README.md").write_text("about")
    (pets / "cats" / "b.png").touch()
    assert source_sha256(SPEC, pets.parent) == before
    moved = pets.rename(pets.parent / "elsewhere")
    assert source_sha256(SourceSpec(source=f"folder:{moved}"), pets.parent) == before
    (moved / "cats" / "b.png").write_bytes(picture((9, 9, 9)))
    assert source_sha256(SourceSpec(source=f"folder:{moved}"), pets.parent) != before


def test_links_are_followed_and_a_dangling_one_is_named(pets, tmp_path):
    (tmp_path / "store").mkdir()
    (pets / "cats" / "b.png").rename(tmp_path / "store" / "x.png")
    (pets / "cats" / "b.png").symlink_to(tmp_path / "store" / "x.png")
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "c.png").write_bytes(picture((4, 0, 0)))
    (pets / "birds").symlink_to(tmp_path / "birds")
    images = open_source(SPEC, tmp_path)
    assert images.class_names == ("big dogs", "birds", "cats")
    assert images.read(2).getpixel((0, 0)) == (1, 0, 0)
    (tmp_path / "store" / "x.png").unlink()
    with pytest.raises(DataError, match=r"b\.png is a link that leads nowhere"):
        open_source(SPEC, tmp_path)


def test_accented_names_are_the_same_however_they_are_composed(tmp_path):
    hashes = []
    for form, folder in (("NFC", "one"), ("NFD", "two")):
        for name in ("café", "zèbre"):
            path = tmp_path / folder / unicodedata.normalize(form, name)
            path.mkdir(parents=True)
            (path / unicodedata.normalize(form, "été 1.png")).write_bytes(picture())
        images = open_source(SourceSpec(source=f"folder:{folder}"), tmp_path)
        assert images.class_names == ("café", "zèbre")
        assert images.name(0) == "café/été 1.png"
        hashes.append(images.sha256)
    assert hashes[0] == hashes[1]


def test_the_same_name_composed_in_two_ways_is_refused(tmp_path):
    for form in ("NFC", "NFD"):
        path = tmp_path / "pets" / unicodedata.normalize(form, "café")
        path.mkdir(parents=True)
        (path / "a.png").write_bytes(picture())
    with pytest.raises(DataError, match="two class folders named 'café'"):
        open_source(SPEC, tmp_path)


def test_an_empty_class_folder_is_named(pets):
    (pets / "ants").mkdir()
    with pytest.raises(DataError, match=r"class folder .*ants has no picture"):
        open_source(SPEC, pets.parent)


def test_a_file_that_is_no_picture_is_named(pets):
    (pets / "cats" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is no picture"):
        open_source(SPEC, pets.parent)


def test_a_picture_beside_the_class_folders_is_named(pets):
    (pets / "stray.png").write_bytes(picture())
    with pytest.raises(DataError, match=r"stray\.png lies next to the class folders"):
        open_source(SPEC, pets.parent)


def test_one_class_no_class_and_no_folder(tmp_path):
    with pytest.raises(DataError, match="there is no folder") as caught:
        open_source(SPEC, tmp_path)
    assert "--data-dir" in caught.value.hint
    assert missing_source(SPEC, tmp_path).message == caught.value.message
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match="has no class folders"):
        open_source(SPEC, tmp_path)
    (tmp_path / "pets" / "cats").mkdir()
    (tmp_path / "pets" / "cats" / "a.png").write_bytes(picture())
    with pytest.raises(DataError, match="one class only"):
        open_source(SPEC, tmp_path)
    assert missing_source(SPEC, tmp_path) is None  # cheap: the folder is there


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".thumbs", "#recycle", "$RECYCLE.BIN"])
def test_copies_that_systems_and_editors_keep_are_no_pictures_of_the_set(pets, name):
    before = source_sha256(SPEC, pets.parent)
    for folder in (pets / name / "b.png", pets / "cats" / name, pets / "cats" / "old" / name / "a.JPG"):
        folder.mkdir(parents=True)
        (folder / "copy.png").write_bytes(picture((7, 0, 0)))
        (folder / "index.db").write_bytes(b"x")
    (pets / "._stray.png").write_bytes(b"x")
    images = open_source(SPEC, pets.parent)
    assert len(images) == 3
    assert images.class_names == ("big dogs", "cats")
    assert images.sha256 == source_sha256(SPEC, pets.parent) == before


def test_linked_folders_are_followed_at_any_depth_and_loops_end(pets, tmp_path):
    for place in ("more/c.png", "more/deep/d.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(picture((5, 0, 0)))
    (pets / "cats" / "extra").symlink_to(tmp_path / "more")
    (pets / "cats" / "old" / "again").symlink_to(pets / "cats")  # a loop: nothing in it is new
    (pets / "cats" / "zz").symlink_to(pets / "cats" / "old")  # there already, under its own name
    images = open_source(SPEC, pets.parent)
    assert [images.name(i) for i in range(len(images))] == [
        "big_dogs/z.png",
        "cats/b.png",
        "cats/extra/c.png",
        "cats/extra/deep/d.png",
        "cats/old/a.JPG",
    ]


@pytest.mark.parametrize("target", ["big_dogs", "", ".."])
def test_a_link_that_gives_pictures_a_second_class_is_refused(pets, target):
    (pets / "cats" / "link").symlink_to(pets / target)
    with pytest.raises(DataError, match="two classes") as caught:
        open_source(SPEC, pets.parent)
    assert "link" in caught.value.hint


def test_a_link_to_a_folder_that_is_gone_is_named(pets):
    (pets / "cats" / "gone").symlink_to(pets / "nowhere")
    with pytest.raises(DataError, match="gone is a link that leads nowhere"):
        open_source(SPEC, pets.parent)
