"""Class folders inside a .zip or a .tar (also .tar.gz, .tgz, .tar.bz2, .tar.xz), read in place: nothing is unpacked.

Members are read as bytes and nothing is ever written under their names, so a name with ``..`` can do no harm. A
compressed tar cannot be read at any place but its beginning; it is decompressed once into a temporary file without a
name, which the system removes with the process.
"""

import bz2
import gzip
import lzma
import tarfile
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final

from heatdrift.data.files import MOST_PICTURE
from heatdrift.decoding import decoding
from heatdrift.errors import DataError

SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_PACKED: Final[dict[str, Callable[[Path], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]]] = {
    ".gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_MOST_RATIO: Final = 200  # of a decompressed tar to its archive: pictures hardly shrink at all
_SMALL: Final = 2**30  # bytes that are decompressed whatever the ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive: its name with forward slashes, its size in bytes, and how to read it."""

    name: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Files and folders of an archive."""

    path: Path
    members: tuple[Member, ...]
    folders: frozenset[str]


def archive_at(path: Path) -> tuple[Path, str] | None:
    """Return the archive that `path` is or leads into, and the place inside it; None where there is none."""
    for above in (path, *path.parents):
        if above.name.lower().endswith(SUFFIXES) and above.is_file():
            return above, path.relative_to(above).as_posix().removeprefix(".")
    return None


def open_archive(path: Path) -> Archive:
    """List an archive; its members are read on demand, by several threads too.

    Raises
    ------
    DataError : damaged, encrypted, with links, or far larger than its file lets expect.
    """
    again = "it may be cut off: copy or download it again"
    with decoding(lambda said: DataError(f"{path} is not a readable archive: {said}", hint=again)):
        return _zip(path) if path.name.lower().endswith(".zip") else _tar(path)


def _zip(path: Path) -> Archive:
    archive = zipfile.ZipFile(path)  # its reads take turns by a lock of their own
    members, folders = list[Member](), set[str]()
    for info in archive.infolist():
        name = _plain(info.filename)
        if info.is_dir():
            folders.add(name)
            continue
        if info.flag_bits & 1:
            raise DataError(f"{path} is encrypted", hint="unpack it, and name the folder")
        _check_size(path, name, info.file_size)

        def read(info: zipfile.ZipInfo = info) -> bytes:
            return _whole(path, lambda: archive.read(info))

        members.append(Member(name=name, size=info.file_size, read=read))
    declared, size = sum(member.size for member in members), path.stat().st_size
    if declared > max(_SMALL, _MOST_RATIO * size):  # members may share their bytes
        raise _bomb(path)
    return Archive(path=path, members=tuple(members), folders=frozenset(folders))


def _tar(path: Path) -> Archive:
    tar = _TarBytes(path)
    members, folders, end = list[Member](), set[str](), 0
    with tarfile.open(fileobj=tar.stream, mode="r:") as archive:
        for info in archive:
            end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            name = _plain(info.name)
            if info.isdir():
                folders.add(name)
                continue
            if not info.isreg() or info.issparse():
                kind = "a link" if info.issym() or info.islnk() else "no plain file"
                raise DataError(f"{path}: {name} is {kind}", hint="archive what links lead to: tar --dereference")
            _check_size(path, name, info.size)
            members.append(Member(name=name, size=info.size, read=partial(tar.read, info.offset_data, info.size)))
    if tar.read(end, tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a missing end for an end
        raise DataError(f"{path} is cut off: it has no end", hint="copy or download it again")
    return Archive(path=path, members=tuple(members), folders=frozenset(folders))


class _TarBytes:
    """The bytes of a tar: of its file, or of a temporary one with what the file holds compressed."""

    def __init__(self, path: Path) -> None:
        self.stream = path.open("rb") if path.suffix.lower() not in _PACKED else _decompressed(path)
        self._lock = threading.Lock()
        weakref.finalize(self, self.stream.close)

    def read(self, start: int, size: int) -> bytes:
        with self._lock:
            self.stream.seek(start)
            return self.stream.read(size)


def _decompressed(path: Path) -> IO[bytes]:
    limit = max(_SMALL, _MOST_RATIO * path.stat().st_size)
    plain = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the images that read it
    try:
        with _PACKED[path.suffix.lower()](path) as packed:
            while chunk := packed.read(2**20):
                plain.write(chunk)
                if plain.tell() > limit:
                    raise _bomb(path)
        plain.seek(0)
    except BaseException:
        plain.close()
        raise
    return plain


def _bomb(path: Path) -> DataError:
    return DataError(f"{path} holds more than {_MOST_RATIO} times its size", hint="unpack it, if it is meant")


def _whole(path: Path, read: Callable[[], bytes]) -> bytes:
    with decoding(lambda said: DataError(f"{path} is damaged: {said}", hint="copy or download it again")):
        return read()


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MOST_PICTURE:
        raise DataError(f"{path}: {name} has {size / 1e6:,.0f} MB", hint="leave what is no picture out of the archive")


def _plain(name: str) -> str:
    return "/".join(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in (".", "/"))
