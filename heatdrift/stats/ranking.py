"""Rank correlations of many signals with one outcome over cell means, and their bootstrap over cells.

A cell (data set x method x lr, mean over its seeds) is what a user chooses between, and seeds of a cell are replicates,
so cells are resampled, within data set x method, and ranked anew in every resample.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Scores:
    """``observed`` (K,) and ``resampled`` (B, K): mean over data sets of the oriented Spearman correlation."""

    observed: Floats
    resampled: Floats


def cell_scores(
    signals: Floats, outcome: Floats, dataset: Codes, group: Codes, *, draws: int, rng: np.random.Generator
) -> Scores:
    """Score oriented signals against an outcome.

    Parameters
    ----------
    signals : (cells, K), already multiplied by their orientation, finite. outcome : (cells,).
    dataset, group : (cells,) 0-based codes; groups lie within data sets.
    draws : resamples of cells within groups.

    Returns
    -------
    Scores; NaN where a signal or the outcome does not vary within any data set (of a resample).
    """
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    picks = np.hstack([m[rng.integers(m.size, size=(draws, m.size))] for m in members])
    order = np.concatenate(members)
    return Scores(
        observed=_score(signals, outcome, dataset[order], order[None, :])[0],
        resampled=_score(signals, outcome, dataset[order], picks),
    )


def _score(signals: Floats, outcome: Floats, dataset: Codes, picks: Codes) -> Floats:
    """Mean over data sets of Spearman's rho for each row of cell indices in `picks` (B, cells), -> (B, K)."""
    found = []
    for d in np.unique(dataset):
        chosen = picks[:, dataset == d]
        y = _centred_ranks(outcome[chosen])
        rho = np.full((picks.shape[0], signals.shape[1]), np.nan)
        for k in range(signals.shape[1]):
            x = _centred_ranks(signals[chosen, k])
            size = np.sqrt(np.sum(x * x, axis=1) * np.sum(y * y, axis=1))
            defined = (size > 0) & (chosen.shape[1] >= 3)
            rho[:, k] = np.where(defined, np.sum(x * y, axis=1) / np.where(defined, size, 1.0), np.nan)
        found.append(rho)
    stacked = np.stack(found)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.asarray(np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan))


def _centred_ranks(values: Floats) -> Floats:
    """Average ranks along the last axis, minus their mean."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=-1)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=-1)
    return np.asarray(below + (equal - 1) / 2.0 - (values.shape[1] - 1) / 2.0)


def interval(values: Floats, level: float) -> tuple[float, float]:
    """Percentile interval; NaN when fewer than half of the resamples have a value."""
    known = values[~np.isnan(values)]
    if known.size < values.size / 2 or known.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
