"""Single figures as PNG files: the panels of a figure next to each other, with title and legends."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from heatdrift.methods import all_titles
from heatdrift.report.blocks import Figure
from heatdrift.report.document import Document
from heatdrift.report.drawing import dataset_names
from heatdrift.report.files import write_file
from heatdrift.report.theme import COLOUR, chart_config
from heatdrift.report.vega import draw_png

SCALE: Final = 2.0  # dots per unit of a drawing: 800 of a panel of 400
_OF_A_PANEL: Final = ("$schema", "autosize", "config")  # what a panel of a composed chart must not have of its own


def write_pngs(document: Document, folder: Path) -> dict[str, Path]:
    """Write ``<figure id>.png`` for every figure into `folder` and return figure id -> path, in reading order.

    A figure of which nothing can be drawn is left out; the document says why.
    """
    written = {}
    for figure in document.figures:
        if not figure.drawn:
            continue
        data = draw_png(figure_spec(figure, document.datasets), SCALE)
        written[figure.figure_id] = write_file(folder / f"{figure.figure_id}.png", data)
    return written


def figure_spec(figure: Figure, datasets: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return a Vega-Lite spec of the whole figure that needs nothing else: light palette, data inside, own legends."""
    panels = [_panel(str(panel.spec), panel.title) for panel in figure.drawn]
    names = sorted(set().union(*(dataset_names(panel) for panel in panels)))
    shared = dict.fromkeys(("color", "shape", "opacity", "strokeWidth"), "shared")
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": figure.title, "anchor": "start", "fontSize": 15, "color": COLOUR["ink"], "offset": 14},
        "concat": panels,
        "columns": min(figure.columns, max(2, math.ceil(math.sqrt(len(panels))))),
        "spacing": 28,
        "resolve": {"scale": shared, "legend": shared},
        "datasets": {name: datasets[name].to_dicts() for name in names},
        "config": {**chart_config(), "background": COLOUR["paper"], "padding": 16},
    }


def _panel(spec: str, title: str) -> dict[str, Any]:
    for name, colour in COLOUR.items():
        spec = spec.replace(f"var(--{name})", colour)
    loaded: dict[str, Any] = json.loads(spec)
    panel: dict[str, Any] = _with_legends({key: value for key, value in loaded.items() if key not in _OF_A_PANEL})
    return {**panel, "title": {"text": title, "anchor": "start", "fontSize": 13}} if title else panel


def _with_legends(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the spec with legends: on the page a figure has one for all panels, so its charts have none."""
    if isinstance(part, list):
        return [_with_legends(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {key: _with_legends(value) for key, value in part.items()}
    if "encoding" not in made:
        return made
    channels = made["encoding"]
    words = {tip["field"]: tip.get("title", tip["field"]) for tip in channels.get("tooltip", []) if "field" in tip}
    for name, channel in channels.items():
        if isinstance(channel, dict) and channel.get("legend", ...) is None:
            field = channel.get("field")
            if field == "kind" and len(channel.get("scale", {}).get("domain", ())) == 1:
                continue  # all marks are of one kind, which an axis or the caption names
            labels = f"({json.dumps(all_titles())})[datum.label] || datum.label"
            titled = {"labelExpr": labels} if field == "method" else {}
            title = "learning rate" if field == "lr" else words.get(field, field)
            channels[name] = {**channel, "legend": {"title": title, **titled}}
    return made
