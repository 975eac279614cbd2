"""Permutation test of Spearman's rho when learning rates change places within each seed.

Runs of a seed share it, so under the null of no dose effect only the labels within a seed are exchangeable. With ranks
taken once over all runs, rho is a linear function of T = sum r(lr) r(y), and T is a sum of independent parts, one per
seed. So the exact null is a convolution of the seeds' distributions: (k!)^S arrangements cost S lists of k!. With many
seeds the convolution grows with the cube of the runs; beyond LARGEST_WORK arrangements are drawn instead.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import factorial, gcd, prod
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.arrangements import orders
from heatdrift.stats.cell_correlation import CellTable, seed_level_p
from heatdrift.stats.ranks import average_ranks, spearman

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

LARGEST_LIST: Final = 8  # 8! = 40,320 arrangements of one seed are listed, 9! are drawn
LARGEST_WORK: Final = 500_000_000  # multiplications of the convolution: about half a second
DRAWN_VALUES: Final = 25_000_000  # labels drawn at random for one group: 200 MB
LEAST_DRAWS: Final = 9_999
_SHOWN_IN_FULL: Final = 10**15

Integers = npt.NDArray[np.int64]


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


def within_seed_test(lr: Floats, y: Floats, seeds: Codes, *, draws: int, seed: int) -> TrendTest:
    """Test the distance of T from its mean over arrangements.

    Exact where each seed has at most LARGEST_LIST runs and the convolution is short; else random arrangements with the
    observed one counted: `draws` of them, or as many as DRAWN_VALUES allows, but not below LEAST_DRAWS. NaN where
    rho is not defined or no seed has two learning rates. `seed` is that of the random arrangements.
    """
    nan = float("nan")
    if np.isnan(spearman(lr, y)):
        return TrendTest(p=nan, smallest=nan, how="none: rho is not defined")
    # twice the ranks are integers, so T can be compared without rounding
    r_lr = np.rint(2 * average_ranks(lr)).astype(np.int64)
    r_y = np.rint(2 * average_ranks(y)).astype(np.int64)
    parts = [(r_lr[seeds == s], r_y[seeds == s]) for s in np.unique(seeds)]
    if all(np.ptp(a) == 0 for a, _ in parts):
        return TrendTest(p=nan, smallest=nan, how="none: no seed has two learning rates")
    observed = sum(int(a @ b) for a, b in parts)
    centre = sum(float(a.mean() * b.sum()) for a, b in parts)  # each label is equally likely at each run
    listed = max(a.size for a, _ in parts) <= LARGEST_LIST
    if listed and _convolution_work(parts) <= LARGEST_WORK:
        p, smallest = _exact_p(parts, observed, centre)
        n_all = prod(factorial(a.size) for a, _ in parts)
        shown = f"{n_all:,}" if n_all < _SHOWN_IN_FULL else f"about 10^{len(str(n_all)) - 1}"
        how = f"exact: all {shown} arrangements of learning rates within seeds"
        return TrendTest(p=p, smallest=smallest, how=how)
    if listed:
        total = _drawn_from_lists(parts, draws, seed)
    else:
        draws = min(draws, max(LEAST_DRAWS, DRAWN_VALUES // lr.size))
        labels = _drawn_labels(tuple(tuple(a.tolist()) for a, _ in parts), draws, seed)
        total = labels @ np.concatenate([b for _, b in parts]).astype(float)
    extreme = int(np.sum(np.abs(total - centre) >= abs(observed - centre) - 1e-6))
    how = f"{draws:,} random arrangements of learning rates within seeds"
    return TrendTest(p=(extreme + 1) / (draws + 1), smallest=1 / (draws + 1), how=how)


_known_orders = lru_cache(maxsize=LARGEST_LIST)(orders)  # of every size that is listed: 3 MB


def _list(a: Integers, b: Integers) -> Integers:
    """T of one seed under every arrangement of its labels `a`."""
    return np.asarray(a[_known_orders(a.size)] @ b)


def _drawn_from_lists(parts: list[tuple[Integers, Integers]], draws: int, seed: int) -> Floats:
    """T of random arrangements, each seed's drawn from the list of all of its own."""
    rng = np.random.default_rng(seed)
    total = np.zeros(draws)
    for a, b in parts:
        own = _list(a, b)
        total += own[rng.integers(own.size, size=draws)]
    return total


@lru_cache(maxsize=1)
def _drawn_labels(labels: tuple[tuple[int, ...], ...], draws: int, seed: int) -> Floats:
    """Random arrangements of the labels of all seeds, (draws, runs); kept: the groups of a grid share them."""
    rng = np.random.default_rng(seed)
    return np.hstack([np.array(a, dtype=float)[np.argsort(rng.random((draws, len(a))), axis=1)] for a in labels])


def _convolution_work(parts: list[tuple[Integers, Integers]]) -> int:
    """Multiplications of the exact null: from the range of each seed's T (sorted against sorted) and its step."""
    steps = [_step(a) * _step(b) for a, b in parts]
    step = max(gcd(*steps), 1)
    lengths = []
    for a, b in parts:
        up, down = np.sort(a), np.sort(b)
        lengths.append(int(up @ down - up @ down[::-1]) // step + 1)
    return sum(so_far * length for so_far, length in zip(accumulate(lengths), lengths[1:], strict=False))


def _step(values: Integers) -> int:
    """Greatest common divisor of all differences: exchanging two labels changes T by a product of two differences."""
    return int(np.gcd.reduce(values - values[0]))


def _exact_p(parts: list[tuple[Integers, Integers]], observed: int, centre: float) -> tuple[float, float]:
    """Convolve the seeds' distributions of T: the p of `observed` and the smallest that there could be."""
    sums = [_list(a, b) for a, b in parts]
    lowest = [int(s.min()) for s in sums]
    step = int(np.gcd.reduce(np.concatenate([s - low for s, low in zip(sums, lowest, strict=True)])))
    step = max(step, 1)
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
