"""Rank correlations of many signals with one outcome over cell means, and their bootstrap over cells.

A cell (data set x method x lr, mean over its seeds) is what a user chooses between, and seeds of a cell are replicates,
so cells are resampled, within data set x method, and ranked anew in every resample.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from heatdrift.stats.arrangements import all_arrangements, n_arrangements, random_arrangements
from heatdrift.stats.cell_correlation import CellTable, seed_level_p
from heatdrift.stats.group_means import group_rows
from heatdrift.stats.multiplicity import single_step_max
from heatdrift.stats.ranks import average_ranks

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
    members = group_rows(group)
    picks = np.hstack([m[rng.integers(m.size, size=(draws, m.size))] for m in members])
    order = np.concatenate(members)
    return Scores(
        observed=_score(signals, outcome, dataset[order], order[None, :])[0],
        resampled=_score(signals, outcome, dataset[order], picks),
    )


def adjusted_p(
    signals: Floats, outcome: Floats, dataset: Codes, group: Codes, *, draws: int, rng: np.random.Generator
) -> tuple[Floats, str]:
    """P of each signal's score when whole cells of the outcome change places within their group, and how it was found.

    Adjusted for having looked at all signals: an arrangement counts against a signal when the largest score of *any*
    signal reaches its own (Westfall and Young 1993). What only separates groups scores as much in every arrangement and
    is no evidence. All arrangements are listed up to `draws`, else `draws` random ones with the observed one counted.
    Parameters as in `cell_scores`; NaN where the score is, and where no cell can change places.
    """
    members = group_rows(group)
    total = n_arrangements(members)
    listed = total <= draws
    order = all_arrangements(members) if listed else random_arrangements(members, draws, rng)
    found, observed, known = np.zeros((len(order), signals.shape[1])), *np.zeros((2, signals.shape[1]))
    for d in np.unique(dataset):
        here = dataset == d
        if here.sum() < 3:
            continue
        x, y = _centred_ranks(signals[here].T), np.zeros(outcome.size)
        y[here] = _centred_ranks(outcome[here][None, :])[0]  # groups lie within data sets: ranks move with their cells
        size = np.sqrt(np.sum(x * x, axis=1) * (y @ y))
        defined = size > 0
        x = np.where(defined[:, None], x / np.where(defined, size, 1.0)[:, None], 0.0)
        found += y[order][:, here] @ x.T
        observed += x @ y[here]
        known += defined
    scored = (known > 0) & (total > 1)
    found, observed = found / np.maximum(known, 1.0), observed / np.maximum(known, 1.0)
    p = single_step_max(np.where(scored, observed, np.nan), found, all_arrangements=listed)
    how = f"{'all' if listed else 'random:'} {len(order)} arrangements of whole cells within data set x method"
    return p, how


def seed_agreement_p(signal: Floats, outcome: Floats, cell: Codes, group: Codes, seed: Codes) -> float:
    """Two-sided p, by t over seeds, of the rank correlation within groups (data set x method) of the runs of one seed.

    A signal chosen on cell means may owe its score to one wild run at a high learning rate; seeds then do not agree.

    Parameters
    ----------
    signal, outcome : (n,) of the runs, finite. cell, seed : (n,) 0-based codes of the runs. group : (cells,).
    """
    table = CellTable(x=signal, y=outcome, cell=cell, seed=seed, group=group, lr=np.zeros(group.size, dtype=np.intp))
    x, y = signal.copy(), outcome.copy()
    for part in np.unique(group[cell] * (int(seed.max()) + 1) + seed):
        runs = group[cell] * (int(seed.max()) + 1) + seed == part
        x[runs], y[runs] = average_ranks(signal[runs]), average_ranks(outcome[runs])
    return seed_level_p(replace(table, x=x, y=y), group)


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
    return np.asarray(average_ranks(values) - (values.shape[1] + 1) / 2.0)
