"""The classes that were forgotten most: accuracy before and after, sorted by the loss, and what they were taken for."""

from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.questions.images.result import ClassRow, ImagesResult
from heatdrift.report.blocks import Figure, LegendEntry
from heatdrift.report.charts import layered, rows_of
from heatdrift.report.drawing import draw_panel
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR, SHAPE_PATHS

NAME: Final = "fig-class-slopes-rows"
DRAWN: Final = 14  # classes of a method; the table of classes above has all
BASE_SHAPE: Final = "circle"  # the mark of the pretrained model, in the chart and in its legend
_ROW: Final = 22  # pixels of a class
_LONG: Final = 22  # characters of a name in the picture; the table has it whole


def slopes(result: ImagesResult) -> pl.DataFrame:
    """Return the classes that each method lost most of, the largest loss first; empty where none lost anything.

    Returns
    -------
    method, name, n (images), base, adapted (% of the class's images), change (points), taken (the class that gained
    most of its images among the confusions that grew most; "" where none of them is of this class).
    """
    taken: dict[tuple[str, str], str] = {}
    for row in sorted(result.confusions, key=lambda row: -row.gain):
        taken.setdefault((row.method, row.true), row.predicted)
    methods = [m for m in dict.fromkeys(row.of for row in result.classes) if " - " not in m]
    rows = [
        {
            "method": method, "name": row.name, "n": row.n_images, "base": row.base_pct,
            "adapted": row.base_pct + row.change, "change": row.change, "taken": taken.get((method, row.name), ""),
        }
        for method in methods
        for row in _most_lost(result, method)
    ]  # fmt: skip
    kinds = {"method": pl.String, "name": pl.String, "n": pl.Int64, "base": pl.Float64, "adapted": pl.Float64,
             "change": pl.Float64, "taken": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=kinds)


def _most_lost(result: ImagesResult, method: str) -> list[ClassRow]:
    lost = [row for row in result.classes if row.of == method and row.change < 0]
    return sorted(lost, key=lambda row: (row.change, row.name))[:DRAWN]


def slopes_figure(result: ImagesResult, data: StudyData) -> Figure | None:
    """Return a panel per method with its most forgotten classes; None where no class lost anything."""
    rows = slopes(result)
    if rows.is_empty():
        return None
    data.datasets[NAME] = rows.with_columns(pl.selectors.float().round_sig_figs(DIGITS)).with_columns(
        pl.col("adapted").clip(0.0, 100.0),
        words=pl.when(pl.col("taken") != "").then(pl.format("→ {}", _short("taken"))).otherwise(pl.lit("")),
    )
    methods = rows["method"].unique(maintain_order=True).to_list()
    looks = {style.name: style for style in data.frame.styles}
    panels = tuple(
        draw_panel(
            f"fig-class-slopes-{i}", wording.method_title(method),
            slopes_chart(
                method=method, n_rows=rows.filter(pl.col("method") == method).height,
                look=(looks[method].colour, looks[method].shape) if method in looks else (COLOUR["ink"], "circle"),
            ),
            data.datasets,
        )
        for i, method in enumerate(methods, start=1)
    )  # fmt: skip
    shown = [
        (wording.method_title(r["method"]), r["name"], str(r["n"]), wording.number(r["base"]),
         wording.number(r["adapted"]), wording.signed(r["change"]), r["taken"] or wording.NOT_MEASURED)
        for r in rows.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("method", "class", "images", "base (%)", "adapted (%)", "points", "most often taken for")
    return Figure(
        figure_id="fig-class-slopes",
        title=f"Classes of {result.transfer_set} that were forgotten most",
        caption="Zero-shot accuracy of a class before (grey) and after (coloured), mean over seeds and learning rates; "
        f"at most {min(DRAWN, result.n_classes)} of {result.n_classes} classes, the largest loss first. The arrow is "
        "to the class that took most of its images, where that is among the confusions that grew most. Chosen for "
        "their size, the losses are overstated; the intervals are in the table of all classes.",
        alternative="Accuracy of single classes before and after adaptation, one row per class sorted by its loss, one "
        "panel per method, with the class that its images were taken for. The values are in the table below.",
        panels=panels,
        legend=(
            LegendEntry(label="pretrained model", colour="var(--base)", path=SHAPE_PATHS[BASE_SHAPE]),
            *(LegendEntry.of(looks[m]) for m in methods if m in looks),
        ),
        table=text_table("The most forgotten classes", heads, shown, text_columns=2),
        columns=2,
    )


def slopes_chart(*, method: str, n_rows: int, look: tuple[str, str]) -> alt.LayerChart:
    """Draw a row per class, from its accuracy under the base to that of the adapted model.

    Reads `fig-class-slopes-rows` (method, name, n, base, adapted, change, taken, words).
    """
    colour, shape = look
    rows = rows_of(NAME, method=method)
    y = alt.Y(
        "name:N",
        sort=None,
        axis=alt.Axis(title=None, labelLimit=130, grid=False, ticks=False, labelPadding=6),
    )
    # Words follow the right end of a row, which is the base's mark: classes shown have lost.
    scale = alt.Scale(domain=[0, 150], nice=False)
    axis = alt.Axis(title="zero-shot accuracy of the class (%)", values=[0, 25, 50, 75, 100], titleAnchor="start")
    tip = [
        alt.Tooltip("name:N", title="class"),
        alt.Tooltip("base:Q", title="base (%)", format=".3~g"),
        alt.Tooltip("adapted:Q", title="adapted (%)", format=".3~g"),
        alt.Tooltip("change:Q", title="change (points)", format="+.3~g"),
        alt.Tooltip("taken:N", title="most often taken for"),
        alt.Tooltip("n:Q", title="images"),
    ]
    after, before = alt.X("adapted:Q", axis=axis, scale=scale), alt.X("base:Q", axis=axis, scale=scale)
    line = rows.mark_rule(strokeWidth=2, opacity=0.6, color=colour).encode(y=y, x=after, x2="base:Q")
    old = rows.mark_point(size=46, opacity=1, shape=BASE_SHAPE, color=COLOUR["base"]).encode(y=y, x=before, tooltip=tip)
    new = rows.mark_point(size=62, opacity=1, shape=shape, color=colour).encode(y=y, x=after, tooltip=tip)
    words = rows.mark_text(align="left", dx=8, color=COLOUR["muted"], limit=150).encode(y=y, x=before, text="words:N")
    return layered(line, old, new, words, height=max(52, _ROW * n_rows))


def _short(name: str) -> pl.Expr:
    """Return a name, cut where it is long."""
    long = pl.col(name).str.len_chars() > _LONG
    return pl.when(long).then(pl.col(name).str.slice(0, _LONG - 1) + pl.lit("…")).otherwise(pl.col(name))
