"""Sixteen kinds of beetle that differ in small details only: the fine-grained target set.

A kind is one choice each of wing tone (four), number of spots (two or four) and way of the band (across or along);
pose, light, ground, legs and feelers vary freely. Knowing two of the three traits leaves even odds at best, so that a
model must see them all.
"""

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab.scene import SIZE, finish, jittered, palette, pixel_grid, turned, uniform
from heatdrift.data.lab.shapes import Floats, box, disc

WINGS: Final[dict[str, tuple[int, int, int]]] = {
    "crimson": (175, 40, 60),
    "copper": (190, 95, 50),
    "amber": (205, 150, 45),
    "bronze": (120, 110, 55),
}
SPOTS: Final = ("two", "four")
BANDS: Final = ("cross", "long")
GROUNDS: Final[dict[str, tuple[int, int, int]]] = {
    "leaf": (110, 150, 90),
    "bark": (150, 130, 105),
    "sand": (205, 190, 155),
    "slate": (140, 150, 160),
}
CHITIN: Final = (38, 30, 30)  # head, legs, feelers, spots
CREAM: Final = (225, 205, 150)  # band
CLASS_NAMES: Final = tuple(
    f"{wing} beetle with {spots} spots and a {band} band" for wing, spots, band in product(WINGS, SPOTS, BANDS)
)


def _segment(x: Floats, y: Floats, start: tuple[float, float], end: tuple[float, float], half_width: float) -> Floats:
    """Signed distance to a thick line, mirrored left and right (x is used as |x|)."""
    ax, ay = start
    bx, by = end
    dx, dy = bx - ax, by - ay
    u, v = np.abs(x) - ax, y - ay
    along = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.sqrt((u - along * dx) ** 2 + (v - along * dy) ** 2) - half_width


def draw_beetles(rng: np.random.Generator, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw one beetle per label, (n,) indices into CLASS_NAMES -> (n, 28, 28, 3) uint8."""
    n = len(labels)
    wing, spots, band = (
        labels // 4,
        labels[:, None, None] // 2 % 2,
        labels[:, None, None] % 2,
    )  # the order of CLASS_NAMES
    scale = uniform(rng, n, 9.6, 11.4)  # half the length of the body, in pixels
    x, y = pixel_grid()
    x, y = turned(x - uniform(rng, n, -1.2, 1.2), y - uniform(rng, n, -1.2, 1.2), uniform(rng, n, -0.3, 0.3))
    x, y = x / scale, y / scale + 0.12

    def over(image: Floats, colour: Floats, signed: Floats) -> Floats:
        cover = np.clip(0.5 - scale * signed, 0.0, 1.0)[..., None]
        return image + cover * (colour - image)

    ground = palette(GROUNDS)[np.floor(len(GROUNDS) * rng.random(n)).astype(np.int64)]
    dark = jittered(rng, np.broadcast_to(np.array(CHITIN) / 255.0, (n, 3)), 0.03)[:, None, None]
    cream = jittered(rng, np.broadcast_to(np.array(CREAM) / 255.0, (n, 3)), 0.04)[:, None, None]
    hue = jittered(rng, palette(WINGS)[wing], 0.04)[:, None, None]
    image = np.broadcast_to(jittered(rng, ground, 0.06)[:, None, None], (n, SIZE, SIZE, 3))

    swing = uniform(rng, n, -0.12, 0.12)
    for foot in (0.45, -0.05, -0.5):
        image = over(image, dark, _segment(x, y + swing * np.abs(x), (0.3, foot), (0.95, foot - 0.12), 0.04))
    image = over(image, dark, _segment(x + swing * y, y, (0.1, 0.85), (0.5, 1.35), 0.05))
    image = over(image, dark, disc(x * 0.8, y - 0.82, 0.24))
    body = disc(x * 1.45, y, 0.9)
    image = over(image, hue, body)
    stripe = np.where(band == 0, box(x, y - 0.1, 1.0, 0.17), box(x, y, 0.15, 1.0))
    image = over(image, cream, np.maximum(body, stripe))
    front = disc(np.abs(x) - 0.33, y - 0.42, 0.16)
    rear = disc(np.abs(x) - 0.33, y + 0.32, 0.18)
    image = over(image, dark, np.where(spots == 0, rear, np.minimum(front, rear)))
    return finish(rng, image, noise=0.08)
