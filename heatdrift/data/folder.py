"""``folder:PATH``: one folder per class, named after it; the pictures lie in it, in sub-folders too."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from heatdrift.config import WHERE_DATA_LIES
from heatdrift.data.class_folder import class_files, identities_above, passed_over
from heatdrift.data.files import content_sha256, entries, relative_name
from heatdrift.data.images import LabelledImages, check_labels, decode_image, readable
from heatdrift.errors import DataError

PICTURES: Final = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_LEFT_BY_SYSTEMS: Final = ("thumbs.db", "desktop.ini")


def folder_sha256(place: str, folder: Path) -> str:
    """Content hash of a ``folder:`` source: over the names and bytes of all its pictures."""
    root = folder / place
    return content_sha256(entries([path for _, path in _pictures(root)], root))


def check_folder(place: str, folder: Path) -> None:
    """Raise DataError when there is no such folder; nothing is read."""
    if not (folder / place).is_dir():
        raise DataError(f"there is no folder {folder / place}", hint=WHERE_DATA_LIES)


def open_folder(place: str, folder: Path) -> LabelledImages:
    """List the pictures of a folder of class folders, sorted by class and name; they are decoded on demand.

    Class names are the folders' names. Links to files and to folders are followed, at any depth. Hidden files and
    folders, and those that systems make (``class_folder.py``), are passed over; any other file that is no picture is
    refused rather than passed over.

    Raises
    ------
    DataError : no such folder, fewer than two class folders, one without a picture, a file that is no picture, a link
        that leads nowhere, or into two classes; a folder that cannot be read.
    """
    root = folder / place
    listed = list(_pictures(root))
    names = tuple(unicodedata.normalize("NFC", path.name) for path in _class_folders(root))
    labels = np.array([label for label, _ in listed], dtype=np.int64)
    for label, count in enumerate(np.bincount(labels, minlength=len(names)).tolist()):
        if count == 0:
            problem = f"class folder {root / names[label]} has no picture"
            raise DataError(problem, hint=f"add pictures ({', '.join(PICTURES)}) or remove the folder")
    check_labels(labels, len(names), str(root))
    paths = [path for _, path in listed]
    files = entries(paths, root)

    def read(position: int) -> Image.Image:
        return decode_image(paths[position].read_bytes(), str(paths[position]))

    return LabelledImages(
        source=f"folder:{place}",
        sha256=content_sha256(files),
        labels=labels,
        class_names=tuple(readable(name) for name in names),
        read=read,
        name=lambda position: files[position].path,
        source_names=names,
        files=files,
    )


def _class_folders(root: Path) -> list[Path]:
    """Class folders in the order of their composed names, which is the same on every system."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=WHERE_DATA_LIES)
    found = [path for path in root.iterdir() if path.is_dir() and not passed_over(path.name)]
    by_name: dict[str, Path] = {}
    for path in sorted(found):
        name = unicodedata.normalize("NFC", path.name)
        if name in by_name:
            raise DataError(f"{root} has two class folders named {name!r}", hint="merge or rename one of them")
        by_name[name] = path
    if not by_name:
        raise DataError(f"{root} has no class folders", hint="one folder per class, pictures inside: PATH/CLASS/a.jpg")
    return [by_name[name] for name in sorted(by_name)]


def _pictures(root: Path) -> Iterator[tuple[int, Path]]:
    """Label and path of every picture, in order."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=WHERE_DATA_LIES)
    loose = [
        path
        for path in root.iterdir()
        if path.is_file() and path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
    if loose:
        problem = f"{min(loose)} lies next to the class folders, so it has no class"
        raise DataError(problem, hint="move it into a class folder")
    visited = identities_above(root)
    for label, class_folder in enumerate(_class_folders(root)):
        for path in sorted(class_files(class_folder, visited), key=lambda path: relative_name(path, root)):
            if path.name.startswith(".") or path.name.lower() in _LEFT_BY_SYSTEMS:
                continue
            if not path.exists():
                raise DataError(f"{path} is a link that leads nowhere", hint="restore its target or remove the link")
            if path.suffix.lower() not in PICTURES:
                problem = f"{path} is no picture (known: {', '.join(PICTURES)})"
                raise DataError(problem, hint="move it out of the class folders")
            yield label, path
