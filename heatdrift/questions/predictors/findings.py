"""Sentences about signals that rank retention: the best, what it cannot be distinguished from, and references."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.predictors.result import PredictorRow, SelectionRow
from heatdrift.questions.predictors.signals import SIGNAL, signal_title
from heatdrift.wording import (
    at_equal_decimals,
    counted,
    learning_rate,
    method_title,
    number,
    p_span,
    p_text,
    percent,
    quoted,
    signed,
)

_TIE: Final = 1e-9
_PLACE: Final = {"final": "At the selected epoch", "epoch1": "After epoch 1"}
_LARGE: Final = 0.5


def predictor_findings(
    rows: Sequence[PredictorRow],
    selection: Sequence[SelectionRow],
    datasets: Sequence[str],
    level: float,
    margin: float,
    accuracy: str,
) -> tuple[str, ...]:
    """Best signals and references per measuring time, signals against their orientation, Simpson, selection."""
    sentences: list[str] = []
    for when in _PLACE:
        here = [row for row in rows if row.when == when]
        sentences += _best(here, when, level)
        sentences += _against(here, when)
    sentences += _reversed([row for row in rows if row.when == "final"])
    for dataset in datasets:
        sentences += _selection(
            [r for r in selection if (r.dataset or datasets[0]) == dataset], dataset, margin, accuracy
        )
    return tuple(sentences)


def _best(rows: Sequence[PredictorRow], when: str, level: float) -> list[str]:
    scored = [row for row in rows if not row.reference and not np.isnan(row.score)]
    if len(scored) < 2:
        return []
    top = max(row.score for row in scored)
    best = [row for row in scored if row.score >= top - _TIE]
    found = [row for row in best if row.ci_low > 0 and row.p_adjusted < ALPHA and row.seed_level_p < ALPHA]
    start = f"{_PLACE[when]}, of {_compared(rows)} compared,"
    if not found:
        return [
            f"{start} no signal is shown to rank retention (what a cell keeps of the base model's zero-shot accuracy) "
            f"within data set x method; best {_are(best)} {_titles(best)}: "
            f"{_evidence(best[0], best, len(scored), level)}."
        ]
    near = [row for row in scored if row not in found and not row.gap_ci_low > 0]
    share = percent(round(sum(row.best_share for row in found), 2))
    claim = (
        f"{start} the best {'signal' if len(found) == 1 else 'signals'} for telling which cells keep more of the base "
        f"model's zero-shot accuracy (retention) {_are(found)} {_titles(found)}: "
        f"{_evidence(found[0], found, len(scored), level, share)}."
    )
    if near:
        claim += (
            f" With these cells {'it' if len(found) == 1 else 'they'} cannot be distinguished from {_titles(near)}."
        )
    return [claim, *_references(rows, found, when)]


def _references(rows: Sequence[PredictorRow], best: Sequence[PredictorRow], when: str) -> list[str]:
    """What the best signals do without the differences between methods, next to the references."""
    shown = "; ".join(f"“{signal_title(row.signal)}” {signed(row.rho_within_group)}" for row in best)
    text = f"{_PLACE[when]}, over the runs within data set x method (methods not compared), mean ρ is: {shown}"
    references = [row for row in rows if row.reference and not np.isnan(row.score)]
    if not references:
        return [f"{text}."]
    known = "; ".join(
        f"“{signal_title(row.signal)}” {signed(row.rho_within_group)} (over cell means {signed(row.score)})"
        for row in references
    )
    text += f". For comparison the {'reference' if len(references) == 1 else 'references'}: {known}."
    equal = [row for row in references if not row.gap_ci_low > 0]
    return [text + (f" The best signal is not shown to rank better than {_titles(equal)}." if equal else "")]


def _evidence(row: PredictorRow, best: Sequence[PredictorRow], signals: int, level: float, share: str = "") -> str:
    """Score of the best with its interval, the p of signals that tie as the best, and the seeds' agreement."""
    degenerate = row.ci_high - row.ci_low < _TIE
    interval = (
        f"the same in every resample of {counted(row.n_cells, 'cell')}, which says that the cells agree, not that ρ is "
        "known"
        if degenerate
        else f"{percent(level)} CI {number(row.ci_low)} to {number(row.ci_high)} by resampling "
        f"{counted(row.n_cells, 'cell')}"
    )
    parts = [interval, *([f"best in {share} of resamples"] if share else []), _permuted(best, signals)]
    return (
        f"rank correlation with retention, in the direction fixed beforehand, ρ = {number(row.score)} "
        f"(over cell means within data sets; {'; '.join(parts)})"
    )


def _permuted(best: Sequence[PredictorRow], signals: int) -> str:
    """Evidence of signals that tie as the best: they share the adjusted p, not the seeds' agreement."""
    row = best[0]
    if np.isnan(row.p_adjusted):
        return "no cell has another of its data set and method to change places with"
    return (
        f"permutation of cells within data set x method, adjusted for {counted(signals, 'signal')}, "
        f"{p_text(row.p_adjusted)}; seed-level {p_span([r.seed_level_p for r in best])}"
    )


def _against(rows: Sequence[PredictorRow], when: str) -> list[str]:
    """Signals that rank retention the other way round, by the three tests that a best signal must pass, too."""
    against = [row for row in rows if row.ci_high < 0 and row.p_against < ALPHA and row.seed_level_p < ALPHA]
    if not against:
        return []
    one = len(against) == 1
    signals = sum(not row.reference and not np.isnan(row.score) for row in rows)
    return [
        f"{_PLACE[when]} {_titles(against)} {'ranks' if one else 'rank'} retention against the direction fixed "
        f"beforehand (permutation of cells within data set x method, adjusted for {counted(signals, 'signal')}, "
        f"{p_span([row.p_against for row in against])}; seed-level {p_span([row.seed_level_p for row in against])}). "
        "Turning "
        f"{'its' if one else 'their'} direction round after looking would be no prediction."
    ]


def _reversed(rows: Sequence[PredictorRow]) -> list[str]:
    """Signals whose pooled rank correlation is large and whose mean within groups has the other sign."""
    found = [
        row
        for row in rows
        if abs(row.rho) >= _LARGE
        and row.rho * row.orientation * row.rho_within_group < 0
        and abs(row.rho_within_group) >= 0.1
    ]
    if not found:
        return []
    shown = "; ".join(
        f"“{signal_title(row.signal)}” (ρ over all runs {signed(row.rho)}, "
        f"mean within groups {signed(row.rho_within_group * row.orientation)})"
        for row in found
    )
    return [f"Over all runs and within data set x method these point in opposite directions: {shown}."]


def _selection(rows: Sequence[SelectionRow], dataset: str, margin: float, accuracy: str) -> list[str]:
    if not rows or rows[0].n_candidates < 2:
        return []
    first = rows[0]
    by_pick: dict[tuple[str, float], list[SelectionRow]] = {}
    for row in sorted(rows, key=lambda r: -r.retention_pct):
        by_pick.setdefault((row.picked_method, row.picked_lr), []).append(row)
    kept = [found[0].retention_pct for found in by_pick.values()]
    texts = at_equal_decimals([first.worst, first.oracle, first.random, *kept])
    shown = "; ".join(
        f"{method_title(method)} at lr {learning_rate(lr)} (retention {text} %) by {_counted(found)}: "
        f"{quoted([signal_title(r.signal) for r in found])}"
        for ((method, lr), found), text in zip(by_pick.items(), texts[3:], strict=True)
    )
    return [
        f"On {dataset} {first.n_candidates} cells lie within {margin:g} points of the best {accuracy}, so that one of "
        f"them may be chosen for its retention: {texts[0]} to {texts[1]} %, {texts[2]} % for a random one. "
        f"Chosen by the signals at the selected epoch: {shown}."
    ]


def _compared(rows: Sequence[PredictorRow]) -> str:
    """`20 signals and 2 references`: those with a score over cells."""
    scored = [row for row in rows if not np.isnan(row.score)]
    return _counted(scored)


def _counted(rows: Sequence[PredictorRow] | Sequence[SelectionRow]) -> str:
    references = sum(SIGNAL[row.signal].reference for row in rows)
    kinds = ((len(rows) - references, "signal"), (references, "reference"))
    return " and ".join(counted(n, what) for n, what in kinds if n)


def _are(rows: Sequence[PredictorRow]) -> str:
    return "is" if len(rows) == 1 else "are"


def _titles(rows: Sequence[PredictorRow]) -> str:
    return quoted([signal_title(row.signal) for row in rows])
