"""Figures for print: SVG and PDF in the width of a journal's column, with text kept as text.

A figure is composed for its width: panels are drawn as wide as the column leaves them, with type of TYPE_PT points, and
the drawing then has exactly that width. Legends go below, where they take no width.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import vl_convert

from heatdrift.report.blocks import Figure
from heatdrift.report.document import Document
from heatdrift.report.files import write_file
from heatdrift.report.formats.png import figure_spec
from heatdrift.report.vega import draw_svg

Kind = Literal["svg", "pdf"]
KINDS: Final[tuple[Kind, ...]] = ("svg", "pdf")
COLUMN_MM: Final = {"single": 85.0, "double": 174.0}  # widths of most journals' columns
TYPE_PT: Final = 7.0
_PX_PER_MM: Final = 96 / 25.4
_PT_PER_PX: Final = 72 / 96
_AXIS_PX: Final = 52  # of a panel's width, for tick labels
_GAP_PX: Final = 14
_LEAST_PX: Final = 60  # of a panel
# Text is kept as text: of a font that every machine has or replaces by one of the same widths, else labels are cut.
_FONT: Final = "Arial, 'Liberation Sans', Helvetica, sans-serif"
_PADDING: Final = {"left": 12, "right": 10, "top": 2, "bottom": 2}
_ONE_PANEL_MM: Final = 120.0  # a narrower figure has its panels below each other
_MM: Final = re.compile(r'"([\d.]+)mm"')
_SIZE: Final = re.compile(r'^<svg ([^>]*?)width="([\d.]+)" height="([\d.]+)"')


def write_figures(document: Document, folder: Path, kinds: Sequence[Kind], width_mm: float) -> dict[str, list[Path]]:
    """Write ``<figure id>.svg`` and ``.pdf`` of every figure and return figure id -> paths, in reading order."""
    written: dict[str, list[Path]] = {}
    for figure in document.figures:
        if not figure.drawn:
            continue
        svg = figure_svg(figure, document.datasets, width_mm)
        for kind in kinds:
            content = svg if kind == "svg" else svg_pdf(svg)
            written.setdefault(figure.figure_id, []).append(write_file(folder / f"{figure.figure_id}.{kind}", content))
    return written


def svg_pdf(svg: str) -> bytes:
    """Return a drawing of `figure_svg` as a PDF of the same size."""
    content: bytes = vl_convert.svg_to_pdf(_in_points(svg))
    return content


def figure_svg(figure: Figure, datasets: Mapping[str, pl.DataFrame], width_mm: float) -> str:
    """Return a figure as an SVG that is `width_mm` wide; its fonts are named and its text can be selected."""
    room = width_mm * _PX_PER_MM
    first = draw_svg(print_spec(figure, datasets, width_mm))
    missing = room - _width(first)  # what axes and legends took or left is known once it is drawn
    svg = draw_svg(print_spec(figure, datasets, width_mm, more=missing))
    return _exactly(svg, width_mm)


def print_spec(
    figure: Figure, datasets: Mapping[str, pl.DataFrame], width_mm: float, *, more: float = 0.0
) -> dict[str, Any]:
    """Return the spec of a figure whose panels fill `width_mm`, without a title: a paper has a caption.

    `more` pixels are shared out among the panels of a row.
    """
    spec = figure_spec(figure, datasets)
    columns = 1 if width_mm < _ONE_PANEL_MM else max(1, min(spec["columns"], len(figure.drawn), int(width_mm // 55)))
    room = max((width_mm * _PX_PER_MM + more) / columns - _AXIS_PX - _GAP_PX, _LEAST_PX)
    size = TYPE_PT / _PT_PER_PX
    config = spec["config"]
    axis = {**config["axis"], "labelFontSize": size, "titleFontSize": size, "titleFontWeight": "normal"}
    legend = {"orient": "bottom", "labelFontSize": size, "titleFontSize": size, "columns": 3, "symbolSize": 40}
    printed = {**config, "font": _FONT, "axis": axis, "legend": legend, "background": "white", "padding": _PADDING}
    kept = {name: value for name, value in spec.items() if name != "title"}
    panels = [_fitted(panel, room, size) for panel in spec["concat"]]
    return {**kept, "concat": panels, "columns": columns, "spacing": _GAP_PX, "config": printed}


def _fitted(panel: dict[str, Any], width: float, size: float) -> dict[str, Any]:
    title = panel.get("title")
    named = {"title": {**title, "fontSize": size, "fontWeight": 600}} if isinstance(title, dict) else {}
    height = panel.get("height")
    low = {"height": min(height, 0.72 * width)} if isinstance(height, int | float) and height < 300 else {}
    return {**panel, "width": width, **named, **low}


def _width(svg: str) -> float:
    found = _SIZE.match(svg)
    assert found is not None  # vl-convert's own output
    return float(found[2])


def _in_points(svg: str) -> str:
    """Return the drawing with its size in points without a unit, which is what vl-convert takes a PDF's size for."""
    return _MM.sub(lambda found: f'"{float(found[1]) * _PX_PER_MM * _PT_PER_PX:.3f}"', svg, count=2)


def _exactly(svg: str, width_mm: float) -> str:
    """Give the drawing its width in millimetres; what is inside scales with it."""
    found = _SIZE.match(svg)
    assert found is not None  # vl-convert's own output
    height_mm = width_mm * float(found[3]) / float(found[2])
    return f'<svg {found[1]}width="{width_mm:g}mm" height="{height_mm:.2f}mm"{svg[found.end() :]}'
