"""The static twin of a chart: the SVG that vl-convert draws, made fit for a page with others, and small.

Vega writes every attribute of every mark in full, with up to 17 digits; a page has some dozens of drawings. What is
said twice, is the default of SVG, or moves nothing by more than a twentieth of a pixel is taken away.
"""

import re
from typing import Final

from markupsafe import Markup

from heatdrift.report.theme import FONT

_ID: Final = re.compile(r'(id="|url\(#|href="#)([\w-]+)')
_BLANK_PAPER: Final = re.compile(r'^(<svg [^>]*>)<rect width="[\d.]+" height="[\d.]+" fill="(?:white|transparent)"/>')
# Boxes without a size, hidden foregrounds: they draw nothing.
_NOTHING: Final = re.compile(r'<path class="(?:background|foreground)"[^>]* (?:d=""|d="M0,0h0v0h0Z")[^>]*/>')
_FRAME: Final = re.compile(r'<path class="background" aria-hidden="true" d="M0,0h[\d.]+v[\d.]+h-[\d.]+Z"/>')
_DEFAULTS: Final = re.compile(
    r' (?:class="mark[^"]*"|class="background"|class="foreground"|role="[^"]*"|aria-[a-z]+="[^"]*"'
    r'|pointer-events="none"|opacity="1"|stroke-width="1"|[xy]2="0"|version="1.1"|xmlns:xlink="[^"]*"'
    r'|transform="translate\(0,0\)"|text-anchor="start"|fill-opacity="1"|stroke-opacity="1")'
)
_LONG_NUMBER: Final = re.compile(r"-?\d*\.\d{2,}(?:e-?\d+)?")
_GEOMETRY: Final = re.compile(r' (?:d|transform|x|y|x2|y2|width|height)="[^"]*"')
_STROKE_WIDTH: Final = re.compile(r' stroke-width="[^"]*"')
_EMPTY_GROUP: Final = re.compile(r"<g(?: [^>]*)?></g>")
_GROUP_TAG: Final = re.compile(r"<g(?: [^>]*)?>|</g>")
_TAG: Final = re.compile(r"<[^>]*>")


def static_twin(svg: str, panel_id: str) -> Markup:
    """Return Vega's self-contained SVG as a part of a page: ids of its own, no white paper, silent for readers of text.

    Vega numbers its ids through the whole process; they are numbered anew here, so that equal charts give equal bytes.
    Vega has escaped all text. The text alternative belongs to the figure: a screen reader would otherwise hear every
    tick label of every panel.
    """
    ids = {name: i for i, name in enumerate(dict.fromkeys(m[2] for m in _ID.finditer(svg)), start=1)}
    svg = _ID.sub(lambda found: f"{found[1]}{panel_id}-part-{ids[found[2]]}", svg)
    svg = slim(_BLANK_PAPER.sub(r"\1", svg))
    return Markup(svg.replace("<svg ", f'<svg aria-hidden="true" focusable="false" font-family="{FONT}" ', 1))


def slim(svg: str) -> str:
    """Return an SVG that looks the same: without what draws nothing, without defaults, with one decimal of a pixel."""
    svg = _FRAME.sub("", _NOTHING.sub("", svg))
    svg = _TAG.sub(lambda tag: _slim_tag(tag[0]), svg)
    before = ""
    while before != svg:
        before, svg = svg, _EMPTY_GROUP.sub("", svg)
    opened: list[bool] = []  # of each open group, whether it is kept

    def without_bare_groups(tag: re.Match[str]) -> str:
        if tag[0] == "</g>":
            return tag[0] if opened.pop() else ""
        opened.append(tag[0] != "<g>")
        return tag[0] if opened[-1] else ""

    return _GROUP_TAG.sub(without_bare_groups, svg)


def _slim_tag(tag: str) -> str:
    """Shorten one start tag; text between tags, which users wrote, never comes here."""
    tag = _DEFAULTS.sub("", tag).replace(f' font-family="{FONT}"', "")
    if " stroke=" not in tag and not tag.startswith("<g"):
        tag = _STROKE_WIDTH.sub("", tag)
    return _GEOMETRY.sub(lambda attribute: _LONG_NUMBER.sub(_rounded, attribute[0]), tag)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0").replace("-0.", "-.") or "0"
