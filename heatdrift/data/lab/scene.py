"""Draw objects: shape x colour x surface on a background, with random pose, light and noise, as 28 x 28 RGB.

Plain numpy in float64, rounded to uint8 at the very end, so that a seed gives the same pixels on every machine. Random
numbers come from ``Generator.random`` alone: uniform doubles straight from PCG64's bits, the part of numpy's generators
that does not change between versions. Edges are anti-aliased by the signed distance in pixels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from heatdrift.data.lab.shapes import SHAPES, Floats
from heatdrift.data.lab.surfaces import SURFACES

SIZE: Final = 28
RADIUS: Final = (7.5, 11.0)  # object size in pixels
TILT: Final = 0.5  # largest turn either way, in radians
SECOND_TONE: Final = 0.55  # how far a surface's second tone lies from the first, towards white (dark) or black (light)
LIGHT: Final = 0.22  # largest relative change of brightness from the centre to the edge
NOISE: Final = 0.09  # half width of the uniform noise per channel, of full scale

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (200, 35, 40),
    "orange": (240, 135, 30),
    "yellow": (240, 220, 50),
    "green": (45, 150, 60),
    "blue": (45, 80, 210),
    "purple": (130, 50, 165),
    "pink": (245, 150, 190),
    "white": (240, 240, 240),
    "black": (28, 28, 32),
    "brown": (115, 70, 35),
}
BACKGROUNDS: Final[dict[str, tuple[int, int, int]]] = {
    "gray": (130, 130, 130),
    "beige": (215, 200, 165),
    "navy": (30, 40, 85),
    "moss": (110, 115, 55),
    "teal": (60, 140, 140),
    "mauve": (165, 135, 160),
}


def pixel_grid() -> tuple[Floats, Floats]:
    """Pixel centres (x right, y up) around the image centre, each (1, 28, 28), in pixels."""
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    return np.broadcast_to(axis, (1, SIZE, SIZE)), np.broadcast_to(-axis[:, None], (1, SIZE, SIZE))


def uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Floats:
    """Return (n, 1, 1) uniform numbers in [low, high)."""
    return low + (high - low) * rng.random((n, 1, 1))


def turned(x: Floats, y: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Coordinates in a frame turned by `angle` (radians)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def palette(colours: dict[str, tuple[int, int, int]]) -> Floats:
    """Return (len, 3) colours in [0, 1]."""
    return np.array(list(colours.values()), dtype=np.float64) / 255.0


def jittered(rng: np.random.Generator, colours: Floats, amount: float) -> Floats:
    """Colours (n, 3), each channel moved by up to `amount` and the whole by up to as much again."""
    n = len(colours)
    return colours + amount * (2 * rng.random((n, 3)) - 1) + amount * (2 * rng.random((n, 1)) - 1)


def second_tone(colours: Floats) -> Floats:
    """Tone of the surface pattern, (n, 3): a dark colour goes towards white, a light one towards black."""
    luma = 0.3 * colours[:, 0] + 0.6 * colours[:, 1] + 0.1 * colours[:, 2]  # written out: no BLAS decides a pixel
    target = np.where(luma < 0.5, 1.0, 0.0)[:, None]
    return colours + SECOND_TONE * (target - colours)


def finish(rng: np.random.Generator, image: Floats, *, light: float = LIGHT, noise: float = NOISE) -> NDArray[np.uint8]:
    """Light from a random side, add noise and round: (n, 28, 28, 3) in [0, 1] -> uint8."""
    n = len(image)
    x, y = pixel_grid()
    along, _ = turned(x, y, uniform(rng, n, 0.0, 2 * np.pi))
    shade = 1.0 + along / (SIZE / 2) * uniform(rng, n, 0.0, light)
    noisy = image * shade[..., None] + noise * (2 * rng.random(image.shape) - 1)
    return np.rint(np.clip(noisy, 0.0, 1.0) * 255.0).astype(np.uint8)


def draw_objects(
    rng: np.random.Generator, combinations: NDArray[np.int64], backgrounds: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Draw one object per row.

    Parameters
    ----------
    rng : source of pose, jitter, light and noise; advanced by an amount that depends on n alone.
    combinations : (n, 3) indices (surface, colour, shape) into SURFACES, COLOURS, SHAPES.
    backgrounds : (n,) indices into BACKGROUNDS.

    Returns
    -------
    (n, 28, 28, 3) uint8.
    """
    n = len(combinations)
    radius = uniform(rng, n, *RADIUS)
    room = SIZE / 2 - 0.85 * radius  # most of the object stays in the image
    x, y = pixel_grid()
    x, y = turned(x - room * uniform(rng, n, -1, 1), y - room * uniform(rng, n, -1, 1), uniform(rng, n, -TILT, TILT))
    x, y = x / radius, y / radius
    shift = rng.random((2, n, 1, 1))
    cover = np.empty((n, SIZE, SIZE))
    mix = np.empty((n, SIZE, SIZE))
    for index, outline in enumerate(SHAPES.values()):
        rows = combinations[:, 2] == index
        cover[rows] = np.clip(0.5 - radius[rows] * outline(x[rows], y[rows]), 0.0, 1.0)
    for index, pattern in enumerate(SURFACES.values()):
        rows = combinations[:, 0] == index
        mix[rows] = pattern(x[rows] + shift[0, rows], y[rows] + shift[1, rows])
    first = jittered(rng, palette(COLOURS)[combinations[:, 1]], 0.04)
    ground = jittered(rng, palette(BACKGROUNDS)[backgrounds], 0.05)
    second = second_tone(first)
    surface = first[:, None, None] + mix[..., None] * (second - first)[:, None, None]
    image = ground[:, None, None] + cover[..., None] * (surface - ground[:, None, None])
    return finish(rng, image)
