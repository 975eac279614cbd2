"""Ten kinds of ground seen from above: the coarse, texture-like target set.

A kind is a function from pixel coordinates to the share of the second of two ground tones. Kinds have tones of their
own, but share them with others (river, lake and marsh are all water in green), and some tiles wear any two tones at
all: as with land-use tiles taken from a satellite, colour helps and texture decides.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab.scene import SIZE, finish, jittered, palette, pixel_grid, turned, uniform
from heatdrift.data.lab.shapes import Floats, box
from heatdrift.data.lab.surfaces import triangle_wave

Generator = np.random.Generator
TONES: Final[dict[str, tuple[int, int, int]]] = {
    "meadow": (125, 165, 75),
    "soil": (135, 95, 60),
    "straw": (215, 190, 110),
    "woods": (40, 80, 45),
    "water": (60, 110, 165),
    "stone": (170, 170, 170),
    "brick": (185, 95, 75),
}
HABIT: Final = 0.8  # share of tiles that wear their kind's own tones
CONTRAST: Final = (0.7, 1.0)  # share of the way from the first tone to the second


def _soft(signed: Floats) -> Floats:
    """Share 1 inside (signed distance in pixels < 0), 0 outside, over one pixel."""
    return np.clip(0.5 - signed, 0.0, 1.0)


def _field(rng: Generator, x: Floats, y: Floats, wavelength: float) -> Floats:
    """Sum of eight plane waves in random directions, about -1 to 1, varying over `wavelength` pixels."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for _ in range(8):
        n = len(total)
        along, _across = turned(x, y, uniform(rng, n, 0.0, 2 * np.pi))
        total += np.cos(2 * np.pi * (along / wavelength * uniform(rng, n, 0.75, 1.3) + uniform(rng, n, 0.0, 1.0)))
    return total / 3.0


def crop_rows(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Straight parallel rows."""
    pitch = uniform(rng, len(x), 3.2, 5.0)
    return _soft((triangle_wave(y, pitch) - pitch / 4) * 1.5)


def dunes(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Parallel ridges that wind."""
    n = len(x)
    bend = uniform(rng, n, 1.4, 2.4) * np.sin(x / uniform(rng, n, 2.2, 3.2))
    pitch = uniform(rng, n, 4.6, 6.6)
    return _soft((triangle_wave(y + bend, pitch) - pitch / 4) * 1.2)


def orchard(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Round crowns on a lattice."""
    pitch = uniform(rng, len(x), 4.4, 6.0)
    return _soft(np.sqrt(triangle_wave(x, pitch) ** 2 + triangle_wave(y, pitch) ** 2) - 0.32 * pitch)


def forest(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Irregular small crowns, close together."""
    return _soft(-2.5 * _field(rng, x, y, 5.0))


def marsh(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Irregular large patches."""
    return _soft(-6.0 * _field(rng, x, y, 13.0))


def fields(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Patchwork of straight-edged plots, each with its own tone."""
    n = len(x)
    wide, high = uniform(rng, n, 6.5, 10.0), uniform(rng, n, 6.5, 10.0)
    column, row = np.floor(x / wide).astype(np.int64), np.floor(y / high).astype(np.int64)
    tones = rng.random((n, 8, 8))
    return tones[np.arange(n)[:, None, None], row % 8, column % 8]


def river(rng: Generator, x: Floats, y: Floats) -> Floats:
    """One broad winding band."""
    n = len(x)
    bend = uniform(rng, n, 2.0, 4.0) * np.sin(x / uniform(rng, n, 3.5, 5.5))
    return _soft(np.abs(y / 2 + bend - uniform(rng, n, -3, 3)) - uniform(rng, n, 1.5, 2.5))


def road(rng: Generator, x: Floats, y: Floats) -> Floats:
    """One narrow straight band, sometimes crossed by another."""
    n = len(x)
    width = uniform(rng, n, 0.9, 1.6)
    crossed = uniform(rng, n, 0.0, 1.0) < 0.5
    first = np.abs(y - uniform(rng, n, -6, 6)) - width
    second = np.abs(x - uniform(rng, n, -6, 6)) - width
    return _soft(np.where(crossed, np.minimum(first, second), first))


def village(rng: Generator, x: Floats, y: Floats) -> Floats:
    """Square roofs on a loose lattice, some missing."""
    n = len(x)
    pitch = uniform(rng, n, 5.5, 7.5)
    column, row = np.floor(x / pitch + 0.5).astype(np.int64), np.floor(y / pitch + 0.5).astype(np.int64)
    built = rng.random((n, 8, 8))[np.arange(n)[:, None, None], row % 8, column % 8] < 0.7
    roof = box(triangle_wave(x, pitch), triangle_wave(y, pitch), 0.0, 0.0) - 0.3 * pitch
    return _soft(np.where(built, roof, 1.0))


def lake(rng: Generator, x: Floats, y: Floats) -> Floats:
    """One smooth-shored patch."""
    n = len(x)
    u, v = x - uniform(rng, n, -5, 5), (y - uniform(rng, n, -5, 5)) * uniform(rng, n, 1.0, 1.5)
    return _soft(np.sqrt(u * u + v * v) - uniform(rng, n, 6.0, 9.0) - 1.5 * _field(rng, x, y, 14.0))


KINDS: Final[dict[str, tuple[Callable[[Generator, Floats, Floats], Floats], str, str]]] = {
    # name: texture, first tone, second tone
    "crop rows": (crop_rows, "straw", "soil"),
    "dunes": (dunes, "straw", "stone"),
    "orchard": (orchard, "soil", "woods"),
    "forest": (forest, "meadow", "woods"),
    "marsh": (marsh, "meadow", "water"),
    "fields": (fields, "meadow", "straw"),
    "river": (river, "meadow", "water"),
    "road": (road, "meadow", "stone"),
    "village": (village, "stone", "brick"),
    "lake": (lake, "woods", "water"),
}
CLASS_NAMES: Final = tuple(KINDS)


def _tones(rng: Generator, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """First and second tone of each tile, (n, 3) each: its kind's own, or any two different ones."""
    n, tones = len(labels), list(TONES)
    own = np.array([[tones.index(first), tones.index(second)] for _, first, second in KINDS.values()])[labels]
    first = np.floor(len(tones) * rng.random(n)).astype(np.int64)
    second = (first + 1 + np.floor((len(tones) - 1) * rng.random(n)).astype(np.int64)) % len(tones)
    habit = rng.random((n, 1)) < HABIT
    chosen = palette(TONES)[np.where(habit, own, np.stack([first, second], axis=1))]
    return jittered(rng, chosen[:, 0], 0.06), jittered(rng, chosen[:, 1], 0.06)


def draw_terrain(rng: Generator, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw one tile per label, (n,) indices into CLASS_NAMES -> (n, 28, 28, 3) uint8."""
    n = len(labels)
    x, y = pixel_grid()
    x, y = turned(x, y, uniform(rng, n, 0.0, 2 * np.pi))
    x, y = x + uniform(rng, n, -4, 4), y + uniform(rng, n, -4, 4)
    mix = np.empty((n, SIZE, SIZE))
    for index, (texture, _, _) in enumerate(KINDS.values()):
        rows = labels == index
        mix[rows] = texture(rng, x[rows], y[rows])
    first, second = _tones(rng, labels)
    share = (mix * uniform(rng, n, *CONTRAST))[..., None]
    ground = first[:, None, None] + share * (second - first)[:, None, None]
    ground += 0.04 * _field(rng, *pixel_grid(), 9.0)[..., None]
    return finish(rng, ground, noise=0.08)
