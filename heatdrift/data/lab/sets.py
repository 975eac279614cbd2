"""The lab's labelled image sets: drawn on demand, the same pixels for the same name, split and world version.

``combinations`` is the transfer set (names never said in pretraining), ``terrain`` and ``beetles`` are the targets. An
identity is known without drawing: a set's pixels follow from its specification and from WORLD_VERSION, which must rise
with any change of the drawing code; a test pins the pixels to it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab import beetles, terrain
from heatdrift.data.lab.captions import BACKGROUND_WORDS, HELD_OUT, names
from heatdrift.data.lab.scene import draw_objects
from heatdrift.errors import UnknownNameError

WORLD_VERSION: Final = 1
CHUNK: Final = 128  # images drawn at a time: the work fits in the cache
COMBINATIONS: Final = np.argwhere(HELD_OUT)  # (60, 3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabSet:
    """Labelled images.

    Attributes
    ----------
    pixels : (n, 28, 28, 3) uint8, RGB.
    labels : (n,) int64, index into `class_names`, in ascending order.
    class_names : what a prompt says of each class.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


class SetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a set's pixels except the drawing code."""

    name: str
    split: str
    seed: int
    per_class: int
    class_names: tuple[str, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of every image, in ascending order."""
        return np.repeat(np.arange(len(self.class_names), dtype=np.int64), self.per_class)


def _draw_combinations(rng: np.random.Generator, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    backgrounds = np.floor(len(BACKGROUND_WORDS) * rng.random(len(labels))).astype(np.int64)
    return draw_objects(rng, COMBINATIONS[labels], backgrounds)


DRAW: Final[dict[str, Callable[[np.random.Generator, NDArray[np.int64]], NDArray[np.uint8]]]] = {
    "combinations": _draw_combinations,
    "terrain": terrain.draw_terrain,
    "beetles": beetles.draw_beetles,
}
SETS: Final = {
    (s.name, s.split): s
    for s in (
        SetSpec(name="combinations", split="test", seed=11, per_class=12, class_names=tuple(names(COMBINATIONS))),
        SetSpec(name="terrain", split="train", seed=21, per_class=80, class_names=terrain.CLASS_NAMES),
        SetSpec(name="terrain", split="test", seed=22, per_class=30, class_names=terrain.CLASS_NAMES),
        SetSpec(name="beetles", split="train", seed=31, per_class=48, class_names=beetles.CLASS_NAMES),
        SetSpec(name="beetles", split="test", seed=32, per_class=24, class_names=beetles.CLASS_NAMES),
    )
}


def set_spec(name: str, split: str) -> SetSpec:
    """Return the specification of a set; UnknownNameError when there is no such set or split."""
    if name not in DRAW:
        raise UnknownNameError("lab set", name, DRAW)
    splits = [known for set_name, known in SETS if set_name == name]
    if split not in splits:
        raise UnknownNameError("split", split, splits, where=f"lab set {name!r}")
    return SETS[name, split]


def draw_set(name: str, split: str) -> LabSet:
    """Draw a labelled set; UnknownNameError when there is no such set or split."""
    spec = set_spec(name, split)
    rng = np.random.Generator(np.random.PCG64(spec.seed))
    labels = spec.labels
    chunks = [DRAW[name](rng, labels[start : start + CHUNK]) for start in range(0, len(labels), CHUNK)]
    return LabSet(pixels=np.concatenate(chunks), labels=labels, class_names=spec.class_names)


def set_sha256(name: str, split: str) -> str:
    """Content id of a set, from its specification and the world version, without drawing it."""
    spec = msgspec.json.encode({"world_version": WORLD_VERSION, "spec": set_spec(name, split)}, order="sorted")
    return hashlib.sha256(spec).hexdigest()
