"""Methods at their own best learning rates on a page: differences with intervals, and what validation chose."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.best import QUESTION
from heatdrift.questions.best.result import BestResult, BestRow, chosen_text
from heatdrift.report.blocks import Block, Finding, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = QUESTION.command


def blocks(answers: Sequence[BestResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the differences, what was chosen, and where the sentences are."""
    found: list[Block] = []
    for result in answers:
        found += [_figure(result, data), _choices(result, data)]
        found += [*in_words(data.family, [result], "best"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[BestResult], data: StudyData) -> list[Finding]:
    """Return the differences that hold."""
    return headlines_of("Each method at its own best learning rate", "best", answers, COMMAND, data.family)


def _figure(result: BestResult, data: StudyData) -> Block:
    pairs = list(dict.fromkeys(wording.method_difference(r.method_a, r.method_b) for r in result.rows))
    level = level_words(result.conf_level)
    rows = pl.DataFrame(
        [
            {
                "panel": data.metric_title(r.metric), "row": _row_label(r, result, pairs), "kind": "difference",
                "estimate": r.difference, "ci_low": r.ci_low, "ci_high": r.ci_high,
                "n": r.n_linked + r.n_only_a + r.n_only_b, "df": r.df, "p_holm": r.p_holm,
            }
            for r in result.rows
        ],
        infer_schema_length=None,
    )  # fmt: skip
    heading = pairs[0] if len(pairs) == 1 else "difference of methods"
    units = {data.metric_title(r.metric): r.unit for r in result.rows}
    forest = Forest(
        rows=rows,
        axes={panel: (heading, f"({unit}), seed-level {level}") for panel, unit in units.items()},
        n_means="seeds",
        kinds=("difference",),
        extras={"df": "df", "p_holm": "p (Holm)"},
        label_limit=170 if len(pairs) == 1 else 260,
    )
    table = _table(result, data)
    figure = forest_figure(
        forest, data, "fig-best",
        title=f"{wording.capital(heading)}, each at its own best learning rate",
        caption="Validation accuracy chooses the learning rate inside each seed, so the interval over seeds holds the "
        "search, too. This answers which method to use; the comparison at equal learning rates answers what the method "
        "itself does.",
        alternative=f"{wording.capital(heading)} with intervals, one panel per metric.",
        table=table,
    )  # fmt: skip
    return figure or table


def _row_label(row: BestRow, result: BestResult, pairs: list[str]) -> str:
    place = row.dataset or (result.datasets[0] if len(result.datasets) == 1 else "all data sets")
    return place if len(pairs) == 1 else f"{place} · {wording.method_difference(row.method_a, row.method_b)}"


def _table(result: BestResult, data: StudyData) -> Table:
    heads = ("metric", "data set", "methods", "mean of first", "mean of second", "difference", "unit",
             level_words(result.conf_level), "t", "df", "p", wording.holm_head(r.p for r in result.rows),
             "n (seeds)")  # fmt: skip
    rows = [
        (data.metric_title(r.metric), r.dataset or "all", wording.method_difference(r.method_a, r.method_b),
         wording.number(r.mean_a), wording.number(r.mean_b), wording.signed(r.difference), r.unit,
         wording.interval(r.ci_low, r.ci_high), wording.number(r.t), wording.degrees(r.df), wording.p_value(r.p),
         wording.p_value(r.p_holm), str(r.n_linked + r.n_only_a + r.n_only_b))
        for r in result.rows
    ]  # fmt: skip
    caption = "Differences of methods, each at the learning rate that validation chose for it in the seed"
    p = [r.p_holm for r in result.rows]
    return text_table(caption, heads, rows, text_columns=3, command=f"{COMMAND} --format json", p=p)


def _choices(result: BestResult, data: StudyData) -> Table:
    heads = ("data set", "method", "metric", "mean", "unit", level_words(result.conf_level), "n (seeds)",
             "chosen in seeds", "best in the mean")  # fmt: skip
    rows = [
        (c.dataset or result.datasets[0], wording.method_title(c.method), data.metric_title(c.metric),
         wording.number(c.mean), c.unit, wording.interval(c.ci_low, c.ci_high), str(c.n_seeds), chosen_text(c),
         wording.learning_rate(c.lr_by_mean))
        for c in result.choices
    ]  # fmt: skip
    caption = "What validation chose, and what each method reaches there"
    return text_table(caption, heads, rows, text_columns=3, command=f"{COMMAND} --format json")
