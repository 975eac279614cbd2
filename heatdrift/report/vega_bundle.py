"""The page's drawing scripts as one text, bundled once per version: bundling takes two seconds of every page otherwise.

The text runs in whoever opens a page; ``private_files.py`` says when a kept one is used.
"""

import hashlib
from pathlib import Path
from typing import Final

import vl_convert

from heatdrift.report.private_files import can_be_private, read_private, write_private

SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"


def vega_bundle(folder: Path | None) -> str:
    """Return Vega, Vega-Lite, vega-embed and its interpreter as one script.

    Parameters
    ----------
    folder : where it is kept; None keeps nothing. A folder that cannot be used costs the time only.
    """
    if folder is None or not can_be_private():
        return _bundled()
    drawing = (vl_convert.get_vega_version(), *vl_convert.get_vegalite_versions(), vl_convert.get_vega_embed_version())
    versions = f"{' '.join(drawing)} {SNIPPET}"
    path = folder / f"{hashlib.sha256(versions.encode()).hexdigest()}.js"
    text = read_private(path)
    if text is None:
        text = _bundled()
        write_private(path, text)
    return text


def _bundled() -> str:
    return vl_convert.javascript_bundle(SNIPPET)
