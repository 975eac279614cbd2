"""Files that appear whole or not at all, and locks between processes.

A file is written next to its target, flushed to the disk and renamed over it; a crash, a full disk or an exception
leaves the old file. Temporary names start with a dot and end in ``.tmp``, so that nothing mistakes them for a result.
"""

import contextlib
import errno
import fcntl
import glob
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heatdrift.errors import StoreError

TEMPORARY_AFTER_S: Final = 600.0
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def cannot_write(path: Path, cause: OSError) -> StoreError:
    """Return the StoreError that names `path` and what the operating system said."""
    reason = cause.strerror or str(cause)
    return StoreError(
        f"cannot write {path}: {reason}",
        hint="free some space or make the folder writable, then run the same command again",
    )


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; when the block ends well it is flushed and renamed over `path`.

    Raises
    ------
    StoreError
        The operating system refuses (disk full, read-only). Whatever goes wrong, no temporary file stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as cause:
        raise cannot_write(path, cause) from cause
    finally:
        remove_temporary(path.parent, glob.escape(temporary.name))


def remove_temporary(folder: Path, pattern: str) -> None:
    """Remove the files whose names begin like the glob `pattern`: a temporary file, and what DuckDB put next to it."""
    for left in folder.glob(f"{pattern}*"):
        with contextlib.suppress(OSError):  # a disk that turned read-only must not hide the first error
            left.unlink()


def remove_old_temporary(folder: Path, *, older_than_s: float = TEMPORARY_AFTER_S) -> int:
    """Remove what a kill -9 left of files in the making in `folder`; return how many.

    Only files that nobody has written to for `older_than_s` seconds, by the clock that stamps files there.
    """
    removed = 0
    with contextlib.suppress(OSError):
        left = [p for p in folder.glob(".*.tmp*") if p.is_file()]
        if not left:
            return 0
        folder_now = _now_of(folder)
        for path in left:
            if folder_now - path.stat().st_mtime > older_than_s:
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _now_of(folder: Path) -> float:
    """Return the present time by the file system's clock: that of a file made now."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now.", suffix=".tmp") as stream:
        return os.fstat(stream.fileno()).st_mtime


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def create_bytes(path: Path, data: bytes) -> bool:
    """Write `data` to a new file; return False, leaving it untouched, when `path` is there already.

    Whole or not at all, and of two processes only one succeeds.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    is_made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        _sync_file(temporary)
        try:
            os.link(temporary, path)  # unlike a rename, a link never replaces
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            temporary.replace(path)
        is_made = True
        sync_folder(path.parent)
    except OSError as cause:
        if is_made:  # who gets an error must not have made it: a claim would be held by nobody who knows of it
            with contextlib.suppress(OSError):
                path.unlink()
        raise cannot_write(path, cause) from cause
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def exclusive_lock(path: Path, *, timeout_s: float = 600.0, doing: str = "write") -> Iterator[None]:
    """Hold an advisory lock (flock) on the file `path`; the system drops it when the process dies.

    On a file system without locks the block runs without one: callers keep to operations that are safe anyway.

    Raises
    ------
    StoreError
        Another process kept the lock for longer than `timeout_s` seconds, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as cause:
        raise cannot_write(path, cause) from cause
    try:
        _wait_for_lock(descriptor, path, time.monotonic() + timeout_s, doing)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path, deadline: float, doing: str) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"another process has been holding {path} for too long, cannot {doing}",
                    hint="wait for the other heatdrift to finish, or end it, then run the same command again",
                ) from None
            time.sleep(0.02)
        except OSError as cause:
            if cause.errno in _NO_LOCKS:
                return
            raise cannot_write(path, cause) from cause
        else:
            return
