"""Vega's drawing of a chart, kept by a hash of the whole chart: most of a page's charts are those of its last making.

Drawing is half of the time that a page takes. A drawing becomes part of a page, so only a kept one that this user alone
can have written is used (``private_files.py``).
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import vl_convert

from heatdrift.report.private_files import can_be_private, read_private, write_private
from heatdrift.report.vega import draw_svg

MAX_KEPT: Final = 1000  # drawings; some 30 kB each


def kept_svg(spec: Mapping[str, Any], folder: Path | None) -> str:
    """Return the SVG of a Vega-Lite spec with its data, drawn without network access.

    Parameters
    ----------
    folder : where drawings are kept; None keeps none. A folder that cannot be used costs the time only.

    Raises
    ------
    ReportError
        It cannot be drawn.
    """
    if folder is None or not can_be_private():
        return _drawn(spec)
    drawing = (version("vl-convert-python"), vl_convert.get_vega_version(), *vl_convert.get_vegalite_versions())
    whole = json.dumps([drawing, spec], separators=(",", ":"))
    path = folder / f"{hashlib.sha256(whole.encode()).hexdigest()}.svg"
    svg = read_private(path)
    if svg is None:
        svg = _drawn(spec)
        write_private(path, svg)
        _make_room(folder)
    return svg


def _drawn(spec: Mapping[str, Any]) -> str:
    return draw_svg(spec)


def _make_room(folder: Path) -> None:
    """Remove the oldest half where there are too many; another process may do the same."""
    try:
        kept = list(folder.glob("*.svg"))
        if len(kept) <= MAX_KEPT:
            return
        for path in sorted(kept, key=lambda path: path.stat().st_mtime)[: len(kept) // 2]:
            path.unlink(missing_ok=True)
            path.with_suffix(".sha256").unlink(missing_ok=True)
    except OSError:
        return
