"""Results of ``stats predictors``: signals against retention, and selection by them."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from heatdrift.questions.answer import Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.predictors.estimate import ValidationRow, validation_sentences
from heatdrift.questions.predictors.signals import signal_title
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Grid, csv_rows, grid, opening
from heatdrift.wording import counted, percent

_WIDE_MARGIN: Final = 10.0  # points of validation accuracy, offered where the chosen margin leaves one candidate


class PredictorRow(Result, frozen=True, kw_only=True):
    """How one signal ranks zero-shot retention.

    ``rho``, Spearman over runs, has the sign found. ``rho_within_group`` is the mean over groups of rho times
    ``orientation`` (+1: a higher value was expected with more retention): positive = as expected. The two ``_abs`` are
    means of the absolute value. ``score``, on cell means, is the mean over data sets of rho times orientation; its
    interval and ``gap`` (best signal's score minus this one's) resample cells within groups. ``best_share`` is the
    share of resamples in which this signal scores highest. ``p_adjusted``: permutation of whole cells of retention
    within groups, adjusted for all signals compared; ``p_against``: the same for scores against the orientation.
    ``seed_level_p``: t over seeds of the rank correlation within groups. References take no part in "best" (their share
    and p are null).
    """

    signal: str
    when: Literal["final", "epoch1"]
    n: int
    rho: float
    rho_within_dataset_abs: float
    rho_within_group_abs: float
    rho_within_group: float
    orientation: int
    reference: bool
    n_cells: int
    score: float
    ci_low: float
    ci_high: float
    gap: float
    gap_ci_low: float
    gap_ci_high: float
    best_share: float
    p_adjusted: float = float("nan")
    seed_level_p: float = float("nan")
    p_against: float = float("nan")


class SelectionRow(Result, frozen=True, kw_only=True):
    """What it costs to let a signal choose among cells of nearly the best validation accuracy.

    Retention of the picked cell (mean over seeds, seed-level interval), of the best (``oracle``) and worst candidate,
    and expected of a random one. ``dataset`` None where there is one only.
    """

    dataset: str | None
    signal: str
    picked: str
    picked_method: str
    picked_lr: float
    retention_pct: float
    ci_low: float
    ci_high: float
    oracle: float
    random: float
    worst: float
    n_candidates: int


class PredictorsResult(PresentedResult, frozen=True, kw_only=True):
    """Signals against retention; ``selection`` uses the signals at the selected epoch, ``selection_epoch1`` at 1.

    ``validation``: what an estimate of retention does on runs that it has not seen; there only if it was asked for.
    """

    metric: str
    unit: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    bootstrap: int
    bootstrap_seed: int
    margin: float
    method: str
    rows: tuple[PredictorRow, ...]
    selection: tuple[SelectionRow, ...]
    selection_epoch1: tuple[SelectionRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
    study: str | None = None
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    validation: tuple[ValidationRow, ...] | msgspec.UnsetType = msgspec.UNSET

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the signals."""
        return csv_rows(self.rows)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, signals best first, and what selection by each keeps."""
        yield from opening(self)
        if self.validation is not msgspec.UNSET:
            yield from validation_sentences(self.validation)
            if self.validation:
                columns = "by left_out n n_refused mae bias level half_width coverage"
                yield grid(self.validation, columns, title="retention estimated without labels, in what was left out")
        ranks = "signal title orientation reference n rho rho_within_dataset_abs rho_within_group_abs rho_within_group"
        scores = "signal n_cells score ci_low ci_high p_adjusted seed_level_p gap gap_ci_low gap_ci_high best_share"
        scores += " p_against"
        for when, words in (("final", "at the selected epoch"), ("epoch1", "after epoch 1")):
            rows = [row for row in self.rows if row.when == when]
            ranked = sorted(rows, key=lambda row: (row.score != row.score, -row.score))
            if ranked:
                yield _titled(ranked, ranks, f"{_counted(rows)} {words} against {self.metric}, over runs")
                level = f"{percent(self.conf_level)} intervals from {self.bootstrap} resamples"
                family = sum(not math.isnan(row.p_adjusted) for row in rows)
                title = f"the same over cell means, oriented, {level}; p_adjusted: over {counted(family, 'signal')}"
                yield grid(ranked, scores, title=title)
        chosen = "dataset signal title picked retention_pct ci_low ci_high oracle random worst n_candidates"
        for rows_of, words in ((self.selection, "at the selected epoch"), (self.selection_epoch1, "after epoch 1")):
            choices = [row for row in rows_of if row.n_candidates > 1]
            if choices:
                yield _titled(choices, chosen, f"selection by the signal {words}: {self.metric}")
        alone = {row.dataset or self.datasets[0] for row in self.selection if row.n_candidates == 1}
        if alone:
            yield (
                f"no selection on {', '.join(sorted(alone))}: one cell lies within {self.margin:g} points of the best "
                f"validation accuracy. A wider margin gives a choice: --margin {max(_WIDE_MARGIN, 2 * self.margin):g}"
            )


def _counted(rows: Sequence[PredictorRow]) -> str:
    references = sum(row.reference for row in rows)
    return f"{counted(len(rows) - references, 'signal')} and {counted(references, 'reference')}"


def _titled(rows: Sequence[PredictorRow] | Sequence[SelectionRow], chosen: str, title: str) -> Grid:
    """Return a table with the words that sentences use for a signal as the column `title`."""
    names = chosen.split()
    values = [[signal_title(r.signal) if name == "title" else getattr(r, name) for name in names] for r in rows]
    return Grid(names, values, title)
