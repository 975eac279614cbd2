"""Sentences about signals that rank retention: the best, what cannot be told from it, and what a reference gives."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.results import PredictorRow, SelectionRow
from heatdrift.stats.choice import ALPHA
from heatdrift.stats.text import counted, number, p_text, percent, signed

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
    if not found:
        return [
            f"{_PLACE[when]} no signal is shown to rank retention within data set x method: the best of {len(scored)}, "
            f"{_names(best)}, has oriented ρ = {_score(best[0], level)}; {_permuted(best, len(scored))}."
        ]
    best = found
    near = [row for row in scored if row not in best and not row.gap_ci_low > 0]
    share = percent(round(sum(row.best_share for row in best), 2))
    sentence = (
        f"{_PLACE[when]}, of {len(scored)} signals {_names(best)} rank{'s' if len(best) == 1 else ''} retention best"
        f" ({share} of resamples): oriented ρ = {_score(best[0], level)}; "
        f"{_permuted(best, len(scored))}. Mean ρ over runs within data set x method, "
        f"without the differences between methods: {_each(best)}."
    )
    if near:
        sentence += f" Not to be told from {'it' if len(best) == 1 else 'them'} with these cells: {_names(near)}."
    references = [row for row in rows if row.reference and not np.isnan(row.score)]
    if references:
        shown = ", ".join(f"{row.signal} {signed(row.score)} and {signed(row.rho_within_group)}" for row in references)
        equal = [row for row in references if not row.gap_ci_low > 0]
        sentence += f" References, over cell means and within data set x method: {shown}."
        sentence += f" The best is not shown to rank better than {_names(equal)}." if equal else ""
    return [sentence]


def _each(rows: Sequence[PredictorRow]) -> str:
    return ", ".join(f"{row.signal} {signed(row.rho_within_group)}" for row in rows)


def _score(row: PredictorRow, level: float) -> str:
    degenerate = row.ci_high - row.ci_low < _TIE
    interval = (
        "the same in every resample, which says that the cells agree, not that ρ is known"
        if degenerate
        else f"{percent(level)} CI {number(row.ci_low)} to {number(row.ci_high)}"
    )
    return f"{number(row.score)} within data sets ({interval}; {counted(row.n_cells, 'cell')} resampled)"


def _permuted(best: Sequence[PredictorRow], signals: int) -> str:
    """Evidence of signals that tie as the best: they share the adjusted p, not the seeds' agreement."""
    row = best[0]
    seeds = sorted({p_text(r.seed_level_p): r.seed_level_p for r in best}.items(), key=lambda item: item[1])
    shown = seeds[0][0] if len(seeds) == 1 else f"{seeds[0][0]} to {seeds[-1][0].removeprefix('p ').removeprefix('= ')}"
    if np.isnan(row.p_adjusted):
        return "no cell has another of its data set and method to change places with"
    return (
        f"permutation of cells within data set x method, adjusted for {counted(signals, 'signal')}, "
        f"{p_text(row.p_adjusted)}; seed-level {shown}"
    )


def _against(rows: Sequence[PredictorRow], when: str) -> list[str]:
    against = [row for row in rows if row.ci_high < 0]
    if not against:
        return []
    return [
        f"{_PLACE[when]}, scored against the direction fixed before looking (interval below 0, not adjusted for "
        f"{counted(len(rows), 'signal')}, references included): {_names(against)}. "
        "A direction turned round after looking would be no prediction."
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
    shown = ", ".join(
        f"{row.signal} (ρ over all runs {signed(row.rho)}, "
        f"mean within groups {signed(row.rho_within_group * row.orientation)})"
        for row in found
    )
    return [f"Over all runs and within data set x method these point in opposite directions: {shown}."]


def _selection(rows: Sequence[SelectionRow], dataset: str, margin: float, accuracy: str) -> list[str]:
    if not rows or rows[0].n_candidates < 2:
        return []
    first = rows[0]
    by_pick: dict[str, list[SelectionRow]] = {}
    for row in sorted(rows, key=lambda r: -r.retention_pct):
        by_pick.setdefault(row.picked, []).append(row)
    shown = "; ".join(
        f"{picked} ({number(found[0].retention_pct)} %) by {', '.join(r.signal for r in found)}"
        for picked, found in by_pick.items()
    )
    return [
        f"On {dataset} {first.n_candidates} cells lie within {margin:g} points of the best {accuracy}; their "
        f"retention is {number(first.worst)} to {number(first.oracle)} %, {number(first.random)} % for a random one. "
        f"Picked: {shown}."
    ]


def _names(rows: Sequence[PredictorRow]) -> str:
    return ", ".join(row.signal for row in rows)
