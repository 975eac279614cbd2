"""Results of single images: they come back from a file as they were put in, old files read, contradictions do not."""

import numpy as np
import pytest

from heatdrift.errors import DataError
from heatdrift.image_results import ImageResults, image_results, images_sha256, packed_classes, transfer_sets

NAMES = ("cat", "dog", "frog")


def results() -> ImageResults:
    label = np.array([0, 1, 2, 1], dtype=np.uint8)
    base, adapted = np.array([0, 1, 2, 2], dtype=np.uint8), np.array([1, 1, 0, 1], dtype=np.uint8)
    return ImageResults(
        base=base == label, adapted=adapted == label, label=label, base_class=base, adapted_class=adapted,
        class_names=NAMES, images=images_sha256("source", [4, 7, 1, 0]),
    )  # fmt: skip


def test_what_is_kept_comes_back(tmp_path):
    np.savez_compressed(tmp_path / "hits.npz", **(results().arrays("pets") | results().arrays("a/b")))
    with np.load(tmp_path / "hits.npz") as arrays:
        assert transfer_sets(arrays) == ("pets", "a/b")
        found = image_results(arrays, "a/b")
        assert image_results(arrays, "b") is None
    assert found.class_names == NAMES
    assert found.images == results().images
    for name in ("base", "adapted", "label", "base_class", "adapted_class"):
        assert getattr(found, name).tolist() == getattr(results(), name).tolist()
        assert getattr(found, name).itemsize == 1


def test_files_of_before_predicted_classes_were_kept_still_read():
    arrays = {"cifar100/base": np.array([True, False]), "cifar100/adapted": np.array([True, True])}
    found = image_results(arrays, "cifar100")
    assert (found.n, found.label, found.base_class, found.class_names, found.images) == (2, None, None, (), "")
    assert found.arrays("cifar100").keys() == arrays.keys()


@pytest.mark.parametrize(("n_classes", "size"), [(1, 1), (256, 1), (257, 2), (65_537, 4)])
def test_classes_take_the_smallest_integers_that_hold_them(n_classes, size):
    assert packed_classes(np.array([0, n_classes - 1]), n_classes).itemsize == size
    assert packed_classes(np.array([0, n_classes - 1]), n_classes).tolist() == [0, n_classes - 1]


def test_the_hash_tells_images_and_their_order_apart():
    assert len({images_sha256(s, p) for s, p in (("a", [1, 2]), ("a", [2, 1]), ("b", [1, 2]), ("a", [12]))}) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adapted": None}, "no array adapted"),
        ({"base": np.zeros((0,), dtype=bool)}, "no list of images"),
        ({"adapted": np.ones(4)}, "adapted is float64, not bool"),
        ({"adapted_class": np.zeros(3, dtype=np.uint8)}, "adapted_class has 3 images, base 4"),
        ({"class": None}, "base_class without class"),
        ({"class_names": None}, "class without class_names"),
        ({"base_class": np.array([0, 1, 2, 9], dtype=np.uint8)}, "a class without a name"),
        ({"base_class": np.array([0.0, 1, 2, 2])}, "not whole numbers"),
        ({"base_class": np.array([0, 1, 2, 1], dtype=np.uint8)}, "base and base_class disagree"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(change, words):
    arrays = results().arrays("pets")
    for name, values in change.items():
        arrays.pop(f"pets/{name}")
        if values is not None:
            arrays[f"pets/{name}"] = values
    with pytest.raises(DataError, match=words):
        image_results(arrays, "pets")
