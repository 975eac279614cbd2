"""Estimates with their intervals, one row each: contrasts, paired differences, slopes, scores, blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Figure, LegendEntry, Panel, Table
from heatdrift.report.charts import layered, rows_of
from heatdrift.report.drawing import draw_panel
from heatdrift.report.one_figure import panels_or_problem
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.summaries import padded_domain
from heatdrift.report.theme import COLOUR, SHAPE_PATHS

MAX_PANELS: Final = 6  # of one figure; what is left out is named in its caption, the table has it
MAX_ROWS: Final = 40  # of one panel
MAX_MARKS: Final = 160  # of all panels; at least one panel is drawn
ROW_HEIGHT: Final = 20
PAIR_HEIGHT: Final = 34  # of a row with two marks
_LONG: Final = 200  # pixels of names next to which an axis title must run to the left
_LOOKS: Final = (("ink", "circle"), ("base", "square"))  # of the first and the second kind of interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """What a forest figure shows.

    Attributes
    ----------
    rows : panel, row, kind, estimate, ci_low, ci_high, n and the columns of `extras`; in the order in which they are
        shown. One mark per row and kind; rows without an estimate are in the table only.
    axes : panel -> lines of its axis title, with unit and interval.
    kinds : the kinds in `rows`, at most two; a legend names them where there are two.
    side_by_side : whether a row has a mark of each kind, which are then drawn next to each other.
    n_means : what n counts, for the tooltip.
    extras : column -> heading, further numbers of the tooltip.
    zero : what the line at 0 means; None draws none.
    shared : whether all panels have one axis.
    label_limit : pixels of a row's name; a longer one is cut, the table has it whole.
    """

    rows: pl.DataFrame
    axes: Mapping[str, Sequence[str]]
    kinds: tuple[str, ...] = ("estimate",)
    side_by_side: bool = False
    n_means: str
    extras: Mapping[str, str]
    zero: str | None = "no difference"
    shared: bool = False
    label_limit: int = 170


def forest_chart(forest: Forest, *, data: str, panel: str, n_rows: int, domain: tuple[float, float]) -> alt.LayerChart:
    """Estimate and interval per row; a kind has its colour and its shape.

    Reads `data` (panel, row, kind, estimate, ci_low, ci_high, n and the extras).
    """
    rows = rows_of(data, panel=panel)
    tip = [
        alt.Tooltip("row:N", title="row"),
        *([alt.Tooltip("kind:N", title="interval")] if len(forest.kinds) > 1 else []),
        alt.Tooltip("estimate:Q", format=".4~g"),
        alt.Tooltip("ci_low:Q", title="interval from", format=".4~g"),
        alt.Tooltip("ci_high:Q", title="interval to", format=".4~g"),
        alt.Tooltip("n:Q", title=f"n ({forest.n_means})"),
        *(alt.Tooltip(f"{name}:Q", title=title, format=".3~g") for name, title in forest.extras.items()),
    ]
    y = alt.Y(
        "row:N",
        sort=None,
        axis=alt.Axis(title=None, labelLimit=forest.label_limit, grid=False, ticks=False, labelPadding=6),
    )
    anchor: Literal["start", "end"] = "end" if forest.label_limit > _LONG else "start"
    axis = alt.Axis(title=list(forest.axes[panel]), titleAnchor=anchor, titleLineHeight=15)
    scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    looks = _LOOKS[: len(forest.kinds)]
    colour = alt.Color(
        "kind:N", legend=None, scale=alt.Scale(domain=list(forest.kinds), range=[COLOUR[c] for c, _ in looks])
    )
    shape = alt.Shape("kind:N", legend=None, scale=alt.Scale(domain=list(forest.kinds), range=[s for _, s in looks]))
    side_by_side = {"yOffset": alt.YOffset("kind:N", sort=list(forest.kinds))} if forest.side_by_side else {}
    bars = rows.mark_rule(strokeWidth=1.8, clip=True)
    bars = bars.encode(
        y=y, x=alt.X("ci_low:Q", axis=axis, scale=scale), x2="ci_high:Q", color=colour, tooltip=tip, **side_by_side
    )
    dots = rows.mark_point(size=52, opacity=1, clip=True)
    dots = dots.encode(
        y=y, x=alt.X("estimate:Q", axis=axis, scale=scale), color=colour, shape=shape, tooltip=tip, **side_by_side
    )
    layers = [bars, dots]
    if forest.zero is not None:
        line = alt.Chart(alt.sequence(1)).mark_rule(strokeDash=[2, 3], strokeWidth=1.2, color=COLOUR["base"])
        layers.insert(0, line.encode(x=alt.XDatum(0.0, type="quantitative", axis=axis, scale=scale)))
    return layered(*layers, height=max(52, (PAIR_HEIGHT if forest.side_by_side else ROW_HEIGHT) * n_rows))


def forest_figure(
    forest: Forest,
    data: StudyData,
    figure_id: str,
    *,
    title: str,
    caption: str,
    alternative: str,
    table: Table,
    legend: Sequence[LegendEntry] = (),
    columns: int = 2,
) -> Figure | None:
    """Return the panels of `forest` under one legend; None where no row has an estimate (the table is then alone)."""
    left_out: list[str] = []
    shown = panels_or_problem(figure_id, lambda: _panels(forest, data, figure_id, left_out), data.datasets)
    if not shown:
        return None
    keys = [
        LegendEntry(label=kind, colour=f"var(--{colour})", path=SHAPE_PATHS[shape])
        for kind, (colour, shape) in zip(forest.kinds, _LOOKS, strict=False)
    ]
    keys = keys if len(forest.kinds) > 1 else []
    if forest.zero is not None:
        keys.append(LegendEntry(label=forest.zero, colour="var(--base)", look="dashed"))
    return Figure(
        figure_id=figure_id,
        title=title,
        caption=" ".join([caption, *left_out]),
        alternative=f"{alternative} The values are in the table below.",
        panels=tuple(shown),
        legend=(*keys, *legend),
        table=table,
        columns=columns,
    )


def _panels(forest: Forest, data: StudyData, figure_id: str, left_out: list[str]) -> list[Panel]:
    """Return the drawn panels, none where no row has an estimate; what was left out is added to `left_out`."""
    drawn = forest.rows.with_columns(pl.selectors.float().fill_nan(None)).filter(pl.col("estimate").is_not_null())
    panels = drawn["panel"].unique(maintain_order=True).to_list()
    if not panels:
        return []
    tallest = drawn.group_by("panel").agg(n=pl.col("row").n_unique())["n"].to_list()
    marks = min(max(tallest), MAX_ROWS) * (len(forest.kinds) if forest.side_by_side else 1)
    n_panels = max(1, min(MAX_PANELS, MAX_MARKS // marks))
    if len(panels) > n_panels:
        left_out.append(f"Drawn: {n_panels} of {len(panels)} panels.")
    name = f"{figure_id}-rows"
    kept, cut = [], False
    for panel in panels[:n_panels]:
        rows = drawn.filter(pl.col("panel") == panel)
        order = rows["row"].unique(maintain_order=True).to_list()
        if len(order) > MAX_ROWS:
            left_out.append(f"Drawn of {panel}: the first {MAX_ROWS} of {len(order)} rows.")
            rows = rows.filter(pl.col("row").is_in(order[:MAX_ROWS]))
        kept.append(rows)
    data.datasets[name] = pl.concat(kept).with_columns(pl.selectors.float().round_sig_figs(DIGITS))
    base = () if forest.zero is None else (0.0,)
    shown = []
    for i, rows in enumerate(kept, start=1):
        panel = rows["panel"][0]
        extent = data.datasets[name] if forest.shared else rows
        low, high, some_cut = padded_domain(extent, point="estimate", low="ci_low", high="ci_high", inside=base)
        cut |= some_cut
        n_rows = rows["row"].n_unique()
        chart = forest_chart(forest, data=name, panel=panel, n_rows=n_rows, domain=(low, high))
        heading = panel if len(kept) > 1 else ""
        shown.append(draw_panel(f"{figure_id}-{i}", heading, chart, data.datasets))
    if cut:
        left_out.append("Intervals that leave a panel are cut at its edge; the table has their ends.")
    return shown


def level_words(conf_level: float) -> str:
    """Return `95 % interval`."""
    return f"{wording.percent(conf_level)} interval"
