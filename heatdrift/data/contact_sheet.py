"""Sample crops of each set as one picture: what the model will see, with the class that each is said to show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from heatdrift.data.images import LabelledImages, Labels

SAMPLES: Final = 12
_SIDE: Final = 112  # pixels of a crop on the sheet
_TEXT: Final = 18
_GAP: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Crops of one set, (n, 3, size, size) uint8, and the class name of each."""

    title: str
    crops: NDArray[np.uint8]
    names: Sequence[str]


def sample_positions(images: LabelledImages, usable: Labels, *, data_seed: int, n: int = SAMPLES) -> Labels:
    """Return up to `n` of the `usable` positions, one of each class as far as they go, drawn by the data seed."""
    generator = np.random.Generator(np.random.PCG64([data_seed, 5]))
    drawn = generator.permutation(usable)
    turn = np.zeros(len(drawn), dtype=np.int64)  # 0 for the first picture of its class, 1 for the second, ...
    for label in np.unique(images.labels[drawn]):
        of_class = np.flatnonzero(images.labels[drawn] == label)
        turn[of_class] = np.arange(len(of_class))
    chosen = drawn[np.argsort(turn, kind="stable")[:n]]
    return np.asarray(chosen[np.argsort(images.labels[chosen], kind="stable")], dtype=np.int64)


def contact_sheet(rows: Sequence[Row]) -> Image.Image:
    """Draw one band a set: its title, its crops, a class name under each."""
    band = _TEXT + _SIDE + _TEXT + _GAP
    width = _GAP + SAMPLES * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width, _GAP + band * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, row in enumerate(rows):
        top = _GAP + band * number
        draw.text((_GAP, top), row.title, fill="black", font=font)
        for column, (crop, name) in enumerate(zip(row.crops, row.names, strict=True)):
            left = _GAP + column * (_SIDE + _GAP)
            picture = Image.fromarray(np.ascontiguousarray(crop.transpose(1, 2, 0)))
            sheet.paste(picture.resize((_SIDE, _SIDE)), (left, top + _TEXT))
            draw.text((left, top + _TEXT + _SIDE), _fitting(name, draw, font), fill="black", font=font)
    return sheet


def _fitting(name: str, draw: ImageDraw.ImageDraw, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont") -> str:
    """Cut a name to the width of its crop."""
    shown = name
    while shown and draw.textlength(shown, font=font) > _SIDE:
        shown = shown[:-2] + "…" if len(shown) > 2 else ""
    return shown


def write_sheet(rows: Sequence[Row], path: Path) -> None:
    """Write the sheet as PNG; OSError where the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows).save(path, "PNG", optimize=True)
