"""The page's drawing scripts as one text, bundled once per version: bundling takes two seconds of every page otherwise.

The text runs in whoever opens a page, so a kept one is used only if it is this user's own, nobody else can write to it
or to its folder, and it has the hash that lies next to it.
"""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import vl_convert

SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def vega_bundle(folder: Path | None) -> str:
    """Return Vega, Vega-Lite, vega-embed and its interpreter as one script.

    Parameters
    ----------
    folder : where it is kept; None keeps nothing. A folder that cannot be used costs the time only.
    """
    if folder is None or not hasattr(os, "getuid"):
        return _bundled()
    drawing = (vl_convert.get_vega_version(), *vl_convert.get_vegalite_versions(), vl_convert.get_vega_embed_version())
    versions = f"{' '.join(drawing)} {SNIPPET}"
    path = folder / f"{hashlib.sha256(versions.encode()).hexdigest()}.js"
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        expected = path.with_suffix(".sha256").read_text(encoding="ascii")
        if all(map(_ours_alone, (folder, path))) and hashlib.sha256(text.encode()).hexdigest() == expected:
            return text
    text = _bundled()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, text)
        _write(path.with_suffix(".sha256"), hashlib.sha256(text.encode()).hexdigest())
    return text


def _bundled() -> str:
    return vl_convert.javascript_bundle(SNIPPET)


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
