"""What is kept of every image of a transfer set: whether base and adapted were right, and which class each said.

One run's results lie in ``hits.npz`` of its folder, an array per name::

    <set>/base, <set>/adapted               (n,) bool: right or not
    <set>/class                             (n,) uint: true class
    <set>/base_class, <set>/adapted_class   (n,) uint: predicted class
    <set>/class_names                       (classes,) text
    <set>/images                            one text: a hash of which images, in which order

Runs of before predicted classes were kept have the first line only: everything that needs right or wrong can be
answered for them, but not which class was forgotten or taken for which, and not whether two runs saw the same images.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from heatdrift.errors import DataError

Bools = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.integer[Any]]
Arrays = Mapping[str, npt.NDArray[Any]]

HITS: Final = ("base", "adapted")
PREDICTED: Final = ("base_class", "adapted_class")
KEPT: Final = (*HITS, "class", *PREDICTED, "class_names", "images")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResults:
    """Results of one run on one transfer set, image by image.

    Attributes
    ----------
    base, adapted : (n,) whether the model was right.
    label : (n,) true class, a position in `class_names`; None where it was not kept.
    base_class, adapted_class : (n,) predicted class; None where it was not kept.
    class_names : empty where no label was kept.
    images : hash of which images in which order; empty where it was not kept.
    """

    base: Bools
    adapted: Bools
    label: Classes | None = None
    base_class: Classes | None = None
    adapted_class: Classes | None = None
    class_names: tuple[str, ...] = ()
    images: str = ""

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.base)

    def arrays(self, transfer_set: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays under their names in ``hits.npz``; classes as the smallest integers that hold them."""
        found: dict[str, npt.NDArray[Any]] = {"base": self.base, "adapted": self.adapted}
        for name, classes in zip(("class", *PREDICTED), (self.label, self.base_class, self.adapted_class), strict=True):
            if classes is not None:
                found[name] = packed_classes(classes, len(self.class_names))
        if self.class_names:
            found["class_names"] = np.array(self.class_names)
        if self.images:
            found["images"] = np.array(self.images)
        return {f"{transfer_set}/{name}": values for name, values in found.items()}


def packed_classes(classes: npt.NDArray[Any], n_classes: int) -> Classes:
    """Return class numbers as the smallest unsigned integers that hold `n_classes` of them."""
    return np.asarray(classes).astype(np.min_scalar_type(max(n_classes - 1, 0)))


def images_sha256(source: str, positions: Iterable[int] | Sequence[str]) -> str:
    """Return the hash of which images in which order: of what they come from and their places, or names, in it."""
    text = "\n".join((source, *map(str, positions)))
    return hashlib.sha256(text.encode()).hexdigest()


def transfer_sets(arrays: Arrays) -> tuple[str, ...]:
    """Return the transfer sets of which a run has results, in the order of the file."""
    named = (name.rpartition("/") for name in arrays)
    return tuple(dict.fromkeys(place for place, _, last in named if place and last in HITS))


def image_results(arrays: Arrays, transfer_set: str) -> ImageResults | None:
    """Return the results on one transfer set from the arrays of ``hits.npz``; None where there are none.

    Raises
    ------
    DataError
        The arrays contradict each other: half of a pair is missing, lengths or types differ, a class has no name, or a
        predicted class and its hit disagree.
    """
    found = {name: np.asarray(arrays[key]) for name in KEPT if (key := f"{transfer_set}/{name}") in arrays}
    if not found:
        return None
    problem = _problem(found)
    if problem:
        raise DataError(f"per-image results of {transfer_set}: {problem}", hint="delete hits.npz and train or import "
                        "the run again")  # fmt: skip
    return ImageResults(
        base=found["base"],
        adapted=found["adapted"],
        label=found.get("class"),
        base_class=found.get("base_class"),
        adapted_class=found.get("adapted_class"),
        class_names=tuple(map(str, found["class_names"])) if "class_names" in found else (),
        images=str(found["images"]) if "images" in found else "",
    )


def _problem(found: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """Return the first contradiction of the arrays of one set; None where there is none."""
    missing = [name for name in HITS if name not in found]
    if missing:
        return f"no array {missing[0]}"
    n = found["base"].shape
    if len(n) != 1 or n[0] == 0:
        return "base is no list of images"
    for name in HITS:
        if found[name].dtype != np.bool_:
            return f"{name} is {found[name].dtype}, not bool"
    per_image = [name for name in (*HITS, "class", *PREDICTED) if name in found]
    uneven = [name for name in per_image if found[name].shape != n]
    if uneven:
        return f"{uneven[0]} has {found[uneven[0]].size} images, base {n[0]}"
    classes = [name for name in ("class", *PREDICTED) if name in found]
    if classes and ("class" not in found or "class_names" not in found):
        return f"{classes[0]} without {'class_names' if 'class' in found else 'class'}"
    for name in classes:
        if found[name].dtype.kind not in "iu":
            return f"{name} is {found[name].dtype}, not whole numbers"
        if int(found[name].max()) >= found["class_names"].size or int(found[name].min()) < 0:
            return f"{name} has a class without a name"
    for hits, predicted in zip(HITS, PREDICTED, strict=True):
        if predicted in found and not np.array_equal(found[predicted] == found["class"], found[hits]):
            return f"{hits} and {predicted} disagree about which images are right"
    return None
