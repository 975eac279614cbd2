"""Trends over learning rates on a page: slopes with intervals, their table, their sentences."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.dose import QUESTION
from heatdrift.questions.dose.result import DoseResult
from heatdrift.report.blocks import Block, Finding
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = QUESTION.command


def blocks(answers: Sequence[DoseResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the trends over learning rates of every answer."""
    found: list[Block] = []
    for result in answers:
        found += _dose_figure(result, data)
        found += [*in_words(data.family, [result], "dose"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[DoseResult], data: StudyData) -> list[Finding]:
    """Return the supported trends."""
    return headlines_of("Trends over learning rates", "dose", answers, COMMAND, data.family)


def _dose_figure(result: DoseResult, data: StudyData) -> list[Block]:
    level = level_words(result.conf_level)
    several = len(result.datasets) > 1
    rows = pl.DataFrame(
        [
            {
                "panel": data.metric_title(r.metric),
                "row": f"{r.dataset} · {wording.method_title(r.method)}" if several else wording.method_title(r.method),
                "kind": "slope", "estimate": r.slope, "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n,
                "rho": r.rho, "p_holm": r.p_exact_holm,
            }
            for r in result.rows
        ],
        infer_schema_length=None,
    )  # fmt: skip
    units = {data.metric_title(r.metric): wording.difference_unit(r.unit) for r in result.rows}
    forest = Forest(
        rows=rows,
        axes={panel: ("change per tenfold learning rate", f"({unit}), {level}") for panel, unit in units.items()},
        kinds=("slope",),
        n_means="runs",
        extras={"rho": "Spearman ρ", "p_holm": "exact p (Holm)"},
        zero="no trend",
    )
    table = text_table(
        "Trend over learning rates within each group."
        + "".join(f" p {how}." for how in dict.fromkeys(row.p_method for row in result.rows)),
        ("metric", "group", "n (runs)", "Spearman ρ", "exact p",
         wording.holm_head(r.p_exact for r in result.rows), "smallest possible p",
         "change per tenfold", "unit", level, "monotone"),
        [
            (data.metric_title(r.metric), f"{r.dataset or result.datasets[0]} · {wording.method_title(r.method)}",
             str(r.n), wording.number(r.rho), wording.p_value(r.p_exact), wording.p_value(r.p_exact_holm),
             wording.p_value(r.p_smallest), wording.signed(r.slope), units[data.metric_title(r.metric)],
             wording.interval(r.ci_low, r.ci_high),
             "yes" if r.monotone else "no")
            for r in result.rows
        ],
        text_columns=2, command=f"{COMMAND} --format json", p=[r.p_exact_holm for r in result.rows],
    )  # fmt: skip
    figure = forest_figure(
        forest, data, "fig-dose",
        title="Trend of each metric over learning rates",
        caption="Least squares on log₁₀ learning rate within each group (data set and method), seeds as fixed effects. "
        "A trend whose means are not monotone is a curve: look at it above before calling it a trend.",
        alternative="Change of each metric per tenfold learning rate with intervals, one panel per metric, one row per "
        "group.",
        table=table, columns=2,
    )  # fmt: skip
    return [figure or table]
