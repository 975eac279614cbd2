"""Texts kept in the user's cache that pages take over as they are: made by this user, and changed by nobody else."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def read_private(path: Path) -> str | None:
    """Return a text that :func:`write_private` wrote; None for what is not there, damaged, or open to others.

    It and its folder must belong to this user, nobody else may be able to write to either, and the text must have the
    hash that lies next to it.
    """
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        expected = path.with_suffix(".sha256").read_text(encoding="ascii")
        if all(map(_ours_alone, (path.parent, path))) and hashlib.sha256(text.encode()).hexdigest() == expected:
            return text
    return None


def write_private(path: Path, text: str) -> None:
    """Keep a text for this user alone; a folder that cannot be used keeps nothing."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, text)
        _write(path.with_suffix(".sha256"), hashlib.sha256(text.encode()).hexdigest())


def can_be_private() -> bool:
    """Whether this system says to whom a file belongs."""
    return hasattr(os, "getuid")


def _ours_alone(path: Path) -> bool:
    found = path.stat()
    return found.st_uid == os.getuid() and not found.st_mode & _WRITABLE_BY_OTHERS


def _write(path: Path, text: str) -> None:
    """Write under another name first, so that nobody reads half of it; only this user may write or read."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
