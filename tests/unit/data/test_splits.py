import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatdrift.data.splits import balanced_subset, batch_of_each, leakfree_splits, preprint_splits
from heatdrift.errors import DataError
from heatdrift.records import SplitSizes

LABELS = np.repeat(np.arange(5), 12)
SIZES = SplitSizes(train=6, val=3, probe=2)


@given(st.integers(0, 2**31))
def test_splits_are_disjoint_and_balanced(data_seed):
    splits = leakfree_splits(LABELS, SIZES, data_seed=data_seed, source="x")
    together = np.concatenate([splits.train, splits.val, splits.probe])
    assert len(np.unique(together)) == len(together)
    for part, size in ((splits.train, 6), (splits.val, 3), (splits.probe, 2)):
        assert np.bincount(LABELS[part]).tolist() == [size] * 5


def test_splits_repeat_and_their_hash_tells_them_apart():
    first, again, other = (leakfree_splits(LABELS, SIZES, data_seed=s, source="x") for s in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256


def test_more_training_images_leave_validation_and_probe_alone():
    small = leakfree_splits(LABELS, SIZES, data_seed=1, source="x")
    large = leakfree_splits(LABELS, SplitSizes(train=7, val=3, probe=2), data_seed=1, source="x")
    assert np.array_equal(small.val, large.val)
    assert np.array_equal(small.probe, large.probe)
    assert set(small.train) < set(large.train)


@pytest.mark.parametrize(
    "sizes", [SplitSizes(train=10, val=2, probe=1), SplitSizes(train=6, val=0, probe=2), SplitSizes(train=6, val=3)]
)
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(DataError, match="x: "):
        leakfree_splits(LABELS, sizes, data_seed=1, source="x")


@given(st.integers(1, 60), st.integers(0, 100))
def test_a_subset_is_balanced_to_one(n, data_seed):
    chosen = balanced_subset(LABELS, n, data_seed=data_seed, source="x")
    counts = np.bincount(LABELS[chosen], minlength=5)
    assert len(np.unique(chosen)) == n
    assert counts.max() - counts.min() <= 1


def test_a_subset_larger_than_the_set_or_a_class_is_refused():
    with pytest.raises(DataError, match="61 images asked for, 60 are there"):
        balanced_subset(LABELS, 61, data_seed=0, source="x")
    with pytest.raises(DataError, match="needs 20 images of class"):
        balanced_subset(np.array([0] * 50 + [1] * 10), 40, data_seed=0, source="x")


def test_none_means_all():
    assert np.array_equal(balanced_subset(LABELS, None, data_seed=0, source="x"), np.arange(60))


def preprint(n, test_labels, *, data_seed=1):
    return preprint_splits(LABELS, test_labels, SplitSizes(probe_images=n), data_seed=data_seed, source="x")


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_the_preprint_takes_both_splits_whole_and_probes_on_test_images(n, data_seed):
    test_labels = np.repeat(np.arange(5), 8)
    splits = preprint(n, test_labels, data_seed=data_seed)
    assert splits.held_out == "test"
    assert np.array_equal(splits.train, np.arange(len(LABELS)))
    assert np.array_equal(splits.val, np.arange(len(test_labels)))
    assert len(splits.probe) == len(np.unique(splits.probe)) == n
    assert np.bincount(test_labels[splits.probe], minlength=5).min() >= n // 5


def test_the_remainder_of_a_preprint_probe_set_may_fall_on_one_class():
    """200 images over 37 classes: 5 each, and 15 drawn from all that remain, as the preprint says."""
    test_labels = np.concatenate([np.repeat(np.arange(4), 2), np.full(92, 4)])
    counts = np.bincount(test_labels[preprint(14, test_labels).probe])
    assert counts.tolist() == [2, 2, 2, 2, 6]


def published_probe(labels, n):
    """The preprint's draw in its own steps: lists by class, one legacy stream, the rest from a set difference."""
    state = np.random.RandomState(42)
    by_class = {}
    for position, label in enumerate(labels.tolist()):
        by_class.setdefault(label, []).append(position)
    chosen = []
    for label in sorted(by_class):
        size = min(n // len(by_class), len(by_class[label]))
        chosen += state.choice(by_class[label], size=size, replace=False).tolist()
    if len(chosen) < n:
        left = list(set(range(len(labels))) - set(chosen))
        chosen += state.choice(left, size=n - len(chosen), replace=False).tolist()
    return sorted(chosen)


@pytest.mark.parametrize(("classes", "images"), [(10, 2700), (37, 3669), (5, 40)])
def test_the_published_probe_images_are_drawn_again(classes, images):
    labels = np.random.default_rng(classes).permutation(np.arange(images) % classes)
    sizes = SplitSizes(probe_images=min(200, images // 2 + 3))
    splits = [
        preprint_splits(LABELS, labels, sizes, data_seed=seed, source="x", draw="randomstate_42") for seed in (1, 2)
    ]
    found = [one.probe.tolist() for one in splits]
    assert found[0] == found[1] == published_probe(labels, sizes.probe_images)
    drawn = splits[0].drawn
    assert sorted(drawn.tolist()) == found[0]
    each = sizes.probe_images // classes
    assert labels[drawn[: each * classes]].tolist() == np.repeat(np.arange(classes), each).tolist()  # class by class
    batches = batch_of_each(drawn, splits[0].probe)
    assert np.bincount(batches).tolist() == [len(part) for part in np.split(drawn, range(32, len(drawn), 32))]
    assert all(batches[splits[0].probe == position].tolist() == [1] for position in drawn[32:33])
    assert found[0] != preprint_splits(LABELS, labels, sizes, data_seed=1, source="x").probe.tolist()


def test_a_preprint_probe_set_that_cannot_be_had_is_refused():
    test_labels = np.repeat(np.arange(5), 8)
    with pytest.raises(DataError, match="probe_images is 41, the test split has 40"):
        preprint(41, test_labels)
    with pytest.raises(DataError, match="probe_images is None"):
        preprint(None, test_labels)
    with pytest.raises(DataError, match="class 1 has 1 test images, an even probe set of 4 needs 2"):
        preprint(4, np.array([0, 0, 0, 1]))
