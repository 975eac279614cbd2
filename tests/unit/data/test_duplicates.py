"""Copies are found where pictures are changed as people change them, and different pictures are not taken for one."""

import io

import numpy as np
import pytest
from PIL import Image

from heatdrift.config import SourceSpec
from heatdrift.data import duplicates
from heatdrift.data.duplicates import by_sets, copies, fingerprints
from heatdrift.data.images import LabelledImages, decode_image
from heatdrift.data.sources import open_source


def scene(seed, size=64):
    """Some smooth blobs of colour: pictures of one seed are one thing, of two seeds two."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize((size, size), Image.Resampling.BICUBIC)


def as_set(pictures):
    encoded = []
    for picture in pictures:
        stream = io.BytesIO()
        if not isinstance(picture, bytes):
            picture.save(stream, "PNG")
        encoded.append(picture if isinstance(picture, bytes) else stream.getvalue())
    return LabelledImages(
        source="x",
        sha256="0",
        labels=np.zeros(len(encoded), dtype=np.int64),
        class_names=("a", "b"),
        read=lambda position: decode_image(encoded[position], f"picture {position}"),
    )


def jpeg(picture, quality):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def found(*sets):
    return copies([fingerprints(as_set(pictures)) for pictures in sets])


def test_the_same_pixels_in_another_file_are_an_exact_copy():
    other_file = io.BytesIO()
    scene(1).save(other_file, "BMP")
    (pair,) = found([scene(0), scene(1)], [scene(2), other_file.getvalue()])
    assert (pair.first, pair.second, pair.exact, pair.bits) == ((0, 1), (1, 1), True, 0)


def test_k_copies_are_k_minus_one_pairs_with_the_first():
    pairs = found([scene(0), scene(1), scene(0)], [scene(0)])
    assert [(pair.first, pair.second) for pair in pairs] == [((0, 0), (0, 2)), ((0, 0), (1, 0))]
    assert {key: len(some) for key, some in by_sets(pairs, 2).items()} == {(0, 0): 1, (0, 1): 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: jpeg(picture, 75),
        lambda picture: jpeg(picture, 40),
        lambda picture: picture.resize((32, 32)),
        lambda picture: picture.resize((150, 150)),
        lambda picture: Image.eval(picture, lambda value: min(255, value + 4)),
    ],
)
def test_a_picture_saved_otherwise_is_a_near_copy(change):
    pairs = found([scene(seed) for seed in range(20)], [change(scene(seed)) for seed in range(20)])
    assert {(pair.first[1], pair.second[1]) for pair in pairs} == {(seed, seed) for seed in range(20)}
    assert not any(pair.exact for pair in pairs)


def test_different_pictures_are_not_taken_for_one():
    assert found([scene(seed) for seed in range(300)]) == ()


def test_the_same_shapes_in_other_colours_are_two_things():
    red, green, blue = scene(3).split()
    assert found([scene(3), Image.merge("RGB", (blue, red, green))]) == ()


def test_flat_pictures_are_compared_exactly_only():
    shades = [Image.new("RGB", (16, 16), (i, i, i)) for i in (100, 101, 102, 100)]
    (pair,) = found(shades)
    assert (pair.first, pair.second, pair.exact) == ((0, 0), (0, 3), True)


def test_what_does_not_decode_is_kept_as_such_and_is_no_copy_of_another():
    prints = fingerprints(as_set([b"?", scene(0), b"?", b""]))
    assert prints.unreadable.tolist() == [0, 2, 3]
    assert prints.sizes.tolist() == [[0, 0], [64, 64], [0, 0], [0, 0]]
    assert copies([prints]) == ()
    assert copies([]) == ()


def test_blocks_find_what_one_comparison_of_all_finds(monkeypatch):
    prints = [fingerprints(as_set([scene(i % 7, 64 if i < 7 else 48) for i in range(40)]))]
    whole = copies(prints)
    monkeypatch.setattr(duplicates, "_BLOCK", 17)
    assert copies(prints) == whole
    assert len(whole) == 26 + 7  # 40 pictures, 14 of them distinct: 7 scenes in two sizes


def test_a_limit_on_near_pairs_holds(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_NEAR", 3)
    assert len(found([scene(0, size) for size in range(40, 50)])) == 3


@pytest.mark.slow
def test_the_copies_in_cifar_100_are_those_that_its_note_counts(shared):
    """The data's README: 4 test pictures are also in this train file, 2 pairs are within test and 3 within train."""
    names = ("cifar100_train", "cifar100_test")
    prints = [fingerprints(open_source(SourceSpec(source=f"parquet:data/{name}.parquet"), shared)) for name in names]
    found = by_sets([pair for pair in copies(prints) if pair.exact], 2)
    assert {sets: len(some) for sets, some in found.items()} == {(0, 0): 3, (1, 1): 2, (0, 1): 4}
