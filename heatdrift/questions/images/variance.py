"""What varies: seeds, images, or the rest; of one image under one seed, and of the mean that a page reports."""

from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.questions.images.comparisons import BASE
from heatdrift.questions.images.result import ImagesResult, SplitRow
from heatdrift.report.blocks import Figure, LegendEntry
from heatdrift.report.charts import layered, rows_of
from heatdrift.report.drawing import draw_panel
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR

NAME: Final = "fig-variance-rows"
MAX_ROWS: Final = 16
PARTS: Final = ("seeds", "images", "rest")
_COLOURS: Final = {"seeds": "div-2", "images": "div-8", "rest": "ghost"}  # colours of no method
PANELS: Final = {"one": "One image under one seed", "mean": "The mean over all of them: the error now"}
_ROW: Final = 26


def shares(row: SplitRow) -> dict[str, tuple[float, float, float]]:
    """Return the shares (sum 1) of seeds, images and the rest in the variance of one value, and in that of the mean.

    A value is the difference on one image under one seed; the mean has ``n_seeds`` and ``n_images`` of them, so that
    its variance is seed / S + image / N + rest / (S N).
    """
    of = (row.sd_seed**2, row.sd_image**2, row.sd_rest**2)
    n, images = row.n_seeds, float(row.n_images)
    mean = (of[0] / n, of[1] / images, of[2] / n / images)
    found = {"one": of, "mean": mean}
    return {name: (v[0] / sum(v), v[1] / sum(v), v[2] / sum(v)) for name, v in found.items() if sum(v) > 0}


def variance_figure(result: ImagesResult, data: StudyData) -> Figure | None:
    """Return the shares of every comparison; None where no comparison has two seeds."""
    split = [row for row in result.split if shares(row)]
    if not split:
        return None
    drawn = split[:MAX_ROWS]
    rows = [
        {"panel": panel, "row": _name(row, result), "order": i, "part": part, "low": sum(parts[:k]),
         "high": sum(parts[: k + 1]), "share": parts[k]}
        for i, row in enumerate(drawn) for panel, parts in shares(row).items() for k, part in enumerate(PARTS)
    ]  # fmt: skip
    data.datasets[NAME] = pl.DataFrame(rows).with_columns(pl.selectors.float().round_sig_figs(DIGITS - 1))
    panels = tuple(
        draw_panel(f"fig-variance-{i}", title, variance_chart(panel=name, n_rows=len(drawn)), data.datasets)
        for i, (name, title) in enumerate(PANELS.items(), start=1)
    )
    left_out = f" Drawn: {len(drawn)} of {len(split)} comparisons." if len(drawn) < len(split) else ""
    heads = ("difference", "data set", "SD of seeds", "of images", "of the rest", "seeds, of the error", "images",
             "rest", "n (seeds)", "n (images)")  # fmt: skip
    table = text_table(
        "Standard deviations (points) of one value, and shares (%) of the variance of the mean",
        heads,
        [
            (_difference(r), r.dataset or "all", wording.number(r.sd_seed), wording.number(r.sd_image),
             wording.number(r.sd_rest), *(wording.number(100 * part) for part in shares(r)["mean"]),
             f"{r.n_seeds:.3g}", f"{r.n_images:,}")
            for r in split
        ],
        text_columns=2,
    )  # fmt: skip
    return Figure(
        figure_id="fig-variance",
        title="Whether seeds or images limit the comparison",
        caption="Shares of the variance of a difference in zero-shot accuracy. Left, of one image under one seed; "
        f"right, of the mean over {split[0].n_seeds:.3g} seeds and {split[0].n_images:,} images, which "
        "is its error: what has the larger share there is what more of would help. The rest is what an image does "
        f"under one seed and not under another.{left_out}",
        alternative="Shares of seeds, images and the rest in the variance of each comparison, as bars from 0 to "
        "100 %, for one value and for the mean. The values are in the table below.",
        panels=panels,
        legend=tuple(LegendEntry(label=part, colour=f"var(--{_COLOURS[part]})", look="swatch") for part in PARTS),
        table=table,
        columns=2,
    )


def variance_chart(*, panel: str, n_rows: int) -> alt.LayerChart:
    """Draw a bar per comparison, from 0 to 100 % in its parts.

    Reads `fig-variance-rows` (panel, row, order, part, low, high, share).
    """
    rows = rows_of(NAME, panel=panel)
    colour = alt.Color(
        "part:N",
        legend=None,
        scale=alt.Scale(domain=list(PARTS), range=[COLOUR[_COLOURS[part]] for part in PARTS]),
    )
    axis = alt.Axis(title="share of the variance", format="%", titleAnchor="start")
    y = alt.Y("row:N", sort=None, axis=alt.Axis(title=None, labelLimit=190, grid=False, ticks=False, labelPadding=6))
    tip = [
        alt.Tooltip("row:N", title="comparison"),
        alt.Tooltip("part:N", title="part"),
        alt.Tooltip("share:Q", title="share", format=".2~%"),
    ]
    scale = alt.Scale(domain=[0, 1], nice=False)
    bars = rows.mark_bar(height={"band": 0.72}).encode(
        y=y, x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q", color=colour, tooltip=tip
    )
    return layered(bars, height=max(52, _ROW * n_rows))


def _difference(row: SplitRow) -> str:
    if row.method_b == BASE:
        return f"{wording.method_title(row.method_a)} − base"
    return wording.method_difference(row.method_a, row.method_b)


def _name(row: SplitRow, result: ImagesResult) -> str:
    if len(result.datasets) < 2:
        return _difference(row)
    return f"{_difference(row)}, {row.dataset or 'all'}"
