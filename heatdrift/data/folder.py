"""``folder:PATH``: one folder per class, named after it; the pictures lie in it, in sub-folders too.

PATH is a folder, an archive (``archive.py``) or a folder in one, or a pattern that matches several of them, whose
classes are brought together by name.
"""

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from heatdrift.config import WHERE_DATA_LIES
from heatdrift.data.archive import archive_at
from heatdrift.data.class_tree import PICTURES, Picture, Root, archive_root, disk_root
from heatdrift.data.files import FileEntry, content_sha256
from heatdrift.data.images import LabelledImages, check_labels, decode_image, readable
from heatdrift.errors import DataError

_SPLITS: Final = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})


def folder_sha256(place: str, folder: Path) -> str:
    """Content hash of a ``folder:`` source: over the names and bytes of all its pictures.

    An archive has the hash that its folder has unpacked.
    """
    return content_sha256(_entries(_roots(place, folder)))


def check_folder(place: str, folder: Path) -> None:
    """Raise DataError when there is no such folder or archive; nothing is read."""
    _places(place, folder)


def open_folder(place: str, folder: Path) -> LabelledImages:
    """List the pictures of a folder of class folders, sorted by class and name; they are decoded on demand.

    Class names are the folders' names. Links to files and to folders are followed, at any depth. Hidden files and
    folders, and those that systems make (``class_folder.py``), are passed over; any other file that is no picture is
    refused rather than passed over.

    Raises
    ------
    DataError : no such folder, fewer than two class folders, one without a picture, a file that is no picture, a link
        that leads nowhere, or into two classes; a folder or an archive that cannot be read; splits in place of classes.
    """
    roots = _roots(place, folder)
    where = roots[0].where if len(roots) == 1 else f"folder:{place}"
    names = tuple(sorted({name for root in roots for name in root.classes}))
    if len(names) > 1 and _SPLITS.issuperset(name.lower() for name in names):
        problem = f"the folders of {where} are called {', '.join(names)}: splits, not classes"
        raise DataError(problem, hint=f"name one of them: folder:{place.rstrip('/')}/{names[-1]}")
    pictures = sorted(
        ((root, one) for root in roots for one in root.pictures),
        key=lambda pair: (pair[1].class_name, pair[1].name, pair[0].where),
    )
    number = {name: label for label, name in enumerate(names)}
    labels = np.array([number[one.class_name] for _, one in pictures], dtype=np.int64)
    for label, count in enumerate(np.bincount(labels, minlength=len(names)).tolist()):
        if count == 0:
            problem = f"class folder {where}/{names[label]} has no picture"
            raise DataError(problem, hint=f"add pictures ({', '.join(PICTURES)}) or remove the folder")
    check_labels(labels, len(names), where)
    found = [one for _, one in pictures]
    files = _entries(roots, found)

    def read(position: int) -> Image.Image:
        return decode_image(found[position].read(), found[position].where)

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


def _places(place: str, folder: Path) -> tuple[Path, ...]:
    """Return the folder or archive `place`, or all that it matches as a pattern."""
    if (folder / place).is_dir() or archive_at(folder / place):
        return (folder / place,)
    matches = sorted(glob.glob(place, root_dir=folder, recursive=True))  # noqa: PTH207  Path.glob takes no absolute one
    found = tuple(folder / name for name in matches if (folder / name).is_dir() or archive_at(folder / name))
    if not found:
        raise DataError(f"there is no folder {folder / place}", hint=WHERE_DATA_LIES)
    return found


def _roots(place: str, folder: Path) -> tuple[Root, ...]:
    found = []
    for path in _places(place, folder):
        inside = archive_at(path)
        found.append(disk_root(path) if inside is None else archive_root(*inside))
    return tuple(found)


def _entries(roots: tuple[Root, ...], pictures: Iterable[Picture] | None = None) -> tuple[FileEntry, ...]:
    """Hash pictures, by default all in the order of their classes; of several roots each has the root in its name."""
    several = {id(one): Path(root.where).name for root in roots for one in root.pictures} if len(roots) > 1 else {}
    if pictures is None:
        every = ((root, one) for root in roots for one in root.pictures)
        pictures = [one for _, one in sorted(every, key=lambda p: (p[1].class_name, p[1].name, p[0].where))]
    return tuple(one.entry(f"{several[id(one)]}/{one.name}" if several else one.name) for one in pictures)
