"""LabelledImages: what every source of images becomes."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from heatdrift.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images of one source and split, decoded on demand.

    Attributes
    ----------
    source : the source string, for messages.
    sha256 : content hash of the source.
    labels : (n,) int64, in [0, len(class_names)).
    class_names : readable words for prompts and pages.
    read : position -> picture; raises DataError naming the picture when it does not decode.
    """

    source: str
    sha256: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    read: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.labels)


def check_labels(labels: NDArray[np.int64], n_classes: int, source: str) -> None:
    """Refuse labels outside [0, n_classes), classes without an image, and fewer than two classes."""
    if len(labels) == 0:
        raise DataError(f"{source} has no images", hint="check that the download is complete")
    if labels.min() < 0 or labels.max() >= n_classes:
        position = int(np.flatnonzero((labels < 0) | (labels >= n_classes))[0])
        problem = f"{source}: label {int(labels[position])} of row {position} is outside 0..{n_classes - 1}"
        raise DataError(problem, hint="mend the labels of the source")
    if n_classes < 2:
        raise DataError(
            f"{source} has one class only; nothing can be classified", hint="use a source with >= 2 classes"
        )
    empty = np.flatnonzero(np.bincount(labels, minlength=n_classes) == 0)
    if len(empty):
        raise DataError(f"{source}: class {int(empty[0])} has no image", hint="labels must be 0..n-1 without gaps")


def decode_image(data: bytes, where: str) -> Image.Image:
    """Decode one encoded picture to 8-bit RGB (grey, palette, CMYK and alpha are converted).

    Raises
    ------
    DataError : empty, truncated, or not a picture; `where` names it.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problem = f"{where} does not decode as an image ({len(data)} bytes): {type(error).__name__}"
        raise DataError(problem, hint="replace the picture or remove its row from the source") from error


def readable(name: str) -> str:
    """Class name as words: underscores to spaces, CamelCase split ('AnnualCrop' -> 'annual crop')."""
    words = name.replace("_", " ").strip()
    spaced = "".join(f" {c}" if i and c.isupper() and words[i - 1].islower() else c for i, c in enumerate(words))
    return spaced.lower() if " " not in words and spaced != words else words
