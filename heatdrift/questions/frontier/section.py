"""The section of the accuracy-retention front, and of methods compared at equal accuracy or equal weight drift."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.questions.frontier import QUESTION
from heatdrift.questions.frontier.result import FrontierResult, MatchedRow
from heatdrift.questions.outcomes import decisions_of
from heatdrift.report.blocks import Block, Figure, Finding, LegendEntry, Note, Table
from heatdrift.report.charts import Frame, layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import method_legend
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData, spread
from heatdrift.report.summaries import padded_domain
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR

NAME: Final = "fig-frontier-rows"
COMMAND: Final = QUESTION.command
SUM_STEP: Final = 20  # points between lines of equal sum
NAMED: Final = 8  # cells of one front that carry their learning rate
_FRAME: Final = "M-5,-5H5V5H-5ZM-3.8,-3.8V3.8H3.8V-3.8Z"  # an empty square, for the legend
MATCHED: Final = {
    "test_acc_pct": "equal accuracy",
    "val_acc_pct": "equal accuracy",
    "weight_drift": "equal weight drift",
}


def blocks(answers: Sequence[FrontierResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the cells in the plane of accuracy and retention, the front, and the matched comparisons."""
    found: list[Block] = []
    for result in answers:
        if result.cells:
            found += figure_or_note("the front", partial(_front_figure, result, inp, data), data.datasets)
            found += _matched_blocks(result, data)
            found += [*in_words(data.family, [result], "frontier"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[FrontierResult], data: StudyData) -> list[Finding]:
    """Return the fronts and the matched comparisons."""
    return headlines_of("Accuracy against retention", "frontier", answers, COMMAND, data.family)


def front_chart(
    frame: Frame, *, place: str, titles: tuple[str, str], interval: str, domains: tuple[tuple[float, float], ...]
) -> alt.LayerChart:
    """Cells of one place with intervals both ways, joined along the learning rate; those on the front ringed.

    Reads `fig-frontier-rows` (place, method, method_title, lr, lr_label, n, x, x_low, x_high, y, y_low, y_high, front,
    front_share, chosen); an empty lr_label leaves a cell unnamed.
    """
    rows = rows_of(NAME, place=place)
    scales = [alt.Scale(domain=list(domain), nice=True, zero=False) for domain in domains]
    x_axis, y_axis = alt.Axis(title=[titles[0], interval]), top_title([titles[1], interval])
    x, y = alt.X("x:Q", axis=x_axis, scale=scales[0]), alt.Y("y:Q", axis=y_axis, scale=scales[1])
    tip = [
        alt.Tooltip("method_title:N", title="method"),
        alt.Tooltip("lr:Q", title="learning rate", format="~e"),
        alt.Tooltip("n:Q", title="n (seeds)"),
        alt.Tooltip("x:Q", title=titles[0], format=".4~g"),
        alt.Tooltip("x_low:Q", title="interval from", format=".4~g"),
        alt.Tooltip("x_high:Q", title="interval to", format=".4~g"),
        alt.Tooltip("y:Q", title=titles[1], format=".4~g"),
        alt.Tooltip("y_low:Q", title="interval from", format=".4~g"),
        alt.Tooltip("y_high:Q", title="interval to", format=".4~g"),
        alt.Tooltip("front_share:Q", title="on the front in resamples", format=".0%"),
    ]
    front = rows.transform_filter(alt.FieldEqualPredicate(field="front", equal=True))
    line = front.mark_line(strokeWidth=1.4, strokeDash=[5, 4], color=COLOUR["base"]).encode(x=x, y=y, order="x:Q")
    path = rows.mark_line(strokeWidth=1.4, opacity=0.55).encode(x=x, y=y, color=frame.colour, order="lr:Q")
    across = rows.mark_rule(opacity=0.45, clip=True).encode(
        x=alt.X("x_low:Q", axis=x_axis, scale=scales[0]), x2="x_high:Q", y=y, color=frame.colour
    )
    upright = rows.mark_rule(opacity=0.45, clip=True).encode(
        x=x, y=alt.Y("y_low:Q", axis=y_axis, scale=scales[1]), y2="y_high:Q", color=frame.colour
    )
    marks = rows.mark_point(size=62, opacity=1).encode(x=x, y=y, color=frame.colour, shape=frame.shape, tooltip=tip)
    rim = front.mark_point(size=190, shape="circle", filled=False, strokeWidth=1.2, color=COLOUR["ink"])
    words = front.mark_text(align="left", dx=10, dy=-10, color=COLOUR["ink"]).encode(x=x, y=y, text="lr_label:N")
    chosen = rows.transform_filter(alt.FieldEqualPredicate(field="chosen", equal=True))
    chosen = chosen.mark_point(size=330, shape="square", filled=False, strokeWidth=1.6).encode(
        x=x, y=y, color=frame.colour
    )
    layers = (*_equal_sums(domains, x_axis, y_axis, scales), line, path, across, upright, marks)
    return layered(*layers, rim.encode(x=x, y=y), chosen, words, height=310)


def _equal_sums(
    domains: tuple[tuple[float, float], ...], x_axis: alt.Axis, y_axis: alt.Axis, scales: list[alt.Scale]
) -> tuple[alt.Chart, ...]:
    """Return thin lines along which accuracy and retention have equal sums, SUM_STEP points apart."""
    (x_low, x_high), (y_low, y_high) = domains
    first = SUM_STEP * (int((x_low + y_low) // SUM_STEP) - 1)
    left, right = 2 * x_low - x_high, 2 * x_high - x_low  # beyond the panel, whose axes end at round numbers
    rows = alt.Chart(alt.sequence(first, x_high + y_high + 2 * SUM_STEP, SUM_STEP, as_="sum")).transform_calculate(
        left=f"{left:.6g}", right=f"{right:.6g}", above=f"datum.sum - ({left:.6g})", below=f"datum.sum - ({right:.6g})"
    )
    return (
        rows.mark_rule(strokeWidth=0.8, clip=True, color=COLOUR["line"]).encode(
            x=alt.X("left:Q", axis=x_axis, scale=scales[0]), x2="right:Q",
            y=alt.Y("above:Q", axis=y_axis, scale=scales[1]), y2="below:Q",
        ),
    )  # fmt: skip


def _chosen(inp: ReportInput) -> set[tuple[str | None, str, float]]:
    """Return the cells that validation chooses: data set (None = the only one), method and learning rate."""
    rows = decisions_of(inp.answers.get("best", ()))
    return {(row.dataset, method, lr) for row in rows for method, lr in row.by_method.items()}


def _front_figure(result: FrontierResult, inp: ReportInput, data: StudyData) -> Figure:
    only = result.datasets[0] if result.datasets else "all"
    chosen = _chosen(inp)
    rows = pl.DataFrame(
        [
            {
                "chosen": (c.dataset, c.method, c.lr) in chosen,
                "place": c.dataset or only, "method": c.method, "method_title": wording.method_title(c.method),
                "lr": c.lr,
                "lr_label": wording.learning_rate(c.lr), "n": c.n_seeds, "x": c.acc_pct, "x_low": c.acc_ci_low,
                "x_high": c.acc_ci_high, "y": c.retention_pct, "y_low": c.retention_ci_low,
                "y_high": c.retention_ci_high, "front": c.on_front, "front_share": c.front_share,
            }
            for c in result.cells
        ],
        infer_schema_length=None,
    ).with_columns(pl.selectors.float().fill_nan(None))  # fmt: skip
    rows = _with_few_names(rows)
    places = rows["place"].unique(maintain_order=True).to_list()
    shown = [place for place in places if place in data.drawn] or places[:1]
    data.datasets[NAME] = rows.filter(pl.col("place").is_in(shown))
    titles = (data.axis_title(result.accuracy), data.axis_title("retention_pct"))
    level = level_words(result.conf_level)
    panels = []
    for i, place in enumerate(shown, start=1):
        here = rows.filter(pl.col("place") == place)
        domains = tuple(
            padded_domain(here, point=axis, low=f"{axis}_low", high=f"{axis}_high", inside=(), floor=0.0)[:2]
            for axis in "xy"
        )
        chart = front_chart(
            data.frame, place=place, titles=titles, interval=f"mean over seeds, {level}", domains=domains
        )
        panels.append(draw_panel(f"fig-frontier-{i}", place if len(shown) > 1 else "", chart, data.datasets))
    crowded = not rows.filter(pl.col("front") & (pl.col("lr_label") == "")).is_empty()
    beaten = "A cell is on the front when no other cell of its data set is at least as good in both and better in one."
    left_out = f" Drawn: {len(shown)} of {len(places)} data sets." if len(shown) < len(places) else ""
    return Figure(
        figure_id="fig-frontier",
        title="Accuracy and retention of every cell",
        caption="Up and to the right is better; thin lines join points of equal sum, a method's line goes along its "
        f"learning rates. {beaten} It describes these cells: to choose one by its test accuracy would be selection on "
        "test." + left_out,
        alternative=f"Scatter of {titles[1]} against {titles[0]}, one mark per cell, for {wording.listed(shown)}. "
        "The values are in the table below.",
        panels=tuple(panels),
        legend=(
            *method_legend(data),
            LegendEntry(
                label=f"front, with {'some ' if crowded else ''}learning rates",
                colour="var(--base)",
                look="dashed",
            ),
            *([LegendEntry(label="chosen by validation", colour="var(--ink)", path=_FRAME)] if chosen else []),
        ),
        table=_front_table(result, titles, level, only),
    )


def _with_few_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Take the label from all but NAMED cells of each front, evenly spread along it: more would cover each other."""
    named: set[tuple[object, ...]] = set()
    for _, front in rows.filter("front").sort("x", "y").group_by("place", maintain_order=True):
        kept = spread(range(front.height), NAMED)
        named |= {row[:3] for i, row in enumerate(front.select("place", "method", "lr").iter_rows()) if i in kept}
    labels = [
        label if (place, method, lr) in named or not front else ""
        for place, method, lr, front, label in rows.select("place", "method", "lr", "front", "lr_label").iter_rows()
    ]
    return rows.with_columns(pl.Series("lr_label", labels, dtype=pl.String))


def _front_table(result: FrontierResult, titles: tuple[str, str], level: str, only: str) -> Table:
    return text_table(
        f"Cells, means over seeds; share of {result.bootstrap:,} resamples of seeds in which the cell is on the front",
        ("data set", "method", "learning rate", "n (seeds)", titles[0], level, titles[1], level, "on front", "share",
         "beaten by"),
        [
            (c.dataset or only, wording.method_title(c.method), wording.learning_rate(c.lr), str(c.n_seeds),
             wording.number(c.acc_pct), wording.interval(c.acc_ci_low, c.acc_ci_high),
             wording.number(c.retention_pct), wording.interval(c.retention_ci_low, c.retention_ci_high),
             "yes" if c.on_front else "no", wording.number(c.front_share, 2), c.dominated_by or wording.NOT_MEASURED)
            for c in result.cells
        ],
        text_columns=3, command=f"{COMMAND} --format json",
    )  # fmt: skip


def _matched_blocks(result: FrontierResult, data: StudyData) -> list[Block]:
    """Return the matched comparisons: drawn where the curves overlap, else the reason why there is no number."""
    if not result.matched:
        return [Note(text="No two methods can be matched in this study.", tone="missing")]
    pairs = list(dict.fromkeys(_pair(r) for r in result.matched))
    pair = pairs[0] if len(pairs) == 1 else "difference of two methods"
    only = result.datasets[0] if result.datasets else "all"
    level = level_words(result.conf_level)

    head = "data set" if len(pairs) == 1 else "data set and methods"

    def named(row: MatchedRow) -> str:
        return row.dataset or only if len(pairs) == 1 else f"{row.dataset or only} · {_pair(row)}"

    rows = pl.DataFrame(
        [
            {
                "panel": _matched_title(r), "row": named(r), "kind": "matched", "estimate": r.difference,
                "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n_seeds, "from": r.overlap_low, "to": r.overlap_high,
            }
            for r in result.matched
        ],
        infer_schema_length=None,
    )  # fmt: skip
    unit = wording.difference_unit(result.unit)
    axis = (f"{pair}, zero-shot retention", f"({unit}), {level}")
    forest = Forest(
        rows=rows,
        axes=dict.fromkeys(rows["panel"].unique().to_list(), axis),
        kinds=("matched",),
        n_means="seeds",
        extras={"from": "overlap from", "to": "overlap to"},
        shared=True,
        label_limit=170 if len(pairs) == 1 else 260,
    )
    table = text_table(
        f"Retention of {pair} where both methods reach the same accuracy or weight drift",
        (head, "matched on", "note", "overlap", f"difference ({unit})", level, "df", "n (seeds)"),
        [
            (named(r), data.axis_title(r.matched_on), r.note or wording.NOT_MEASURED,
             wording.interval(r.overlap_low, r.overlap_high), wording.signed(r.difference),
             wording.interval(r.ci_low, r.ci_high), wording.degrees(r.df), str(r.n_seeds))
            for r in result.matched
        ],
        text_columns=3, command=f"{COMMAND} --format json",
    )  # fmt: skip
    figure = forest_figure(
        forest, data, "fig-matched",
        title=f"{wording.capital(pair)} in retention at equal accuracy and at equal weight drift",
        caption="Mean over the overlap of the two dose curves, interpolated between learning rates on their rising "
        "part; interval by leaving out one seed at a time. Where the curves do not overlap there is no number.",
        alternative=f"Difference of retention {pair} with intervals, matched on accuracy and on weight drift.",
        table=table,
    )  # fmt: skip
    return [figure or table]


def _pair(row: MatchedRow) -> str:
    return wording.method_difference(row.method_a, row.method_b)


def _matched_title(row: MatchedRow) -> str:
    return f"at {MATCHED[row.matched_on]}"
