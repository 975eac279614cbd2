"""The section of label-free signals that rank retention, and of what it costs to select a cell by them."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.metrics import run_title
from heatdrift.questions.predictors import QUESTION
from heatdrift.questions.predictors.calibration import calibration_figure
from heatdrift.questions.predictors.result import PredictorRow, PredictorsResult, SelectionRow
from heatdrift.questions.predictors.signals import signal_title
from heatdrift.report.blocks import Block, Finding, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

WHEN: Final = {"final": "at the selected epoch", "epoch1": "after epoch 1"}
COMMAND: Final = QUESTION.command
KINDS: Final = ("signal without labels", "reference")


def blocks(answers: Sequence[PredictorsResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return how well each signal ranks retention, at the selected epoch and after the first, and selection by it."""
    found: list[Block] = []
    if answers:
        draw = partial(calibration_figure, inp, data)
        calibration = figure_or_note("retention estimated without labels", draw, data.datasets)
    for result in answers:
        found += [
            *_figure(result, data),
            *_selection(result),
            *calibration,
            *in_words(data.family, [result], "predictors"),
        ]
        found += result_notes(result.left_out)
    return found


def headlines(answers: Sequence[PredictorsResult], data: StudyData) -> list[Finding]:
    """Return the best signals and what they cannot be distinguished from."""
    return headlines_of("What predicts retention", "predictors", answers, COMMAND, data.family)


def _ranked(rows: tuple[PredictorRow, ...], when: str) -> list[PredictorRow]:
    here = [row for row in rows if row.when == when]
    return sorted(here, key=lambda row: (row.score != row.score, -row.score if row.score == row.score else 0.0))


def _figure(result: PredictorsResult, data: StudyData) -> list[Block]:
    ranked = [row for when in WHEN for row in _ranked(result.rows, when)]
    level = level_words(result.conf_level)
    rows = pl.DataFrame(
        [
            {
                "panel": WHEN[r.when], "row": signal_title(r.signal), "kind": KINDS[r.reference], "estimate": r.score,
                "ci_low": r.ci_low, "ci_high": r.ci_high, "n": r.n_cells, "gap": r.gap, "share": r.best_share,
            }
            for r in ranked
        ],
        infer_schema_length=None,
    )  # fmt: skip
    forest = Forest(
        rows=rows,
        axes=dict.fromkeys(
            WHEN.values(), ("Spearman ρ with retention,", "× direction fixed beforehand, cell means,", level)
        ),
        kinds=KINDS,
        n_means="cells",
        extras={"gap": "gap to the best", "share": "best in share of resamples"},
        zero="no relation",
        label_limit=215,
        shared=True,
    )
    table = _score_table(ranked, level)
    figure = forest_figure(
        forest, data, "fig-predictors",
        title="How well each signal ranks the cells by retention",
        caption=f"{_counts(ranked)}. Right of 0 a signal ranks retention in the direction fixed beforehand, left of 0 "
        f"against it. Intervals: {result.bootstrap:,} resamples of cells within data set and method.",
        alternative="Rank correlation of each signal with retention, with intervals, best first; at the selected epoch "
        "and after epoch 1.",
        table=table,
    )  # fmt: skip
    return [figure or table, _run_table(ranked, result)]


def _counts(rows: list[PredictorRow]) -> str:
    """Return `20 signals and 2 references`, whenever they were measured."""
    names = {kind: len({r.signal for r in rows if r.reference == kind}) for kind in (False, True)}
    return f"{wording.counted(names[False], 'signal')} and {wording.counted(names[True], 'reference')}"


def _score_table(rows: list[PredictorRow], level: str) -> Table:
    return text_table(
        "Signals over cell means: score is the mean over data sets of ρ × direction fixed beforehand; its p is by "
        "permutation, adjusted over all signals, that of the seeds asks whether they agree; gap is to the best signal",
        ("when", "signal", "kind", "direction", "n (cells)", "score", level, "p (adjusted)", "p (seeds)", "gap",
         f"gap, {level}", "best in"),
        [
            (WHEN[r.when], signal_title(r.signal), KINDS[r.reference], "+" if r.orientation > 0 else wording.MINUS,
             str(r.n_cells), wording.number(r.score), wording.interval(r.ci_low, r.ci_high),
             wording.p_value(r.p_adjusted), wording.p_value(r.seed_level_p), wording.number(r.gap),
             wording.interval(r.gap_ci_low, r.gap_ci_high), wording.number(r.best_share, 2))
            for r in rows
        ],
        text_columns=4, command=f"{COMMAND} --format json",
    )  # fmt: skip


def _run_table(rows: list[PredictorRow], result: PredictorsResult) -> Table:
    return text_table(
        f"Spearman ρ of each signal with {run_title(result.metric)} over runs, pooled and within groups "
        "(within: mean over groups; × direction: that fixed beforehand)",
        ("when", "signal", "n (runs)", "ρ pooled", "|ρ| within data set", "|ρ| within group",
         "ρ within group × direction"),
        [
            (WHEN[r.when], signal_title(r.signal), str(r.n), wording.number(r.rho),
             wording.number(r.rho_within_dataset_abs), wording.number(r.rho_within_group_abs),
             wording.number(r.rho_within_group))
            for r in rows
        ],
        text_columns=2, command=f"{COMMAND} --format json",
    )  # fmt: skip


def _selection(result: PredictorsResult) -> list[Block]:
    """Return what each signal would pick among cells of nearly the best validation accuracy, if there is a choice."""
    tables: list[Block] = []
    for when, rows in (("final", result.selection), ("epoch1", result.selection_epoch1)):
        chosen = [r for r in rows if r.n_candidates > 1]
        if chosen:
            tables.append(_selection_table(chosen, result, WHEN[when]))
    return tables


def _selection_table(rows: list[SelectionRow], result: PredictorsResult, when: str) -> Table:
    only = result.datasets[0] if result.datasets else "all"
    return text_table(
        f"Retention of the cell that a signal ({when}) picks among those within {result.margin:g} points of the best "
        "validation accuracy, next to the best, a random and the worst of them",
        ("data set", "signal", "picks", "candidates", "retention (%)", level_words(result.conf_level), "best", "random",
         "worst"),
        [
            (r.dataset or only, signal_title(r.signal),
             f"{wording.method_title(r.picked_method)}, {wording.learning_rate(r.picked_lr)}", str(r.n_candidates),
             wording.number(r.retention_pct), wording.interval(r.ci_low, r.ci_high), wording.number(r.oracle),
             wording.number(r.random), wording.number(r.worst))
            for r in rows
        ],
        text_columns=3, command=f"{COMMAND} --format json",
    )  # fmt: skip
