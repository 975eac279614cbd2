"""The splits of each protocol, seeded and hashed, and class-balanced subsets."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from heatdrift.errors import DataError
from heatdrift.records import SplitSizes

Indices = NDArray[np.int64]
ProbeDraw = Literal["data_seed", "randomstate_42"]
PUBLISHED_SEED: Final = 42  # of the preprint's probe images, whatever the training seed
PUBLISHED_BATCH: Final = 32  # over which its attention is averaged first


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Positions of the images of each set, sorted within each.

    Attributes
    ----------
    train : positions into the train source.
    val, probe : positions into the source `held_out`; disjoint from each other and from `train` if that is "train".
        If it is "test" (protocol ``preprint``), validation is the whole test split and the probe set lies in it.
    drawn : the probe images in the order of their draw; None where they were drawn class by class and sorted.
    """

    train: Indices
    val: Indices
    probe: Indices
    held_out: Literal["train", "test"] = "train"
    drawn: Indices | None = None

    @property
    def sha256(self) -> str:
        """Hash over all three lists."""
        digest = hashlib.sha256()
        for part in (self.train, self.val, self.probe):
            digest.update(part.astype("<i8").tobytes() + b"|")
        return digest.hexdigest()


def leakfree_splits(
    labels: Indices,
    sizes: SplitSizes,
    *,
    data_seed: int,
    source: str,
    names: Sequence[str] = (),
    key: str = "sizes",
) -> Splits:
    """Carve balanced train, validation and probe sets out of the train split.

    The draw depends on `data_seed` and the labels alone, never on the training seed, so that all cells of a data set
    share their images. Validation and probe are drawn first: asking for more training images moves neither.
    `source`, `names` (of the classes) and `key` (of the study file) are for messages.

    Raises
    ------
    DataError : a size is missing, or a class has too few images.
    """
    if sizes.train is None or sizes.val is None or sizes.probe is None:
        raise DataError(f"{source}: {key} needs train, val and probe (images per class)", hint=f"correct {key}")
    if min(sizes.train, sizes.val, sizes.probe) < 1:
        raise DataError(f"{source}: {key} must be >= 1 image per class", hint=f"correct {key}")
    wanted = sizes.train + sizes.val + sizes.probe
    each = f"{wanted} per class (train {sizes.train} + val {sizes.val} + probe {sizes.probe})"
    _refuse_small(
        labels, wanted, names, f"{source}: {{}} images, {key} asks for {each}", f"train, val or probe in {key}"
    )
    generator = np.random.Generator(np.random.PCG64([data_seed, 1]))
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = generator.permutation(members)
        cuts = (sizes.val, sizes.val + sizes.probe, wanted)
        for part, piece in zip(parts, np.split(order, cuts)[:3], strict=True):
            part.append(piece)
    val, probe, train = (np.sort(np.concatenate(part)) for part in parts)
    return Splits(train=train, val=val, probe=probe)


def preprint_splits(
    train_labels: Indices,
    test_labels: Indices,
    sizes: SplitSizes,
    *,
    data_seed: int,
    source: str,
    names: Sequence[str] = (),
    key: str = "sizes",
    draw: ProbeDraw = "data_seed",
) -> Splits:
    """Take both splits whole, as the preprint did: it validates, and so selects the epoch, on the test split.

    The probe set is ``sizes.probe_images`` test images: as many per class as divide evenly, the rest drawn from what
    remains; with `draw` = "randomstate_42" they are the preprint's own. No image is left that selection has not seen,
    so there is no test accuracy under this protocol.

    Raises
    ------
    DataError : probe_images is missing, or more than the test split (or one of its classes) has.
    """
    wanted = sizes.probe_images
    if wanted is None or not 0 < wanted <= len(test_labels):
        problem = f"{source}: probe_images is {wanted}, the test split has {len(test_labels)} images"
        raise DataError(problem, hint=f"set probe_images in {key}, for instance sizes = {{ probe_images = 200 }}")
    classes = np.unique(test_labels)
    each = wanted // len(classes)
    needed = f"{source}: {{}} test images, an even probe set of {wanted} needs {each} per class"
    _refuse_small(test_labels, each, names, needed, f"probe_images in {key}")
    take = _by_data_seed(data_seed) if draw == "data_seed" else _by_random_state()
    chosen = np.concatenate([take(np.flatnonzero(test_labels == label), each) for label in classes])
    left = np.setdiff1d(np.arange(len(test_labels)), chosen)
    drawn = np.concatenate([chosen, take(left, wanted - len(chosen))])
    return Splits(
        train=np.arange(len(train_labels)),
        val=np.arange(len(test_labels)),
        probe=np.sort(drawn),
        held_out="test",
        drawn=drawn if draw == "randomstate_42" else None,
    )


def batch_of_each(drawn: Indices, wanted: Indices) -> Indices:
    """Number of the batch of :data:`PUBLISHED_BATCH` images, in the order `drawn`, of each image in `wanted`: (n,)."""
    place = {int(position): n // PUBLISHED_BATCH for n, position in enumerate(drawn)}
    return np.array([place[int(position)] for position in wanted], dtype=np.int64)


def _by_data_seed(data_seed: int) -> Callable[[Indices, int], Indices]:
    """Draw n of given positions, one call after another from one stream."""
    generator = np.random.Generator(np.random.PCG64([data_seed, 3]))
    return lambda members, n: generator.permutation(members)[:n]


def _by_random_state() -> Callable[[Indices, int], Indices]:
    """Draw as the preprint's code does: NumPy's frozen legacy stream, without replacement, class by class."""
    state = np.random.RandomState(PUBLISHED_SEED)
    return lambda members, n: state.choice(members, size=n, replace=False) if n else members[:0]


def _refuse_small(labels: Indices, wanted: int, names: Sequence[str], problem: str, key: str) -> None:
    """DataError for the smallest class with fewer than `wanted` images; `problem` has a {} for which and how many."""
    classes, counts = np.unique(labels, return_counts=True)
    small = int(np.sum(counts < wanted))
    if small:
        smallest = int(np.argmin(counts))
        more = f"; {small - 1} more {'class has' if small == 2 else 'classes have'} too few" if small > 1 else ""
        what = f"{_class_name(int(classes[smallest]), names)} has {int(counts[smallest])}"
        raise DataError(problem.format(what) + more, hint=f"lower {key} of the study file, or give more images")


def _class_name(label: int, names: Sequence[str]) -> str:
    return f"class {names[label]!r}" if label < len(names) else f"class {label}"


def balanced_subset(
    labels: Indices,
    n: int | None,
    *,
    data_seed: int,
    source: str,
    names: Sequence[str] = (),
    key: str = "the number",
) -> Indices:
    """Return `n` positions, as many per class as divide evenly, the rest from distinct classes; None = all.

    Raises
    ------
    DataError : fewer than `n` images, or a class too small to keep the balance.
    """
    if n is None or n == len(labels):
        return np.arange(len(labels))
    if not 0 < n <= len(labels):
        problem = f"{source}: {n} images asked for, {len(labels)} are there"
        raise DataError(problem, hint=f"lower {key} of the study file")
    generator = np.random.Generator(np.random.PCG64([data_seed, 2]))
    classes = np.unique(labels)
    each, rest = divmod(n, len(classes))
    extra = set(generator.permutation(classes)[:rest].tolist())
    chosen = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        take = each + (int(label) in extra)
        if take > len(members):
            which = _class_name(int(label), names)
            problem = f"{source}: a balanced subset of {n} needs {take} images of {which}, it has {len(members)}"
            raise DataError(problem, hint=f"lower {key} of the study file")
        chosen.append(generator.permutation(members)[:take])
    return np.sort(np.concatenate(chosen))
