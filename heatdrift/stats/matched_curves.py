"""Two methods compared at the same accuracy or the same weight drift, instead of at the same learning rate.

Each method has a dose curve: cell means by learning rate. Retention is interpolated linearly along the matched variable
(weight drift: its log10), on the part of the curve that rises from the lowest learning rate on, where one value means
one point of the curve. The difference is averaged over the range that both curves reach; outside it nothing is said.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.intervals import t_interval

Floats = npt.NDArray[np.float64]

POINTS: Final = 101  # of the overlap, evenly spaced: the mean of a piecewise linear function


@dataclass(frozen=True, slots=True)
class Curves:
    """One method's runs on one data set: ``matched`` and ``outcome`` (lrs, seeds), NaN where there is no run."""

    matched: Floats
    outcome: Floats

    def without(self, seed: int) -> "Curves":
        """Leave one seed (column) out."""
        return Curves(matched=np.delete(self.matched, seed, axis=1), outcome=np.delete(self.outcome, seed, axis=1))

    def rising(self) -> tuple[Floats, Floats]:
        """Means over seeds, by learning rate, from the lowest on as long as the matched variable rises."""
        known = ~np.isnan(self.matched).all(axis=1)
        x, y = np.nanmean(self.matched[known], axis=1), np.nanmean(self.outcome[known], axis=1)
        falls = np.flatnonzero(np.diff(x) <= 0)
        end = int(falls[0]) + 1 if falls.size else x.size
        return x[:end], y[:end]


@dataclass(frozen=True, slots=True)
class Matched:
    """Mean difference a - b over the overlap [low, high], with a jackknife over seeds; NaN where there is none."""

    low: float
    high: float
    difference: float
    se: float
    df: float
    ranges: tuple[tuple[float, float], tuple[float, float]]

    def interval(self, level: float) -> tuple[float, float]:
        """Student's t with one df less than seeds."""
        return t_interval(self.difference, self.se, self.df, level)


def matched_difference(a: Curves, b: Curves) -> Matched:
    """Compare two methods whose columns are the same seeds.

    The standard error is the delete-one-seed jackknife (Efron and Stein 1981), each time with its own curves and
    overlap; for a statistic that is linear in the seeds it is the seed-level one. NaN with one seed, or when a seed
    left out leaves no overlap.
    """
    low, high, difference = _difference(a, b)
    n_seeds = a.matched.shape[1]
    se = df = float("nan")
    if n_seeds > 1 and not np.isnan(difference):
        left_out = np.array([_difference(a.without(s), b.without(s))[2] for s in range(n_seeds)])
        se = float(np.sqrt((n_seeds - 1) / n_seeds * np.sum((left_out - left_out.mean()) ** 2)))
        df = float(n_seeds - 1)
    ranges = tuple((float(c.rising()[0][0]), float(c.rising()[0][-1])) for c in (a, b))
    return Matched(low=low, high=high, difference=difference, se=se, df=df, ranges=(ranges[0], ranges[1]))


def _difference(a: Curves, b: Curves) -> tuple[float, float, float]:
    curves = [c.rising() for c in (a, b)]
    if any(x.size == 0 for x, _ in curves):
        return (float("nan"),) * 3
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if low > high:
        return (float("nan"),) * 3
    points = np.linspace(low, high, POINTS)
    (xa, ya), (xb, yb) = curves
    return float(low), float(high), float(np.mean(np.interp(points, xa, ya) - np.interp(points, xb, yb)))
