"""Attention maps as small PNG pictures, one pixel per patch, without torch.

Maps use cividis (Nuñez, Anderton and Renslow 2018): lightness rises steadily, so order survives colour blindness and
grey print. Differences are two hues over nothing: the colour's opacity is the size, so no change has the colour of the
page in light, dark and print.
"""

import base64
import io
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]

CIVIDIS: Final = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115),
    (138, 134, 120), (165, 156, 116), (195, 179, 105), (225, 204, 85), (254, 232, 56),
)  # fmt: skip
LESS: Final = (31, 138, 134)  # teal: attention lost
MORE: Final = (184, 112, 18)  # ochre: attention gained
LEVELS: Final = 32


def square(row: Floats) -> Floats | None:
    """Return (patches,) as (side, side) with patch 0 at the top left; None where the patches form no square."""
    side = math.isqrt(row.size)
    return row.reshape(side, side) if side * side == row.size else None


def map_png(values: Floats, limit: float) -> str:
    """Return the data URI of a map (side, side): 0 is the darkest level, `limit` > 0 and above the brightest."""
    levels = np.clip(np.rint(values / limit * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
    at = np.linspace(0, len(CIVIDIS) - 1, LEVELS)
    colours = np.stack([np.interp(at, np.arange(len(CIVIDIS)), [c[i] for c in CIVIDIS]) for i in range(3)], axis=1)
    return _png(levels, np.rint(colours).astype(np.uint8), None)


def difference_png(values: Floats, limit: float) -> str:
    """Return the data URI of differences (side, side): clear at 0, opaque at -`limit` (teal), +`limit` (ochre)."""
    half = LEVELS // 2
    signed = np.clip(np.rint(values / limit * half), -half, half).astype(np.int64)
    colours = np.array([LESS] * half + [MORE] * (half + 1), dtype=np.uint8)
    opacity = np.rint(np.abs(np.arange(-half, half + 1)) / half * 255).astype(np.uint8)
    return _png((signed + half).astype(np.uint8), colours, opacity)


def _png(levels: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8], opacity: npt.NDArray[np.uint8] | None) -> str:
    picture = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    picture.putpalette(colours.ravel().tolist())
    options: dict[str, Any] = {} if opacity is None else {"transparency": opacity.tobytes()}
    return png_uri(_encoded(picture, options))


def _encoded(picture: Image.Image, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, **options)
    return buffer.getvalue()


def png_uri(data: bytes) -> str:
    """Return PNG bytes as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
