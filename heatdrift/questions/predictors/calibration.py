"""How far an estimate of retention can be trusted: predicted against observed in groups that it never saw."""

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.errors import ReportError
from heatdrift.questions.predictors.estimate import GROUP, LeftOutGroup, left_out_group, observations
from heatdrift.report.blocks import Figure, LegendEntry, Table
from heatdrift.report.charts import layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR, SHAPE_PATHS

NAME: Final = "fig-calibration-rows"
LINES: Final = "fig-calibration-lines"
MAX_PANELS: Final = 6
MAX_GROUPS: Final = 24  # each is predicted from all others, and for its interval those from each other
MAX_OBSERVATIONS: Final = 20_000
_HEIGHT: Final = 230


def calibration_figure(inp: ReportInput, data: StudyData) -> Figure | None:
    """Return a panel per left-out group; None where there is nothing to estimate from.

    Drawn is each run's last observation. The coverage is of all observations, as the table and
    ``heatdrift stats predictors --validate`` have it.

    Raises
    ------
    ReportError
        More groups or observations than a page can wait for.
    """
    table = observations(inp.runs, inp.epochs)
    groups = table.select(*GROUP).unique(maintain_order=True).rows()
    if len(groups) < 3:
        return None
    if len(groups) > MAX_GROUPS or table.height > MAX_OBSERVATIONS:
        raise ReportError(
            f"{table.height:,} observations in {len(groups)} groups are too many for a page to wait for; "
            "heatdrift stats predictors --validate",
            hint="heatdrift stats predictors --validate",
        )
    found = [left_out_group(table, group) for group in groups]
    drawn = [one for one in found if one.points.height][:MAX_PANELS]
    if not drawn:
        return None
    rows = pl.concat([_last(one) for one in drawn]).join(inp.done.select("cell_id", "lr", "seed"), on="cell_id")
    data.datasets[NAME] = rows.drop("cell_id").with_columns(pl.selectors.float().round_sig_figs(DIGITS - 1))
    ends = _ends(rows)
    data.datasets[LINES] = _lines(drawn, ends)
    panels = tuple(
        draw_panel(f"fig-calibration-{i}", _heading(one), calibration_chart(one, ends), data.datasets)
        for i, one in enumerate(drawn, start=1)
    )
    left_out = f" Drawn: {len(drawn)} of {len(found)} groups." if len(drawn) < len(found) else ""
    return Figure(
        figure_id="fig-calibration",
        title="Retention estimated without labels, in groups that were left out",
        caption="Each group of data set and method is predicted from the others, by embedding drift and CKA: on the "
        f"dotted line the estimate is right. {_intervals(drawn)} Drawn is each run's last epoch with an estimate. "
        f"{_refused(found)}{left_out}",
        alternative="Observed against estimated zero-shot retention, one panel per group of data set and method that "
        "was left out, with the line where both are equal. Errors and coverage of intervals are in the table below.",
        panels=panels,
        legend=_legend(drawn),
        table=_table(found),
        columns=2 if len(panels) in (2, 4) else 3,
    )


def calibration_chart(one: LeftOutGroup, ends: tuple[float, float]) -> alt.LayerChart:
    """Draw one group: its runs with their intervals, and the line of equality.

    Reads `fig-calibration-rows` (group, lr, seed, epoch, predicted, observed, low, high, inside) and
    `fig-calibration-lines` (group, a, b).
    """
    scale = alt.Scale(domain=list(ends), nice=False, zero=False)
    x_axis = alt.Axis(title="estimated retention (% of base)", titleAnchor="start")
    y_axis = top_title(["observed retention", "(% of base)"])

    equal = rows_of(LINES, group=_name(one)).mark_line(clip=True, strokeDash=[2, 3], strokeWidth=1.2)
    layers = [
        equal.encode(
            x=alt.X("a:Q", axis=x_axis, scale=scale),
            y=alt.Y("b:Q", axis=y_axis, scale=scale),
            color=alt.value(COLOUR["base"]),
        )
    ]
    if one.row.level is not None:
        bars = rows_of(NAME, group=_name(one)).mark_rule(clip=True, strokeWidth=1.2, opacity=0.5)
        layers.append(
            bars.encode(
                x=alt.X("predicted:Q", axis=x_axis, scale=scale),
                y=alt.Y("low:Q", axis=y_axis, scale=scale),
                y2="high:Q",
                color=alt.value(COLOUR["muted"]),
            )
        )
    tip = [
        alt.Tooltip("lr:Q", title="learning rate", format="~e"),
        alt.Tooltip("seed:N", title="seed"),
        alt.Tooltip("epoch:Q", title="epoch"),
        alt.Tooltip("predicted:Q", title="estimated (%)", format=".3~g"),
        alt.Tooltip("observed:Q", title="observed (%)", format=".3~g"),
        alt.Tooltip("inside:N", title="inside its interval"),
    ]
    looks, colours = ["yes", "no interval", "no"], [COLOUR["accent"], COLOUR["accent"], COLOUR["warn"]]
    colour = alt.Color("inside:N", legend=None, scale=alt.Scale(domain=looks, range=colours))
    shapes = ["circle", "circle", "triangle-up"]
    shape = alt.Shape("inside:N", legend=None, scale=alt.Scale(domain=looks, range=shapes))
    dots = rows_of(NAME, group=_name(one)).mark_point(size=40, opacity=0.75, clip=True)
    dots = dots.encode(
        x=alt.X("predicted:Q", axis=x_axis, scale=scale), y=alt.Y("observed:Q", axis=y_axis, scale=scale),
        color=colour, shape=shape, tooltip=tip,
    )  # fmt: skip
    return layered(*layers, dots, height=_HEIGHT)


def _name(one: LeftOutGroup) -> str:
    dataset, method = one.group
    return f"{dataset} · {wording.method_title(method)}"


def _heading(one: LeftOutGroup) -> str:
    if one.row.coverage is None or one.row.level is None:
        return f"{_name(one)}: no interval"
    return f"{_name(one)}: {_share(one.row.coverage)} within, {wording.percent(one.row.level)} promised"


def _share(value: float) -> str:
    return wording.percent(round(value, 2))


def _last(one: LeftOutGroup) -> pl.DataFrame:
    """Return the last observation of each run, with whether its interval holds the truth."""
    last = one.points.sort("cell_id", "epoch").group_by("cell_id", maintain_order=True).last()
    inside = pl.when(pl.col("held")).then(pl.lit("yes")).otherwise(pl.lit("no"))
    if one.row.level is None:
        inside = pl.lit("no interval")
    ends = pl.col("low", "high").clip(lower_bound=0.0).fill_nan(None)
    return last.select(
        "cell_id", "epoch", pl.lit(_name(one)).alias("group"), "predicted", "observed", ends, inside=inside
    )


def _ends(rows: pl.DataFrame) -> tuple[float, float]:
    values = [*rows["predicted"].to_list(), *rows["observed"].to_list()]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 1.0
    return float(max(0.0, low - room)), float(high + room)


def _lines(drawn: Sequence[LeftOutGroup], ends: tuple[float, float]) -> pl.DataFrame:
    """Return both ends of each panel's line, where the estimate is right."""
    return pl.DataFrame([{"group": _name(one), "a": end, "b": end} for one in drawn for end in ends])


def _legend(drawn: Sequence[LeftOutGroup]) -> tuple[LegendEntry, ...]:
    run = LegendEntry(label="a run", colour="var(--accent)", path=SHAPE_PATHS["circle"])
    right = LegendEntry(label="estimate is right", colour="var(--base)", look="dashed")
    if all(one.row.level is None for one in drawn):
        return run, right
    outside = LegendEntry(label="outside of its interval", colour="var(--warn)", path=SHAPE_PATHS["triangle-up"])
    return run, outside, right, LegendEntry(label="interval", colour="var(--muted)", look="line", width=1.2)


def _intervals(drawn: Sequence[LeftOutGroup]) -> str:
    if any(one.row.level is not None for one in drawn):
        return (
            "A bar is the interval of one run, calibrated without the group; the share of all epochs that lie within "
            "theirs is in the title."
        )
    return "No interval is given: too few of the other groups lie within what the rest has seen to calibrate one."


def _refused(found: list[LeftOutGroup]) -> str:
    n, of = sum(one.row.n_refused for one in found), sum(one.row.n for one in found)
    return f"{n} of {of} epochs had no estimate, because they lie outside of what the other groups have seen."


def _table(found: list[LeftOutGroup]) -> Table:
    heads = ("left out", "epochs", "no estimate", "mean error (points)", "bias (points)", "interval", "± points",
             "within it")  # fmt: skip
    rows = [
        (_name(one), str(one.row.n), str(one.row.n_refused), wording.number(one.row.mae), wording.signed(one.row.bias),
         wording.NOT_MEASURED if one.row.level is None else wording.percent(one.row.level),
         wording.number(one.row.half_width),
         wording.NOT_MEASURED if one.row.coverage is None else _share(one.row.coverage))
        for one in found
    ]  # fmt: skip
    return text_table("The estimate in each group that was left out", heads, rows,
                      command="heatdrift stats predictors --validate")  # fmt: skip
