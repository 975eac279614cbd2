"""Score of each signal over cell means, its gap to the best one, and how sure both are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.predictors.signals import Signal
from heatdrift.questions.selection import FACTORS, codes
from heatdrift.stats.intervals import percentile_interval
from heatdrift.stats.rank_scores import adjusted_p, cell_scores, seed_agreement_p

Floats = npt.NDArray[np.float64]

OUTCOME: Final = "retention_pct"


@dataclass(frozen=True, slots=True)
class Resampling:
    """Resamples of cells, arrangements of cells, seed of both, level of intervals."""

    bootstrap: int
    permutations: int
    seed: int
    level: float


def signal_scores(table: pl.DataFrame, signals: Sequence[Signal], settings: Resampling) -> dict[str, dict[str, float]]:
    """Per signal: score on cell means, gap to the best candidate, intervals, how often it is the best, adjusted p."""
    if not signals:
        return {}
    names = [f"signal:{s.name}" for s in signals]
    cells = table.group_by(FACTORS[:3]).agg(pl.col(OUTCOME, *names).mean()).sort(FACTORS[:3])
    oriented = cells.select(names).to_numpy() * np.array([s.orientation for s in signals])
    outcome, dataset, group = cells[OUTCOME].to_numpy(), codes(cells, "dataset"), codes(cells, "dataset", "method")
    rng, permutation_rng = (np.random.default_rng(seed) for seed in (settings.seed, [settings.seed, 1]))
    found = cell_scores(oriented, outcome, dataset, group, draws=settings.bootstrap, rng=rng)
    candidates = np.array([not s.reference for s in signals]) & ~np.isnan(found.observed)
    adjusted, against = np.full((2, len(signals)), np.nan)
    if candidates.any():
        for p, signed in ((adjusted, oriented), (against, -oriented)):
            p[candidates], _ = adjusted_p(
                signed[:, candidates], outcome, dataset, group, draws=settings.permutations, rng=permutation_rng
            )
    runs = table.sort(*FACTORS)
    cell, seeds = codes(runs, *FACTORS[:3]), codes(runs, "seed")

    def agreement(k: int) -> float:
        values = runs[names[k]].to_numpy() * signals[k].orientation
        return seed_agreement_p(values, runs[OUTCOME].to_numpy(), cell, group, seeds)

    ranked = np.where(candidates, found.observed, -np.inf)
    best = int(np.argmax(ranked))
    has_best = bool(candidates.any())
    share = _best_share(found.resampled, candidates)
    result = {}
    for k, signal in enumerate(signals):
        gaps = found.resampled[:, best] - found.resampled[:, k]
        pair = np.column_stack([found.resampled[:, k], gaps if has_best else np.full(gaps.size, np.nan)])
        (low, gap_low), (high, gap_high) = (end.tolist() for end in percentile_interval(pair, settings.level))
        result[signal.name] = {
            "score": float(found.observed[k]),
            "ci_low": low,
            "ci_high": high,
            "gap": float(found.observed[best] - found.observed[k]) if has_best else float("nan"),
            "gap_ci_low": gap_low,
            "gap_ci_high": gap_high,
            "best_share": float("nan") if signal.reference else float(share[k]),
            "p_adjusted": float(adjusted[k]),
            "seed_level_p": float("nan") if signal.reference else agreement(k),
            "p_against": float(against[k]),
        }
    return result


def _best_share(resampled: Floats, candidates: npt.NDArray[np.bool_]) -> Floats:
    """Share of resamples in which each candidate scores highest; ties count in parts."""
    values = np.where(candidates & ~np.isnan(resampled), resampled, -np.inf)
    top = values.max(axis=1, keepdims=True)
    winners = (values >= top - 1e-12) & np.isfinite(top)
    return np.asarray((winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)).mean(axis=0))
