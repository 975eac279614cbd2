"""The files of one class folder, links followed: what systems and editors put there is passed over, nothing else is."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heatdrift.errors import DataError

# folders that hold copies or thumbnails of pictures, or what was deleted; those that begin with a dot are among them
_OF_SYSTEMS: Final = (
    *("@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "system volume information"),
    *("lost+found", "#snapshot", "@tmp", "__pycache__"),
)
Visited = dict[tuple[int, int], Path]  # device and inode of a folder -> class folder in which it was met


def passed_over(name: str) -> bool:
    """Whether a folder's name says that its pictures are none of the data set: hidden, or made by a system."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def class_files(class_folder: Path, visited: Visited) -> Iterator[Path]:
    """Yield the files of a class folder and of the folders in it, in no particular order.

    Folders that :func:`passed_over` names are left out. Links to folders are followed; a folder that a link leads to
    again within its class counts once.

    Parameters
    ----------
    visited : folders that were met before; those of this class are added. Put in the folder of all classes, so that no
        link can bring it into a class.

    Raises
    ------
    DataError
        A folder cannot be read, or belongs to two classes by a link.
    """
    folders = [class_folder]
    while folders:
        folder = folders.pop(0)
        place = _identity(folder)
        if place in visited:
            if visited[place] != class_folder:
                raise DataError(
                    f"{folder} is a link to a folder of {visited[place]}, so its pictures would have two classes",
                    hint="remove the link",
                )
            continue
        visited[place] = class_folder
        real, linked = list[Path](), list[Path]()
        for entry in _entries(folder):
            path = folder / entry.name
            if not entry.is_dir():
                yield path
            elif not passed_over(entry.name):
                (linked if entry.is_symlink() else real).append(path)
        folders[:0] = sorted(real)
        folders += sorted(linked)  # last, so that what is there twice has the name that it really has


def identities_above(root: Path) -> Visited:
    """Return the folder of all classes and those above it, into which no class may lead."""
    resolved = root.resolve()
    return {_identity(folder): root for folder in (resolved, *resolved.parents)}


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    assert stat.S_ISDIR(found.st_mode)
    return found.st_dev, found.st_ino


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}", hint="check its permissions") from error
