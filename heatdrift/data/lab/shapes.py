"""Twelve outlines as signed distance functions: the nouns of the lab's world.

A function takes coordinates in the object's own frame (x right, y up, the outline about as large as the unit disc) and
returns a signed distance of the same shape: negative inside, 0 on the outline, in units of the object's radius. Far
from the outline it may be off, which anti-aliasing never sees. Formulas follow Quilez, "2D distance functions"
(iquilezles.org/articles/distfunctions2d), with unions and intersections as minimum and maximum.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def box(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    """Axis-parallel rectangle around the origin."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def disc(x: Floats, y: Floats, radius: float) -> Floats:
    """Disc around the origin."""
    return np.sqrt(x * x + y * y) - radius


def _half_planes(x: Floats, y: Floats, sides: int, inradius: float) -> Floats:
    """Signed distances to the sides of a regular polygon standing on a side, (sides, ...)."""
    angle = np.pi / 2 + np.pi / sides + 2 * np.pi * np.arange(sides) / sides
    shape = (sides,) + (1,) * x.ndim
    return x * np.cos(angle).reshape(shape) + y * np.sin(angle).reshape(shape) - inradius


def circle(x: Floats, y: Floats) -> Floats:
    """Disc."""
    return disc(x, y, 0.9)


def square(x: Floats, y: Floats) -> Floats:
    """Square on its side."""
    return box(x, y, 0.75, 0.75)


def triangle(x: Floats, y: Floats) -> Floats:
    """Equilateral triangle, point up."""
    distance: Floats = np.max(_half_planes(x, y + 0.12, 3, 0.52), axis=0)
    return distance


def diamond(x: Floats, y: Floats) -> Floats:
    """Upright rhombus, narrower than a turned square so that the two differ at every angle."""
    return (np.abs(x) / 0.55 + np.abs(y) - 1.0) * 0.48


def star(x: Floats, y: Floats) -> Floats:
    """Five-pointed star: the points outside at most one side of the inner pentagon."""
    distance: Floats = np.sort(_half_planes(x, -y, 5, 0.36), axis=0)[-2]
    return distance


def cross(x: Floats, y: Floats) -> Floats:
    """Upright cross of two bars."""
    return np.minimum(box(x, y, 0.27, 0.92), box(x, y, 0.92, 0.27))


def ring(x: Floats, y: Floats) -> Floats:
    """Disc with a round hole."""
    return np.abs(disc(x, y, 0.68)) - 0.24


def crescent(x: Floats, y: Floats) -> Floats:
    """Disc less a shifted disc."""
    return np.maximum(disc(x, y, 0.95), -disc(x - 0.5, y, 0.75))


def heart(x: Floats, y: Floats) -> Floats:
    """Two discs above a square on its corner."""
    turned = (np.abs(x) + np.abs(y - 0.02) - 0.86) * 0.707
    lobes = disc(np.abs(x) - 0.42, y - 0.38, 0.5)
    return np.minimum(lobes, np.maximum(turned, y - 0.45))


def arrow(x: Floats, y: Floats) -> Floats:
    """Upward arrow: shaft and head."""
    head = np.maximum((np.abs(x) + 0.85 * (y - 0.95)) * 0.76, -y)
    return np.minimum(head, box(x, y + 0.45, 0.2, 0.5))


def bar(x: Floats, y: Floats) -> Floats:
    """Long flat bar."""
    return box(x, y, 0.95, 0.3)


def hourglass(x: Floats, y: Floats) -> Floats:
    """Two triangles that meet at a narrow waist."""
    return np.maximum(np.abs(y) - 0.85, (np.abs(x) - 0.85 * np.abs(y) - 0.06) * 0.76)


SHAPES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    f.__name__: f
    for f in (circle, square, triangle, diamond, star, cross, ring, crescent, heart, arrow, bar, hourglass)
}
