"""Four surface patterns: how much of an object's second tone shows at a point of its own frame.

A function takes coordinates in the object's frame (unit = the object's radius) and returns the share of the second
tone, 0 to 1, with edges softened over about one pixel so that a thin pattern does not alias.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from heatdrift.data.lab.shapes import Floats

SOFTNESS: Final = 8.0  # edge slope per unit of the object's frame: an object of radius 8 px gets edges of one pixel


def triangle_wave(x: Floats, period: float | Floats) -> Floats:
    """Distance to the nearest multiple of `period`, 0 to period / 2."""
    return np.abs(x - period * np.floor(x / period + 0.5))


def _soft(signed: Floats) -> Floats:
    """Share 1 well inside (signed < 0), 0 well outside."""
    return np.clip(0.5 - SOFTNESS * signed, 0.0, 1.0)


def plain(x: Floats, y: Floats) -> Floats:
    """No second tone."""
    return np.zeros(np.broadcast_shapes(x.shape, y.shape))


def striped(x: Floats, y: Floats) -> Floats:
    """Bands across the object, as wide as their gaps."""
    return _soft(triangle_wave(y, 0.62) - 0.155)


def dotted(x: Floats, y: Floats) -> Floats:
    """Dots on a square lattice."""
    return _soft(np.sqrt(triangle_wave(x, 0.6) ** 2 + triangle_wave(y, 0.6) ** 2) - 0.17)


def checkered(x: Floats, y: Floats) -> Floats:
    """Alternating squares."""
    u = triangle_wave(x, 0.84) - 0.21
    v = triangle_wave(y, 0.84) - 0.21
    return _soft(-np.sign(u) * np.sign(v) * np.minimum(np.abs(u), np.abs(v)))


SURFACES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    f.__name__: f for f in (plain, striped, dotted, checkered)
}
