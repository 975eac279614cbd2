"""A model of any table as blocks: differences of means with their intervals, tests of terms, marginal means."""

from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.metrics import RUN_COLUMN
from heatdrift.questions.model.result import ModelResult
from heatdrift.report.blocks import Block, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = "heatdrift stats model --format json"
_METHODS: Final = {"kenward_roger": "Kenward-Roger", "satterthwaite": "Satterthwaite"}


def model_blocks(result: ModelResult, data: StudyData, figure_id: str = "fig-model") -> list[Block]:
    """Return the contrasts as a figure, the type III table and the marginal means."""
    figure = _figure(result, data, figure_id)
    shown = figure if figure is not None else _coefficients(result)
    return [block for block in (shown, _tests(result), _means(result)) if block is not None]


def _figure(result: ModelResult, data: StudyData, figure_id: str) -> Block | None:
    if not result.contrasts:
        return None
    level = level_words(result.conf_level)
    rows = pl.DataFrame(
        [
            {
                "panel": c.spec, "row": f"{c.contrast} · {c.at}" if c.at else c.contrast, "kind": "difference",
                "estimate": c.estimate, "ci_low": c.ci_low, "ci_high": c.ci_high, "n": result.n_rows,
                "df": c.df, "p_holm": c.p_holm,
            }
            for c in result.contrasts
        ],
        infer_schema_length=None,
    )  # fmt: skip
    measure = RUN_COLUMN[result.response].unit if result.response in RUN_COLUMN else ""
    unit = f"difference of means of {data.metric_title(result.response)}"
    how = result.interval_method.partition(";")[0]  # the rest is about variances, which are not drawn
    unit += f" ({wording.difference_unit(measure)})" if measure else ""
    forest = Forest(
        rows=rows,
        axes=dict.fromkeys(rows["panel"].unique(maintain_order=True), (unit, level)),
        n_means="rows",
        kinds=("difference",),
        extras={"df": "df", "p_holm": "p (Holm)"},
        shared=True,
        label_limit=260,
    )
    return forest_figure(
        forest, data, figure_id,
        title=f"What each factor does to {data.metric_title(result.response)}",
        caption=f"Differences of marginal means, first minus second, the other factors held equal. Intervals: "
        f"{how}; they are not adjusted, p of the table is (Holm over the rows of one factor).",
        alternative="Differences of marginal means with intervals, one panel per factor.",
        table=_contrasts(result),
    ) or _contrasts(result)  # fmt: skip


def _contrasts(result: ModelResult) -> Table:
    heads = ("factor", "difference", "at", "estimate", level_words(result.conf_level), "t", "df", "p",
             wording.holm_head(c.p_holm for c in result.contrasts))  # fmt: skip
    rows = [
        (c.spec, c.contrast, c.at, wording.signed(c.estimate), wording.interval(c.ci_low, c.ci_high),
         wording.number(c.t), wording.degrees(c.df), wording.p_value(c.p), wording.p_value(c.p_holm))
        for c in result.contrasts
    ]  # fmt: skip
    caption = f"Differences of marginal means of {result.response}, first minus second"
    return text_table(caption, heads, rows, text_columns=3, command=COMMAND, p=[c.p_holm for c in result.contrasts])


def _tests(result: ModelResult) -> Table | None:
    if not result.tests:
        return None
    rows = [
        (t.term, f"over {t.n_clusters} levels of {t.cluster}" if t.method == "strata" else _METHODS[t.method],
         wording.number(t.f), wording.degrees(t.df_num), wording.degrees(t.df_den), wording.p_value(t.p))
        for t in result.tests
    ]  # fmt: skip
    caption = f"Type III tests of {result.formula}, not adjusted"
    return text_table(
        caption, ("term", "test", "F", "df", "df of error", "p"), rows, text_columns=2, command=COMMAND
    )  # fmt: skip


def _means(result: ModelResult) -> Table | None:
    if not result.means:
        return None
    rows = [
        (m.spec, m.level, m.at, wording.number(m.mean), wording.number(m.se), wording.degrees(m.df),
         wording.interval(m.ci_low, m.ci_high))
        for m in result.means
    ]  # fmt: skip
    heads = ("factor", "level", "at", "mean", "SE", "df", level_words(result.conf_level))
    caption = f"Marginal means of {result.response}: levels of the other factors with equal weight"
    return text_table(caption, heads, rows, text_columns=3, command=COMMAND)


def _coefficients(result: ModelResult) -> Table:
    rows = [
        (c.term, wording.signed(c.estimate), wording.interval(c.ci_low, c.ci_high), wording.number(c.t),
         wording.degrees(c.df), wording.p_value(c.p))
        for c in result.fixed
    ]  # fmt: skip
    heads = ("coefficient", "estimate", level_words(result.conf_level), "t", "df", "p")
    return text_table(f"Coefficients of {result.formula}", heads, rows, command=COMMAND)
