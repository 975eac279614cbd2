"""Class-balanced, seeded, disjoint splits, and class-balanced subsets."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatdrift.errors import DataError
from heatdrift.records import SplitSizes

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Positions into the train source, sorted within each split: train, validation and probe are disjoint."""

    train: Indices
    val: Indices
    probe: Indices

    @property
    def sha256(self) -> str:
        """Hash over all three lists."""
        digest = hashlib.sha256()
        for part in (self.train, self.val, self.probe):
            digest.update(part.astype("<i8").tobytes() + b"|")
        return digest.hexdigest()


def leakfree_splits(labels: Indices, sizes: SplitSizes, *, data_seed: int, source: str) -> Splits:
    """Carve balanced train, validation and probe sets out of the train split.

    The draw depends on `data_seed` and the labels alone, never on the training seed, so that all cells of a data set
    share their images. Validation and probe are drawn first: asking for more training images moves neither.

    Raises
    ------
    DataError : a size is missing, or a class has too few images.
    """
    if sizes.train is None or sizes.val is None or sizes.probe is None:
        raise DataError(
            f"{source}: sizes need train, val and probe (images per class)", hint="mend sizes in the study file"
        )
    if min(sizes.train, sizes.val, sizes.probe) < 1:
        raise DataError(f"{source}: sizes must be >= 1 image per class", hint="mend sizes in the study file")
    wanted = sizes.train + sizes.val + sizes.probe
    generator = np.random.Generator(np.random.PCG64([data_seed, 1]))
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < wanted:
            problem = f"{source}: class {label} has {len(members)} images, {wanted} are needed (train + val + probe)"
            raise DataError(problem, hint="lower the sizes in the study file")
        order = generator.permutation(members)
        cuts = (sizes.val, sizes.val + sizes.probe, wanted)
        for part, piece in zip(parts, np.split(order, cuts)[:3], strict=True):
            part.append(piece)
    val, probe, train = (np.sort(np.concatenate(part)) for part in parts)
    return Splits(train=train, val=val, probe=probe)


def balanced_subset(labels: Indices, n: int | None, *, data_seed: int, source: str) -> Indices:
    """Return `n` positions, as many per class as divide evenly, the rest from distinct classes; None = all.

    Raises
    ------
    DataError : fewer than `n` images, or a class too small to keep the balance.
    """
    if n is None or n == len(labels):
        return np.arange(len(labels))
    if not 0 < n <= len(labels):
        raise DataError(
            f"{source}: {n} images asked for, {len(labels)} are there", hint="lower the number in the study file"
        )
    generator = np.random.Generator(np.random.PCG64([data_seed, 2]))
    classes = np.unique(labels)
    each, rest = divmod(n, len(classes))
    extra = set(generator.permutation(classes)[:rest].tolist())
    chosen = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        take = each + (int(label) in extra)
        if take > len(members):
            problem = f"{source}: a balanced subset of {n} needs {take} images of class {label}, it has {len(members)}"
            raise DataError(problem, hint="lower the number in the study file")
        chosen.append(generator.permutation(members)[:take])
    return np.sort(np.concatenate(chosen))
