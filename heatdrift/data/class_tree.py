"""Folders of class folders, on disk or in an archive: which files are pictures of which class."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import features

from heatdrift.data.archive import Member, open_archive
from heatdrift.data.class_folder import class_files, identities_above, passed_over
from heatdrift.data.files import FileEntry, file_sha256, picture_bytes, relative_name
from heatdrift.errors import DataError

_AVIF: Final = (".avif",) if features.check("avif") else ()  # Pillow can be built without it
PICTURES: Final = (
    *_AVIF,
    *(".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_LEFT_BY_SYSTEMS: Final = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file under a class: its name below the folder of all classes, where it lies, and how to read and hash it."""

    class_name: str
    name: str
    where: str
    read: Callable[[], bytes]
    entry: Callable[[str], FileEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One folder of class folders, on disk or in an archive; all its class folders, those without a picture too."""

    where: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]


def disk_root(root: Path) -> Root:
    """List a folder of class folders.

    Raises
    ------
    DataError : no class folders, pictures next to them, files that are none, links that lead nowhere or into two
        classes, a folder that cannot be read.
    """
    loose = [path for path in root.iterdir() if path.is_file() and _is_picture(path.name)]
    if loose:
        raise _loose(str(min(loose)))
    class_folders = _class_folders(root)
    pictures = []
    for name, path in _disk_pictures(root, class_folders):

        def entry(shown: str, path: Path = path) -> FileEntry:
            return FileEntry(path=shown, sha256=file_sha256(path), size=path.stat().st_size)

        relative = relative_name(path, root)
        one = Picture(class_name=name, name=relative, where=str(path), read=partial(picture_bytes, path), entry=entry)
        pictures.append(one)
    return Root(where=str(root), classes=tuple(class_folders), pictures=tuple(pictures))


def _class_folders(root: Path) -> dict[str, Path]:
    """Class folders by their composed names, in the order of these, which is the same on every system."""
    found = [path for path in root.iterdir() if path.is_dir() and not passed_over(path.name)]
    by_name: dict[str, Path] = {}
    for path in sorted(found):
        name = unicodedata.normalize("NFC", path.name)
        if name in by_name:
            raise DataError(f"{root} has two class folders named {name!r}", hint="merge or rename one of them")
        by_name[name] = path
    if not by_name:
        raise _no_classes(str(root))
    return {name: by_name[name] for name in sorted(by_name)}


def _disk_pictures(root: Path, class_folders: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Class name and path of every picture, in order."""
    visited = identities_above(root)
    for name, class_folder in class_folders.items():
        for path in sorted(class_files(class_folder, visited), key=lambda path: relative_name(path, root)):
            if _is_left(path.name):
                continue
            if not path.exists():
                raise DataError(f"{path} is a link that leads nowhere", hint="restore its target or remove the link")
            if path.suffix.lower() not in PICTURES:
                raise _no_picture(str(path))
            yield name, path


def archive_root(path: Path, inside: str) -> Root:
    """List class folders in an archive: in its folder `inside`, else in the one folder that holds everything.

    Raises
    ------
    DataError : as :func:`disk_root`; the archive is damaged (:func:`heatdrift.data.archive.open_archive`) or has no
        folder `inside`.
    """
    archive = open_archive(path)
    members = [(PurePosixPath(one.name), one) for one in archive.members]
    folders = [PurePosixPath(name) for name in archive.folders]
    top = PurePosixPath(inside)
    if inside and not any(name.is_relative_to(top) for name in (*(name for name, _ in members), *folders)):
        raise DataError(f"{path} has no folder {inside}", hint=f"its folders: {', '.join(_tops(members)) or 'none'}")
    members = [(name.relative_to(top), one) for name, one in members if name.is_relative_to(top)]
    folders = [name.relative_to(top) for name in folders if name.is_relative_to(top) and name != top]
    members = [
        (name, one) for name, one in members if not _is_left(name.name) and not any(map(passed_over, name.parts[:-1]))
    ]
    folders = [name for name in folders if not any(map(passed_over, name.parts))]
    while not inside and len(_tops(members)) == 1 and _lie_deeper(members):
        top = PurePosixPath(_tops(members)[0])  # pets/cats/1.jpg: the folder that was archived
        members = [(name.relative_to(top), one) for name, one in members]
        folders = [name.relative_to(top) for name in folders if name.is_relative_to(top) and name != top]
    where = f"{path}/{inside}" if inside else str(path)
    pictures = []
    for name, one in members:
        shown = unicodedata.normalize("NFC", name.as_posix())
        if len(name.parts) == 1 and _is_picture(name.name):
            raise _loose(f"{path}/{one.name}")
        if len(name.parts) == 1:
            continue  # a README next to the class folders
        if name.suffix.lower() not in PICTURES:
            raise _no_picture(f"{path}/{one.name}")
        pictures.append(_member_picture(shown, path, one))
    classes = {one.class_name for one in pictures} | {unicodedata.normalize("NFC", n.parts[0]) for n in folders}
    if not classes:
        raise _no_classes(where)
    return Root(where=where, classes=tuple(sorted(classes)), pictures=tuple(pictures))


def _member_picture(shown: str, path: Path, member: Member) -> Picture:
    def entry(name: str) -> FileEntry:
        return FileEntry(path=name, sha256=hashlib.sha256(member.read()).hexdigest(), size=member.size)

    where, class_name = f"{path}/{member.name}", shown.partition("/")[0]
    return Picture(class_name=class_name, name=shown, where=where, read=member.read, entry=entry)


def _lie_deeper(members: list[tuple[PurePosixPath, Member]]) -> bool:
    """Whether all pictures lie in folders of the top folders, so that these are not the classes."""
    depths = [len(name.parts) for name, _ in members if _is_picture(name.name)]
    return bool(depths) and min(depths) > 2


def _tops(members: list[tuple[PurePosixPath, Member]]) -> list[str]:
    return sorted({name.parts[0] for name, _ in members if len(name.parts) > 1})


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURES and not name.startswith(".")


def _is_left(name: str) -> bool:
    """Whether a file is hidden, or one that systems leave."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def _loose(where: str) -> DataError:
    problem = f"{where} lies next to the class folders, so it has no class"
    return DataError(problem, hint="move it into a class folder")


def _no_picture(where: str) -> DataError:
    return DataError(f"{where} is no picture (known: {', '.join(PICTURES)})", hint="move it out of the class folders")


def _no_classes(where: str) -> DataError:
    return DataError(f"{where} has no class folders", hint="one folder per class, pictures inside: PATH/CLASS/a.jpg")
