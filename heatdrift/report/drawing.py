"""Charts to what the page holds: a themed Vega-Lite spec as script-safe JSON, and its static SVG twin.

The twin is drawn by vl-convert without network access, unless the same chart was drawn before. It is shown until
JavaScript has drawn the live chart, and for good where JavaScript is off.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import polars as pl
from markupsafe import Markup

from heatdrift.config import user_cache
from heatdrift.errors import ReportError
from heatdrift.report.blocks import Panel
from heatdrift.report.kept_svg import kept_svg
from heatdrift.report.static import static_twin
from heatdrift.report.theme import chart_config, themed

# Inside <script type="application/json"> only these could end the element or break a line of JavaScript.
_UNSAFE: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def script_json(value: object) -> Markup:
    """Return `value` as compact JSON that cannot leave a script element; NaN is an error, not a token."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return Markup(text)


def chart_spec(chart: alt.LayerChart) -> dict[str, Any]:
    """Return the Vega-Lite spec of `chart` in the palette's CSS variables, without data and without a config."""
    # altair's own check against the schema takes a quarter of a page's time; tests check every spec of ours
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)  # altair's default theme; the page has one config for all charts
    return dict(themed(spec))


def draw_panel(
    panel_id: str, title: str, chart: alt.LayerChart, datasets: Mapping[str, pl.DataFrame], *, metric: str = ""
) -> Panel:
    """Return the panel of `chart`, which draws `metric`; `datasets` holds at least those that it names.

    A chart that cannot be drawn costs that chart: its panel has the reason instead.
    """
    spec = chart_spec(chart)
    used = {name: datasets[name].to_dicts() for name in sorted(dataset_names(spec))}
    full = {**spec, "datasets": used, "config": themed(chart_config())}
    cache = user_cache(os.environ.get("HEATDRIFT_CACHE"))
    try:
        svg = kept_svg(full, cache / "drawings" if cache else None)
    except ReportError as error:
        return Panel(
            panel_id=panel_id, title=title, svg=Markup(), spec=Markup("{}"), metric=metric, problem=error.message
        )
    return Panel(panel_id=panel_id, title=title, svg=static_twin(svg, panel_id), spec=script_json(spec), metric=metric)


def dataset_names(spec: object) -> set[str]:
    """Return the names of the data sets that a spec reads."""
    if isinstance(spec, dict):
        data = spec.get("data")
        own = {data["name"]} if isinstance(data, dict) and "name" in data else set()
        return own.union(*(dataset_names(item) for item in spec.values()))
    return set().union(*(dataset_names(item) for item in spec)) if isinstance(spec, list) else set()
