"""Sentences about signals that rank retention: the best, what it cannot be distinguished from, and references."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim
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


def predictor_claims(rows: Sequence[PredictorRow], level: float) -> tuple[Claim, ...]:
    """Per measuring time one claim about the best signal and one about signals against their direction.

    Interval, permutation adjusted for all signals and agreement of the seeds must all hold, so p is the largest of the
    two that are tests, and at least 5 % where the interval includes 0.
    """
    claims = []
    for when in _PLACE:
        here = [row for row in rows if row.when == when]
        scored = _scored(here)
        if len(scored) > 1:
            claims += [_best_claim(here, scored, when, level), _against_claim(scored, when)]
    return tuple(claims)


def predictor_findings(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the claims that hold, the best signals with what references do; signals are adjusted for already."""
    return tuple(claim.sentence() for claim in claims if claim.p < ALPHA)


def predictor_descriptions(
    rows: Sequence[PredictorRow],
    claims: Sequence[Claim],
    selection: Sequence[SelectionRow],
    datasets: Sequence[str],
    margin: float,
    accuracy: str,
) -> tuple[str, ...]:
    """What references do next to a best signal, that no signal is best, and what selection by a signal keeps."""
    sentences: list[str] = []
    for claim in claims:
        _, when, what = claim.key.split("/")
        here = [row for row in rows if row.when == when]
        if what == "best":
            sentences += (
                [_references(here, _tied(_scored(here)), when)] if claim.p < ALPHA else [f"{claim.without_claim()}"]
            )
    for dataset in datasets:
        sentences += _selection(
            [r for r in selection if (r.dataset or datasets[0]) == dataset], dataset, margin, accuracy
        )
    return tuple(sentences)


def _scored(rows: Sequence[PredictorRow]) -> list[PredictorRow]:
    return [row for row in rows if not row.reference and not np.isnan(row.score)]


def _tied(scored: Sequence[PredictorRow]) -> list[PredictorRow]:
    top = max(row.score for row in scored)
    return [row for row in scored if row.score >= top - _TIE]


def _p(permuted: float, seeds: float, *, excludes_zero: bool) -> float:
    if np.isnan(permuted) or np.isnan(seeds):
        return float("nan")
    return max(permuted, seeds, 0.0 if excludes_zero else ALPHA)


def _best_claim(rows: Sequence[PredictorRow], scored: Sequence[PredictorRow], when: str, level: float) -> Claim:
    tied = _tied(scored)
    ps = [_p(row.p_adjusted, row.seed_level_p, excludes_zero=row.ci_low > 0) for row in tied]
    found = [row for row, p in zip(tied, ps, strict=True) if p < ALPHA] or tied
    known = [p for p in ps if not np.isnan(p)]
    near = [row for row in scored if row not in found and not row.gap_ci_low > 0]
    compared = f"{_PLACE[when]}, of {_compared(rows)} compared,"
    it = "it" if len(found) == 1 else "they"
    return Claim(
        key=f"predictors/{when}/best",
        p=min(known) if known else float("nan"),
        asks=f"{compared} whether any ranks retention (what a cell keeps of the base model's zero-shot accuracy) "
        "within data set x method",
        says=f"{compared} the best {'signal' if len(found) == 1 else 'signals'} for telling which cells keep more of "
        f"the base model's zero-shot accuracy (retention) {_are(found)} {_titles(found)}",
        measured=f"rank correlation with retention, in the direction fixed beforehand, ρ = {number(found[0].score)} "
        f"with {_titles(found)}",
        evidence=_evidence(found, tied, len(scored), level),
        warning=f". With these cells {it} cannot be distinguished from {_titles(near)}" if near else "",
    )


def _references(rows: Sequence[PredictorRow], best: Sequence[PredictorRow], when: str) -> str:
    """What the best signals do without the differences between methods, next to the references."""
    shown = "; ".join(f"“{signal_title(row.signal)}” {signed(row.rho_within_group)}" for row in best)
    text = f"{_PLACE[when]}, over the runs within data set x method (methods not compared), mean ρ is: {shown}"
    references = [row for row in rows if row.reference and not np.isnan(row.score)]
    if not references:
        return f"{text}."
    known = "; ".join(
        f"“{signal_title(row.signal)}” {signed(row.rho_within_group)} (over cell means {signed(row.score)})"
        for row in references
    )
    text += f". For comparison the {'reference' if len(references) == 1 else 'references'}: {known}."
    equal = [row for row in references if not row.gap_ci_low > 0]
    return text + (f" The best signal is not shown to rank better than {_titles(equal)}." if equal else "")


def _evidence(
    found: Sequence[PredictorRow], tied: Sequence[PredictorRow], signals: int, level: float
) -> tuple[str, ...]:
    """Score of the best with its interval, the p of signals that tie as the best, and the seeds' agreement."""
    row = found[0]
    degenerate = row.ci_high - row.ci_low < _TIE
    interval = (
        f"the same in every resample of {counted(row.n_cells, 'cell')}, which says that the cells agree, not that ρ is "
        "known"
        if degenerate
        else f"{percent(level)} CI {number(row.ci_low)} to {number(row.ci_high)} by resampling "
        f"{counted(row.n_cells, 'cell')}"
    )
    share = percent(round(sum(r.best_share for r in found), 2))
    return "over cell means within data sets", interval, f"best in {share} of resamples", _permuted(tied, signals)


def _permuted(tied: Sequence[PredictorRow], signals: int) -> str:
    """Evidence of signals that tie as the best: they share the adjusted p, not the seeds' agreement."""
    row = tied[0]
    if np.isnan(row.p_adjusted):
        return "no cell has another of its data set and method to change places with"
    return (
        f"permutation of cells within data set x method, adjusted for {counted(signals, 'signal')}, "
        f"{p_text(row.p_adjusted)}; seed-level {p_span([r.seed_level_p for r in tied])}"
    )


def _against_claim(scored: Sequence[PredictorRow], when: str) -> Claim:
    """Signals that rank retention the other way round, by the three tests that a best signal must pass, too."""
    ps = [_p(row.p_against, row.seed_level_p, excludes_zero=row.ci_high < 0) for row in scored]
    known = [p for p in ps if not np.isnan(p)]
    against = [row for row, p in zip(scored, ps, strict=True) if p < ALPHA]
    named = against or scored[:1]
    one = len(named) == 1
    return Claim(
        key=f"predictors/{when}/against",
        p=min(known) if known else float("nan"),
        asks=f"{_PLACE[when]}, whether a signal ranks retention against the direction fixed beforehand",
        says=f"{_PLACE[when]} {_titles(named)} {'ranks' if one else 'rank'} retention against the direction fixed "
        "beforehand",
        measured="",
        evidence=(
            f"permutation of cells within data set x method, adjusted for {counted(len(scored), 'signal')}, "
            f"{p_span([row.p_against for row in named])}",
            f"seed-level {p_span([row.seed_level_p for row in named])}",
        ),
        warning=f". Turning {'its' if one else 'their'} direction round after looking would be no prediction",
    )


def reversed_note(rows: Sequence[PredictorRow]) -> tuple[str, ...]:
    """Signals whose pooled rank correlation is large and whose mean within groups has the other sign."""
    found = [
        row
        for row in rows
        if abs(row.rho) >= _LARGE
        and row.rho * row.orientation * row.rho_within_group < 0
        and abs(row.rho_within_group) >= 0.1
    ]
    if not found:
        return ()
    shown = "; ".join(
        f"“{signal_title(row.signal)}” (ρ over all runs {signed(row.rho)}, "
        f"mean within groups {signed(row.rho_within_group * row.orientation)})"
        for row in found
    )
    return (f"Over all runs and within data set x method these point in opposite directions: {shown}.",)


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
