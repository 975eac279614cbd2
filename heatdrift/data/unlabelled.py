"""Pictures for probes, which need no labels: a folder of any shape, or any source that has labels, which are not read.

What comes out is :class:`LabelledImages` with one unnamed class, so that crops are made by the same code.
"""

import dataclasses
import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heatdrift.config import SourceSpec
from heatdrift.data.class_tree import PICTURES
from heatdrift.data.files import content_sha256, entries, picture_bytes
from heatdrift.data.images import LabelledImages, decode_image, listed, unreadable
from heatdrift.data.sources import SCHEMES, open_source
from heatdrift.errors import DataError

_SPLITS: Final = ("train", "test", "val", "validation")
FEWEST: Final = 8  # below this a mean over images says little, and CKA nothing


def source_text(place: str, folder: Path) -> str:
    """A source string as it is, a Parquet file or a folder by its path as the source string that it stands for."""
    if place.partition(":")[0] in SCHEMES and ":" in place:
        return place
    return f"{'parquet' if (folder / place).is_file() else 'folder'}:{place}"


def source_name(text: str) -> str:
    """What a source is called in tables: the end of its place, or the part before it where that is only a split."""
    parts = [part for part in Path(text.partition(":")[2] or text).parts if part not in ("/", "..", ".")]
    named = [Path(part).stem for part in parts if part not in _SPLITS] or [text]
    return named[-1]


def open_pictures(place: str, folder: Path) -> LabelledImages:
    """Open pictures by source string, by the path of a Parquet file, or of a folder that holds some at any depth.

    Raises
    ------
    DataError : nothing there, or no picture in it.
    """
    text = source_text(place, folder)
    kind, _, inside = text.partition(":")
    root = folder / inside
    if kind != "folder":
        return open_source(SourceSpec(source=text), folder)
    if not root.is_dir():
        raise DataError(f"there is no folder or Parquet file {root}", hint="check the path given with --images")
    paths = sorted(_pictures(root))
    if not paths:
        raise DataError(f"{root} holds no picture", hint=f"known: {', '.join(PICTURES)}")
    files = entries(paths, root)

    def read(position: int) -> Image.Image:
        return decode_image(picture_bytes(paths[position]), str(paths[position]))

    return LabelledImages(
        source=text,
        sha256=content_sha256(files),
        labels=np.zeros(len(paths), dtype=np.int64),
        class_names=(),
        read=read,
        name=lambda position: files[position].path,
        files=files,
    )


def _pictures(root: Path) -> list[Path]:
    """Pictures at any depth; hidden files and folders are passed over, and so is what is no picture."""
    found = []
    for place, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in names if not name.startswith(".")]
        found += [Path(place) / name for name in shown if Path(name).suffix.lower() in PICTURES]
    return found


def chosen_pictures(images: LabelledImages, n: int | None, seed: int) -> NDArray[np.int64]:
    """Positions of `n` pictures drawn by `seed`, in order; all where there are no more, or `n` is None.

    Raises
    ------
    DataError : too few for probes.
    """
    if len(images) < FEWEST:
        problem = f"{images.source} has {len(images)} pictures, and probes need {FEWEST} at least"
        raise DataError(problem, hint="a few hundred pictures of what the model is for; labels are not needed")
    if n is None or n >= len(images):
        return np.arange(len(images))
    return np.sort(np.random.default_rng(seed).choice(len(images), max(n, FEWEST), replace=False))


def readable_pictures(images: LabelledImages) -> LabelledImages:
    """Leave out pictures that do not decode; they are listed in `skipped`.

    Raises
    ------
    DataError : none is left.
    """
    bad = unreadable(images)
    kept = np.setdiff1d(np.arange(len(images)), bad)
    if len(bad) == len(images):
        names = listed(images.name(position) for position in bad)
        raise DataError(f"{images.source}: no picture decodes ({names})", hint="check the files")
    return dataclasses.replace(
        images,
        labels=images.labels[kept],
        read=lambda position: images.read(int(kept[position])),
        name=lambda position: images.name(int(kept[position])),
        skipped=tuple(images.name(position) for position in bad),
    )
