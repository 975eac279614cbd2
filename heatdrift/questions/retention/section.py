"""Retention against 100 % on a page: every method's mean with its interval, and the study's margin."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.retention import QUESTION
from heatdrift.questions.retention.profile import profile_figure
from heatdrift.questions.retention.result import RetentionResult, RetentionRow
from heatdrift.report.blocks import Block, Finding, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = QUESTION.command
TITLE: Final = "Retention against 100 %"


def blocks(answers: Sequence[RetentionResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the averages of methods and where the sentences are."""
    found: list[Block] = []
    for result in answers:
        found.append(_figure(result, data))
        found += figure_or_note("performance profile", partial(profile_figure, data), data.datasets)
        if result.margins:
            found.append(_margin_table(result))
        found += [*in_words(data.family, [result], "kept"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[RetentionResult], data: StudyData) -> list[Finding]:
    """Return which methods lose or gain on average, and what is undecided."""
    return headlines_of(TITLE, "kept", answers, COMMAND, data.family)


def _figure(result: RetentionResult, data: StudyData) -> Block:
    averages = [row for row in result.rows if row.lr is None]
    panel = data.metric_title(result.metric)
    rows = pl.DataFrame(
        [
            {
                "panel": panel, "row": _label(row, result), "kind": "mean",
                "estimate": row.difference, "ci_low": row.ci_low - 100.0, "ci_high": row.ci_high - 100.0,
                "n": row.n_runs, "seeds": row.n_seeds, "p_holm": row.p_holm,
            }
            for row in averages
        ],
        infer_schema_length=None,
    )  # fmt: skip
    level = level_words(result.conf_level)
    forest = Forest(
        rows=rows,
        axes={panel: ("mean retention − 100 %", "(points)", f"seed-level {level}")},
        kinds=("mean",),
        n_means="runs",
        extras={"seeds": "seeds", "p_holm": "p (Holm)"},
        zero="all of the base's accuracy",
    )
    table = _table(averages, result)
    figure = forest_figure(
        forest, data, "fig-kept",
        title="What each method keeps of the base's zero-shot accuracy, against all of it",
        caption="Every learning rate that a method was run at has the same weight. The base's own error is not in the "
        "intervals.",
        alternative="Mean retention minus 100 % with intervals, one row per method and data set.",
        table=table,
    )  # fmt: skip
    return figure or table


def _label(row: RetentionRow, result: RetentionResult) -> str:
    only = result.datasets[0] if len(result.datasets) == 1 else "all data sets"
    return f"{wording.method_title(row.method)} · {row.dataset or only}"


def _table(averages: Sequence[RetentionRow], result: RetentionResult) -> Table:
    rows = [
        (_label(r, result), wording.number(r.mean), wording.interval(r.ci_low, r.ci_high), wording.number(r.t),
         wording.degrees(r.df), wording.p_value(r.p), wording.p_value(r.p_holm), wording.number(r.detectable),
         str(r.n_seeds), str(r.n_runs))
        for r in averages
    ]  # fmt: skip
    heads = ("method", "retention (% of base)", level_words(result.conf_level), "t", "df", "p",
             wording.holm_head(r.p for r in averages), "detectable", "n (seeds)", "n (runs)")  # fmt: skip
    caption = "Mean retention of each method, tested against 100 % over seeds"
    p = [r.p_holm for r in averages]
    return text_table(caption, heads, rows, text_columns=1, command=f"{COMMAND} --format json", p=p)


def _margin_table(result: RetentionResult) -> Table:
    place = {(row.method, row.dataset): _label(row, result) for row in result.rows if row.lr is None}
    rows = [
        (place[(str(r.method), r.dataset)], wording.interval(r.low, r.high), wording.signed(r.estimate),
         wording.interval(r.ci_low, r.ci_high), wording.p_value(r.p_low), wording.p_value(r.p_high),
         wording.p_value(r.p_low_adjusted), wording.p_value(r.p_high_adjusted), r.decision)
        for r in result.margins
    ]  # fmt: skip
    over = f"Holm over {wording.counted(sum(r.p == r.p for r in result.margins), 'margin')}"
    heads = ("method", "margin", "mean − 100 (points)", "90 % interval", "p below", "p above", f"p below ({over})",
             f"p above ({over})", "decision")  # fmt: skip
    return text_table(
        "Retention against the margin of the study: two one-sided seed-level tests",
        heads,
        rows,
        text_columns=1,
        command=f"{COMMAND} --margin {result.margin:g} --format json",
    )
