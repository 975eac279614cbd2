"""Permutation test of Spearman's rho when learning rates change places within each seed.

Runs of a seed share it, so under the null of no dose effect only the labels within a seed are exchangeable. With ranks
taken once over all runs, rho is a linear function of T = sum r(lr) r(y), and T is a sum of independent parts, one per
seed. So the exact null is a convolution of the seeds' distributions: (k!)^S arrangements cost S lists of k!.
"""

from dataclasses import dataclass
from itertools import permutations
from math import factorial, prod
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.cells import CellTable, average_ranks, seed_level_p

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

LARGEST_LIST: Final = 8  # 8! = 40,320 arrangements of one seed are listed, 9! are drawn
LARGEST_SUPPORT: Final = 2_000_000  # values of T: beyond it the convolution would take seconds


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rho; NaN below three values or where one of the two is constant."""
    if x.size < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    a, b = average_ranks(x), average_ranks(y)
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def spearman_p(rho: float, n: int) -> float:
    """Two-sided p by Student's t with n - 2 df, as R and scipy report it for runs taken as independent."""
    if np.isnan(rho) or n < 3:
        return float("nan")
    if abs(rho) >= 1.0:
        return 0.0
    t = rho * np.sqrt((n - 2) / ((1.0 - rho) * (1.0 + rho)))
    return float(2.0 * special.stdtr(n - 2, -abs(t)))


def seed_trend_p(lr: Floats, y: Floats, seeds: Codes) -> float:
    """Two-sided p of the mean over seeds of the correlation of `y` with the rank of `lr`; see `seed_level_p`.

    NaN with one seed, and where seeds have fewer than three learning rates: two points always correlate perfectly.
    """
    ranks = average_ranks(lr)
    levels = np.unique(lr, return_inverse=True)[1].ravel().astype(np.intp)
    one = np.zeros(int(levels.max()) + 1, dtype=np.intp)
    table = CellTable(x=ranks, y=y, cell=levels, seed=seeds, group=one, lr=np.arange(one.size))
    return seed_level_p(table, one)


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Two-sided p, the smallest p that any data of this shape could give, and how both were computed."""

    p: float
    smallest: float
    how: str


def within_seed_test(lr: Floats, y: Floats, seeds: Codes, *, draws: int, rng: np.random.Generator) -> TrendTest:
    """Test the distance of T from its mean over arrangements.

    Exact where each seed has at most LARGEST_LIST runs; else `draws` random arrangements with the observed one counted.
    NaN where rho is not defined or no seed has two learning rates.
    """
    nan = float("nan")
    if np.isnan(spearman(lr, y)):
        return TrendTest(p=nan, smallest=nan, how="none: rho is not defined")
    # twice the ranks are integers, so T can be compared without rounding
    r_lr = np.rint(2 * average_ranks(lr)).astype(np.int64)
    r_y = np.rint(2 * average_ranks(y)).astype(np.int64)
    parts = [(r_lr[seeds == s], r_y[seeds == s]) for s in np.unique(seeds)]
    n_all = prod(factorial(a.size) for a, _ in parts)
    if all(np.ptp(a) == 0 for a, _ in parts):
        return TrendTest(p=nan, smallest=nan, how="none: no seed has two learning rates")
    observed = sum(int(a @ b) for a, b in parts)
    centre = sum(float(a.mean() * b.sum()) for a, b in parts)  # each label is equally likely at each run
    if max(a.size for a, _ in parts) <= LARGEST_LIST:
        exact = _exact_p(parts, observed, centre)
        if exact is not None:
            how = f"exact: all {n_all:,} arrangements of learning rates within seeds"
            return TrendTest(p=exact[0], smallest=exact[1], how=how)
    total = np.zeros(draws)
    for a, b in parts:
        total += a[np.argsort(rng.random((draws, a.size)), axis=1)] @ b
    extreme = int(np.sum(np.abs(total - centre) >= abs(observed - centre) - 1e-6))
    how = f"{draws:,} random arrangements of learning rates within seeds"
    return TrendTest(p=(extreme + 1) / (draws + 1), smallest=1 / (draws + 1), how=how)


def _exact_p(
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], observed: int, centre: float
) -> tuple[float, float] | None:
    """Convolve the seeds' distributions of T; None where its support is too long."""
    sums = [np.array(list(permutations(a))) @ b for a, b in parts]
    lowest = [int(s.min()) for s in sums]
    step = int(np.gcd.reduce(np.concatenate([s - low for s, low in zip(sums, lowest, strict=True)])))
    step = max(step, 1)
    if sum((int(s.max()) - low) // step for s, low in zip(sums, lowest, strict=True)) > LARGEST_SUPPORT:
        return None
    null = np.ones(1)
    for s, low in zip(sums, lowest, strict=True):
        counts = np.bincount((s - low) // step)
        null = np.convolve(null, counts / s.size)
    values = sum(lowest) + step * np.arange(null.size)
    distance = np.abs(values - centre)
    possible = distance[null > 0].max()
    at_least = (float(null[distance >= d - 1e-6].sum()) for d in (abs(observed - centre), possible))
    p, smallest = (min(value, 1.0) for value in at_least)
    return p, smallest
