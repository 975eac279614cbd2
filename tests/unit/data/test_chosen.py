"""Some classes only, pictures upright, and a test split made of the only one there is."""

import io

import numpy as np
import pytest
from hub_stand_ins import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from heatdrift.config import SourceSpec
from heatdrift.data.chosen import made_test_positions, with_made_test
from heatdrift.data.sources import fetch_source, open_source, source_sha256
from heatdrift.errors import DataError, UnknownNameError

SOURCE = "folder:set"


@pytest.fixture
def place(tmp_path):
    """Four classes of three pictures, whose red tells class and number."""
    for label, name in enumerate(("AnnualCrop", "Forest", "River", "SeaLake")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "set" / name / f"{i}.png").write_bytes(picture((label * 10 + i, 0, 0)))
    return tmp_path


def red(images):
    return [images.read(i).getpixel((0, 0))[0] for i in range(len(images))]


@pytest.mark.parametrize("wanted", [("SeaLake", "Forest"), ("sea lake", "forest"), (3, 1), ("Forest", 3)])
def test_a_subset_of_classes_is_numbered_anew_in_the_sources_order(place, wanted):
    images = open_source(SourceSpec(source=SOURCE, classes=wanted), place)
    assert images.source_names == ("Forest", "SeaLake")
    assert images.class_names == ("Forest", "sea lake")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.class_numbers == (1, 3)
    assert red(images) == [10, 11, 12, 30, 31, 32]
    assert images.name(3) == "SeaLake/0.png"


def test_the_subset_is_part_of_the_identity_and_its_order_is_not(place):
    whole = SourceSpec(source=SOURCE)
    one, other = (SourceSpec(source=SOURCE, classes=names) for names in (("River", "Forest"), ("Forest", "River")))
    assert source_sha256(one, place) == source_sha256(other, place) != source_sha256(whole, place)
    assert open_source(one, place).sha256 == source_sha256(one, place)
    pinned = SourceSpec(
        source=SOURCE, classes=("River", "Forest"), sha256=open_source(whole, place).sha256, n_images=12
    )
    assert len(open_source(pinned, place)) == 6  # what is pinned is the content of the whole source
    assert source_sha256(pinned, place) == source_sha256(one, place)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (("Forest", "Rivers"), "unknown class 'Rivers'"),
        (("Forest", 4), "unknown class '4'"),
        (("Forest", 1), "names '1' twice|names 'Forest' twice"),
        (("Forest",), "one class only"),
    ],
)
def test_a_subset_that_cannot_be_is_refused(place, wanted, problem):
    with pytest.raises((DataError, UnknownNameError), match=problem):
        open_source(SourceSpec(source=SOURCE, classes=wanted), place)


def test_a_picture_of_another_class_that_does_not_decode_is_in_nobodys_way(place):
    (place / "set" / "River" / "1.png").write_bytes(b"?")
    (place / "set" / "Forest" / "1.png").write_bytes(b"?")
    fetch_source(SourceSpec(source=SOURCE), place, lambda *_: None)
    assert len(open_source(SourceSpec(source=SOURCE, classes=("SeaLake", "AnnualCrop")), place)) == 6
    some = SourceSpec(source=SOURCE, classes=("Forest", "AnnualCrop"))
    with pytest.raises(DataError, match=r"1 pictures do not decode: Forest/1\.png"):
        open_source(some, place)
    assert open_source(some, place, skip_unreadable=True).skipped == ("Forest/1.png",)


def rotated(tag, kind="PNG", mode="RGB"):
    left_red = Image.new("RGB", (32, 16), "blue")
    left_red.paste("red", (0, 0, 16, 16))
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = tag
    left_red.convert(mode).save(stream, kind, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("WEBP", "RGB")])
def test_the_tag_outlives_the_conversion_to_rgb(place, kind, mode):
    (place / "set" / "Forest" / "0.png").write_bytes(rotated(6, kind, mode))
    picture = open_source(SourceSpec(source=SOURCE, exif_rotation=True), place).read(3)
    assert picture.size == (16, 32)
    assert np.allclose(picture.getpixel((8, 4)), (255, 0, 0), atol=30)
    assert np.allclose(picture.getpixel((8, 28)), (0, 0, 255), atol=30)


def test_pictures_are_turned_upright_only_where_the_study_says_so(place):
    (place / "set" / "Forest" / "0.png").write_bytes(rotated(6))  # to be turned by 90 degrees clockwise
    plain, turned = (open_source(SourceSpec(source=SOURCE, exif_rotation=on), place) for on in (None, True))
    assert plain.read(3).size == (32, 16)
    assert turned.read(3).size == (16, 32)
    assert turned.read(3).getpixel((1, 1)) == (255, 0, 0)
    assert turned.read(0).tobytes() == plain.read(0).tobytes()  # no tag
    assert turned.sha256 != plain.sha256


def test_an_orientation_tag_of_no_meaning_turns_nothing(place):
    (place / "set" / "Forest" / "0.png").write_bytes(rotated(99))
    images = open_source(SourceSpec(source=SOURCE, exif_rotation=True), place)
    assert images.read(3).size == (32, 16)


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_a_made_split_takes_every_image_once_and_keeps_every_class(counts, fraction, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    train, test = made_test_positions(labels, fraction, data_seed=seed, source="x")
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(labels)))
    for label, n in enumerate(counts):
        found = int(np.sum(labels[test] == label))
        assert 1 <= found <= n - 1
        assert abs(found - fraction * n) <= 1
    again = made_test_positions(labels, fraction, data_seed=seed, source="x")
    assert np.array_equal(test, again[1])


def test_a_made_split_depends_on_the_data_seed_and_says_which_images_it_has(place):
    images = open_source(SourceSpec(source=SOURCE), place)
    train, test = with_made_test(images, 0.34, data_seed=1)
    assert (len(train), len(test)) == (8, 4)
    assert not {train.name(i) for i in range(8)} & {test.name(i) for i in range(4)}
    assert [value // 10 for value in red(test)] == test.labels.tolist() == [0, 1, 2, 3]
    assert len({images.sha256, train.sha256, test.sha256}) == 3
    others = {with_made_test(images, 0.34, data_seed=seed)[1].sha256 for seed in range(8)}
    assert len(others) > 1
    with pytest.raises(DataError, match="class 2 has 1 image"):
        made_test_positions(np.array([0, 0, 1, 1, 2]), 0.5, data_seed=0, source="x")
