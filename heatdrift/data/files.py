"""Files of a source: their sizes and hashes, and the one hash over all of them."""

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from heatdrift.config import WHERE_DATA_LIES
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError
from heatdrift.records import Strict

MOST_PICTURE: Final = 2**29  # bytes of one picture as it is stored


class FileEntry(Strict, frozen=True, kw_only=True):
    """One file as it was read; `path` is relative to the source, with forward slashes and composed (NFC) letters."""

    path: str
    size: int
    sha256: str


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; DataError if it is not there or cannot be read."""
    if not path.is_file():
        raise DataError(f"there is no file {path}", hint=WHERE_DATA_LIES)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check its permissions") from error


def picture_bytes(path: Path) -> bytes:
    """Bytes of a picture's file; DataError where it cannot be read, is no regular file or larger than any picture."""
    with decoding(lambda said: DataError(f"cannot read {path}: {said}", hint="restore it, or check its permissions")):
        return read_whole(path, most=MOST_PICTURE)


def relative_name(path: Path, root: Path) -> str:
    """Name of `path` below `root`: the same on every system, however it composes accented letters."""
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def entries(paths: Iterable[Path], root: Path) -> tuple[FileEntry, ...]:
    """Hash files; their names are relative to `root`."""
    return tuple(
        FileEntry(path=relative_name(path, root), sha256=file_sha256(path), size=path.stat().st_size) for path in paths
    )


def content_sha256(files: tuple[FileEntry, ...]) -> str:
    """Hash over names and contents of all files; the hash of a single file is that of its bytes alone."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{entry.sha256}  {entry.path}\n" for entry in files)
    return hashlib.sha256(lines.encode()).hexdigest()
