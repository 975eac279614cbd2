"""LabelledImages: what every source of images becomes."""

import dataclasses
import hashlib
import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heatdrift.data.files import FileEntry
from heatdrift.decoding import decoding
from heatdrift.errors import DataError

Labels = NDArray[np.int64]
SHOWN: Final = 3  # names listed in a message before it says how many more there are
# Pillow also has formats that run other programs (EPS: Ghostscript), follow files (FITS, stubs) or are documents (PDF).
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA", "AVIF")
MAX_PIXELS: Final = 64_000_000  # 8,000 x 8,000: a photograph; 192 MB as RGB, whatever the size of the file
_SIXTEEN_BITS: Final = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images of one source and split, decoded on demand.

    Attributes
    ----------
    source : the source string, for messages.
    sha256 : content hash of what was really read; it differs when pictures were skipped.
    labels : (n,) int64, in [0, len(class_names)).
    class_names : readable words for prompts and pages.
    read : position -> picture; raises DataError naming the picture when it does not decode.
    name : position -> what the picture is called within its source.
    source_names : class names as the source writes them; empty when it has none.
    revision : commit that a name on a hub resolved to; None for what has none.
    files : the files behind the images, hashed; empty for drawn ones.
    skipped : names of pictures that do not decode and were left out on request.
    numbers : number of each class in the source, counted from 0; empty where these are 0..n-1.
    first_number : what the source itself calls the first of them (``labels_from``).
    unused : classes that the source declares and has no picture of, which are no classes here.
    """

    source: str
    sha256: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    read: Callable[[int], Image.Image]
    name: Callable[[int], str] = "picture {}".format
    source_names: tuple[str, ...] = ()
    revision: str | None = None
    files: tuple[FileEntry, ...] = ()
    skipped: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    first_number: int = 0
    unused: tuple[str, ...] = ()

    @property
    def class_numbers(self) -> tuple[int, ...]:
        """Number of each class in the source, counted from 0."""
        return self.numbers or tuple(range(len(self.class_names)))

    def __len__(self) -> int:
        return len(self.labels)


def check_labels(labels: NDArray[np.int64], n_classes: int, source: str) -> None:
    """Refuse labels outside [0, n_classes), classes without an image, and fewer than two classes."""
    if len(labels) == 0:
        raise DataError(f"{source} has no images", hint="check that the download is complete")
    if labels.min() < 0 or labels.max() >= n_classes:
        position = int(np.flatnonzero((labels < 0) | (labels >= n_classes))[0])
        problem = f"{source}: label {int(labels[position])} of row {position} is outside 0..{n_classes - 1}"
        raise DataError(problem, hint="correct the labels of the source")
    if n_classes < 2:
        raise DataError(
            f"{source} has one class only; nothing can be classified", hint="use a source with >= 2 classes"
        )
    empty = np.flatnonzero(np.bincount(labels, minlength=n_classes) == 0)
    if len(empty):
        raise DataError(f"{source}: class {int(empty[0])} has no image", hint="labels must be 0..n-1 without gaps")


def decode_image(data: bytes, where: str) -> Image.Image:
    """Decode one encoded picture to 8-bit RGB.

    Grey, palette and CMYK are converted, alpha is dropped, 16-bit grey is scaled to 8 bits (Pillow's own conversion
    would clip it at 255), of an animation the first frame is taken. Orientation tags are ignored, as open_clip does.

    Raises
    ------
    DataError : empty, truncated, not a picture in one of `FORMATS`, of more than `MAX_PIXELS` pixels by its header, or
        of 32-bit samples, whose range nobody knows; `where` names it.
    """
    if data.startswith(b"version https://git-lfs"):
        hint = "git lfs install, then git lfs pull in that repository"
        raise DataError(f"{where} is a Git LFS pointer: the address of the picture, not the picture", hint=hint)

    def refuse(reason: str) -> DataError:
        problem = f"{where} does not decode as an image ({len(data)} bytes): {reason}"
        hint = "replace the picture or remove it from the source, or leave such ones out with --skip-unreadable"
        return DataError(problem, hint=hint)

    with decoding(refuse):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is below
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        with opened as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(
                    f"{where} has {picture.width} x {picture.height} pixels, more than the limit of {MAX_PIXELS:,}",
                    hint="make it smaller, or leave such ones out with --skip-unreadable",
                )
            if picture.mode in _SIXTEEN_BITS:
                return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
            if picture.mode in ("I", "F"):
                raise DataError(f"{where} has 32-bit samples of unknown range", hint="save it with 8 bits per channel")
            if picture.mode == "P" and "transparency" in picture.info:
                return picture.convert("RGBA").convert("RGB")
            return picture.convert("RGB")


def unreadable(images: LabelledImages, report: Callable[[int], None] = lambda _done: None) -> tuple[int, ...]:
    """Decode every picture once; return the positions of those that do not decode."""
    bad = []
    for position in range(len(images)):
        try:
            images.read(position)
        except DataError:
            bad.append(position)
        report(position + 1)
    return tuple(bad)


def without(images: LabelledImages, positions: Iterable[int]) -> LabelledImages:
    """Leave pictures out, before anything is split: they are listed in `skipped`, and the content hash changes.

    Raises
    ------
    DataError : a class would be empty.
    """
    left_out = sorted(positions)
    if not left_out:
        return images
    kept = np.setdiff1d(np.arange(len(images)), left_out)
    names = tuple(images.name(position) for position in left_out)
    labels = images.labels[kept]
    check_labels(labels, len(images.class_names), f"{images.source} without {listed(names)}")
    digest = hashlib.sha256("\n".join((images.sha256, "skipped", *names)).encode())
    return dataclasses.replace(part(images, kept, digest.hexdigest()), labels=labels, skipped=names)


def part(images: LabelledImages, positions: NDArray[np.int64], sha256: str) -> LabelledImages:
    """Return the images at `positions`, in that order, under the hash `sha256`; the classes stay."""
    return dataclasses.replace(
        images,
        sha256=sha256,
        labels=images.labels[positions],
        read=lambda position: images.read(int(positions[position])),
        name=lambda position: images.name(int(positions[position])),
    )


def listed(names: Iterable[str]) -> str:
    """First names and how many more there are."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def readable(name: str) -> str:
    """Class name as words: underscores to spaces, CamelCase split ('AnnualCrop' -> 'annual crop')."""
    words = name.replace("_", " ").strip()
    spaced = "".join(f" {c}" if i and c.isupper() and words[i - 1].islower() else c for i, c in enumerate(words))
    return spaced.lower() if " " not in words and spaced != words else words


def plain(name: str) -> str:
    """Letters and digits alone, in lower case: 'Maine_Coon', 'maine coon' and 'MaineCoon' are the same."""
    return "".join(character for character in name.casefold() if character.isalnum())


def name_index(names: Iterable[str]) -> Callable[[str], int | None]:
    """Return how to find the place of a name: as it is written, else by letters and digits if only one has these.

    "C", "C++" and "C#" have the same letters: of such names only the exact one is found.
    """
    exact: dict[str, int] = {}
    loose: dict[str, int | None] = {}
    for place, name in enumerate(names):
        exact.setdefault(name, place)
        loose[plain(name)] = None if plain(name) in loose else place
    return lambda name: exact[name] if name in exact else loose.get(plain(name))
