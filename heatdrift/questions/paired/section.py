"""Paired differences on a page: the seed-level test and, next to it, the test over pairs as published."""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.paired import QUESTION
from heatdrift.questions.paired.probability import probability_figure
from heatdrift.questions.paired.result import PairedResult, PairedRow
from heatdrift.report.blocks import Block, Figure, Finding, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

ALL: Final = "all data sets"
COMMAND: Final = QUESTION.command


def blocks(answers: Sequence[PairedResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return differences of two methods over identical data set, learning rate and seed."""
    found: list[Block] = []
    for result in answers:
        found += _paired_figure(result, data)
        found += figure_or_note("probability per learning rate", _probability(result, data), data.datasets)
        found += [*in_words(data.family, [result], "paired"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[PairedResult], data: StudyData) -> list[Finding]:
    """Return the supported differences, what is undecided, and where two tests disagree."""
    return headlines_of("Methods at identical conditions", "paired", answers, COMMAND, data.family)


def _probability(result: PairedResult, data: StudyData) -> Callable[[], Figure | None]:
    return lambda: probability_figure(data, result.method_a, result.method_b, result.conf_level)


def _paired_figure(result: PairedResult, data: StudyData) -> list[Block]:
    pair = wording.method_difference(result.method_a, result.method_b)
    level = level_words(result.conf_level)
    only = result.datasets[0] if len(result.datasets) == 1 else ALL
    rows = pl.DataFrame(
        [
            {
                "panel": data.metric_title(r.metric), "row": r.dataset or only, "kind": "seed level",
                "estimate": r.seed_difference, "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n,
                "seeds": r.n_seeds, "p_holm": r.seed_p_holm,
            }
            for r in result.rows
        ],
        infer_schema_length=None,
    )  # fmt: skip
    units = {data.metric_title(r.metric): r.unit for r in result.rows}
    forest = Forest(
        rows=rows,
        axes={panel: (pair, f"({unit}), seed-level {level}") for panel, unit in units.items()},
        kinds=("seed level",),
        n_means="pairs",
        extras={"seeds": "seeds", "p_holm": "p (Holm)"},
    )
    table = _paired_table(result, data, pair, only)
    figure = forest_figure(
        forest, data, "fig-paired",
        title=f"{pair} at identical data set and learning rate",
        caption="Every learning rate has the same weight; the interval is that of the mean over seeds."
        f"{_not_shared(result)}",
        alternative=f"Differences {pair} with intervals, one panel per metric, one row per data set.",
        table=table,
    )  # fmt: skip
    found: list[Block] = [figure or table]
    if any(r.n for r in result.rows):
        found.append(_published_table(result, data, pair, only))
    if result.margins:
        found.append(_margin_table(result, data, pair, only))
    return found


def _not_shared(result: PairedResult) -> str:
    """Say that methods have seeds of their own, where they have."""
    apart = [r for r in result.rows if r.seed_test not in (None, "pairs")]
    return " The methods do not share all seeds: those of one method are independent of the other's." if apart else ""


def _paired_table(result: PairedResult, data: StudyData, pair: str, only: str) -> Table:
    rows = [
        (data.metric_title(r.metric), r.dataset or only, wording.signed(r.seed_difference), r.unit,
         wording.interval(r.ci_low, r.ci_high), wording.number(r.seed_t), wording.degrees(r.seed_df),
         wording.p_value(r.seed_p), wording.p_value(r.seed_p_holm), wording.number(r.detectable),
         _effect(r), wording.p_value(r.flip_p), _above(r), str(r.n_seeds), str(r.n),
         "yes" if r.same_sign else "no")
        for r in result.rows
    ]  # fmt: skip
    heads = ("metric", "data set", pair, "unit", level_words(result.conf_level), "t", "df", "p",
             wording.holm_head(r.seed_p for r in result.rows), "detectable", "in SD between seeds", "p (signs)",
             "share of seeds above", "n (seeds)", "n (pairs)",
             "one sign everywhere")  # fmt: skip
    return text_table(
        "Seed-level test of the paired differences: the headline",
        heads,
        rows,
        text_columns=2,
        command=f"{COMMAND} --format json",
        p=[r.seed_p_holm for r in result.rows],
    )


def _effect(row: PairedRow) -> str:
    """Return `2.10 [0.30, 3.80]`: the difference in SD between seeds."""
    if row.seed_d != row.seed_d:
        return wording.NOT_MEASURED
    return f"{wording.number(row.seed_d)} {wording.interval(row.seed_d_low, row.seed_d_high)}"


def _above(row: PairedRow) -> str:
    """Return `0.80 [0.284, 0.995]`: in how many seeds the first method is above."""
    if row.prob_above != row.prob_above:
        return wording.NOT_MEASURED
    return f"{wording.number(row.prob_above)} {wording.interval(row.prob_low, row.prob_high)}"


def _margin_table(result: PairedResult, data: StudyData, pair: str, only: str) -> Table:
    rows = [
        (data.metric_title(r.metric), r.dataset or only, wording.interval(r.low, r.high), wording.signed(r.estimate),
         r.unit, wording.interval(r.ci_low, r.ci_high), wording.p_value(r.p_low), wording.p_value(r.p_high),
         wording.p_value(r.p_low_adjusted), wording.p_value(r.p_high_adjusted), r.decision)
        for r in result.margins
    ]  # fmt: skip
    over = f"Holm over {wording.counted(sum(r.p == r.p for r in result.margins), 'margin')}"
    heads = ("metric", "data set", "margin", pair, "unit", "90 % interval", "p below", "p above",
             f"p below ({over})", f"p above ({over})", "decision")  # fmt: skip
    low, high = result.margins[0].low, result.margins[0].high
    return text_table(
        "Against the margin of the study: two one-sided seed-level tests; no difference found is no equivalence",
        heads,
        rows,
        text_columns=3,
        command=f"{COMMAND} --equivalence {low:g} {high:g} --format json",
    )


def _published_table(result: PairedResult, data: StudyData, pair: str, only: str) -> Table:
    rows = [
        (data.metric_title(r.metric), r.dataset or only, str(r.n), wording.number(r.mean_a), wording.number(r.mean_b),
         wording.signed(r.difference), wording.number(r.dz), wording.number(r.t), wording.p_value(r.t_p),
         wording.p_value(r.t_p_holm), wording.p_value(r.wilcoxon_p))
        for r in result.rows
    ]  # fmt: skip
    heads = ("metric", "data set", "n (pairs)", *map(wording.method_title, (result.method_a, result.method_b)), pair,
             "dz", "t", "p", wording.holm_head(r.t_p for r in result.rows), "p (Wilcoxon)")  # fmt: skip
    caption = (
        "The same over pairs, as such studies publish it: every pair counts as independent, although the pairs of one "
        "seed share it, so these p-values are too small where seeds react differently"
    )
    return text_table(
        caption, heads, rows, text_columns=2, command=f"{COMMAND} --format json", p=[r.seed_p_holm for r in result.rows]
    )
