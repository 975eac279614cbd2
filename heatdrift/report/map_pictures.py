"""Attention maps of one picture as one PNG: picture, base, adapted and difference side by side, a row for each map."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from heatdrift.report.map_images import CIVIDIS, LESS, MORE, square

Floats = npt.NDArray[np.float64]
TILE: Final = 168  # pixels of the side of a map
_TEXT: Final = 18
_GAP: Final = 6
_PAPER: Final = (255, 255, 255)
_INK: Final = (30, 30, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRow:
    """One row: maps over the patches, each (patches,); `adapted` None where there is no other model."""

    label: str
    base: Floats
    adapted: Floats | None


def side_by_side(picture: npt.NDArray[np.uint8], rows: Sequence[MapRow], names: Sequence[str]) -> bytes:
    """PNG of a picture (3, side, side) with its maps.

    Base and adapted of a row share a scale, 0 to the larger of their maxima; the difference is adapted minus base,
    white at 0, opaque at its largest size (teal: less, ochre: more). Both limits stand under the row.

    Parameters
    ----------
    names : of the models, base first.
    """
    columns = 4 if rows[0].adapted is not None else 2
    width, height = columns * (TILE + _GAP) + _GAP, _TEXT + len(rows) * (TILE + _TEXT + _GAP)
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    heads = ("picture", *names, *(("difference",) if columns == 4 else ()))
    for column, head in enumerate(heads):
        draw.text((_GAP + column * (TILE + _GAP), 3), head[:26], fill=_INK)
    for number, row in enumerate(rows):
        top = _TEXT + number * (TILE + _TEXT + _GAP)
        tiles = [Image.fromarray(picture.transpose(1, 2, 0)), *_tiles(row)]
        for column, tile in enumerate(tiles):
            smooth = Image.Resampling.BILINEAR if column == 0 else Image.Resampling.NEAREST
            page.paste(tile.resize((TILE, TILE), smooth), (_GAP + column * (TILE + _GAP), top))
        draw.text((_GAP, top + TILE + 2), _caption(row), fill=_INK)
    buffer = io.BytesIO()
    page.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _limits(row: MapRow) -> tuple[float, float]:
    top = max(float(row.base.max()), 0.0 if row.adapted is None else float(row.adapted.max()))
    moved = 0.0 if row.adapted is None else float(np.abs(row.adapted - row.base).max())
    return top or 1.0, moved


def _caption(row: MapRow) -> str:
    top, moved = _limits(row)
    text = f"{row.label}: 0 to {top:.3g}"
    return text if row.adapted is None else f"{text}; difference up to {moved:.2g}"


def _tiles(row: MapRow) -> list[Image.Image]:
    top, moved = _limits(row)
    tiles = [_map(row.base, top)]
    if row.adapted is not None:
        tiles += [_map(row.adapted, top), _difference(row.adapted - row.base, moved or 1.0)]
    return tiles


def _map(values: Floats, limit: float) -> Image.Image:
    at = np.linspace(0, 1, len(CIVIDIS))
    colours = [np.interp(_shaped(values) / limit, at, [c[i] for c in CIVIDIS]) for i in range(3)]
    return Image.fromarray(np.rint(np.stack(colours, -1)).astype(np.uint8))


def _difference(values: Floats, limit: float) -> Image.Image:
    signed = (_shaped(values) / limit)[..., None]
    colour = np.where(signed < 0, np.array(LESS, dtype=float), np.array(MORE, dtype=float))
    return Image.fromarray(np.rint(255 + np.abs(signed) * (colour - 255)).astype(np.uint8))


def _shaped(values: Floats) -> Floats:
    """Patches as a square; in one line where they form none."""
    found = square(values)
    return values[None] if found is None else found
