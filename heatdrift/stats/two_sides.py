"""The mean difference of two sides over cells, tested over independent units.

A unit is what was drawn at random: a seed whose runs stand on both sides (linked), or a seed of one side alone. Runs of
one unit may depend on each other in any way, in one cell and across cells; units are independent. The difference is
that of the means over cells, every cell with equal weight, mean_a - mean_b.

Error: each unit's part of the difference, its residuals corrected for leverage (CR2: Bell and McCaffrey 2002), squared
and summed over units of one kind; df per kind by Satterthwaite's rule under equal variances (Pustejovsky and Tipton
2018), kinds put together as by Welch (1947), since two sides need not vary alike. One cell of linked units is the
paired t test, one cell of two independent sides Welch's test; in balanced data several cells are the same tests on one
mean per unit.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.strata import LEAST_SEEN

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

NAN: Final = float("nan")
# a standard error below this share of the values' size is rounding: there is no variation to test against
_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True, slots=True)
class SideDifference:
    """Means of both sides, their difference, its standard error and df, and counts of units.

    Too few units: both NaN. No spread between units: the standard error is NaN, never 0.
    """

    mean_a: float
    mean_b: float
    se: float
    df: float
    n_linked: int
    n_only_a: int
    n_only_b: int

    @property
    def difference(self) -> float:
        """Mean of a minus mean of b."""
        return self.mean_a - self.mean_b


def side_difference(y: Floats, side: Codes, cell: Codes, unit: Codes) -> SideDifference:
    """Compare the sides 0 (a) and 1 (b).

    Parameters
    ----------
    y : (n,) values. side : (n,) 0 or 1. cell : (n,) 0-based; each has runs of both sides. unit : (n,) 0-based; at most
    one run per unit, cell and side.
    """
    column = 2 * cell + side
    n_cells = int(cell.max()) + 1
    size = np.bincount(column, minlength=2 * n_cells).astype(float)
    means = np.bincount(column, weights=y, minlength=2 * n_cells) / size
    sides_of = [np.bincount(unit, weights=side == s) > 0 for s in (0, 1)]
    linked = sides_of[0] & sides_of[1]
    kinds = linked, sides_of[0] & ~linked, sides_of[1] & ~linked
    se, df = _error(y - means[column], side, column, size, unit, kinds, float(np.abs(y).max()))
    return SideDifference(
        float(means[0::2].mean()), float(means[1::2].mean()), se, df, *(int(np.count_nonzero(k)) for k in kinds)
    )


def _error(
    residual: Floats,
    side: Codes,
    column: Codes,
    size: Floats,
    unit: Codes,
    kinds: tuple[npt.NDArray[np.bool_], ...],
    scale: float,
) -> tuple[float, float]:
    """Standard error (NaN without spread) and df.

    Both are NaN where a side has fewer than two units, or where its runs stand alone in their cells.
    """
    if min(int(kinds[0].sum() + own.sum()) for own in kinds[1:]) < 2:
        return NAN, NAN
    n_cells = size.size // 2
    weight = np.where(side == 0, 1.0, -1.0) / (n_cells * size[column])
    several = size[column] > 1  # a run alone in its cell has no residual: its share is scaled up, as in strata.py
    if min(_share(weight[side == s], several[side == s]) for s in (0, 1)) < LEAST_SEEN:
        return NAN, NAN
    load = np.where(several, weight / np.sqrt(1.0 - 1.0 / np.maximum(size[column], 2.0)), 0.0)
    n_units = kinds[0].size
    loads = np.zeros((n_units, size.size))
    loads[unit, column] = load
    part = np.bincount(unit, weights=load * residual, minlength=n_units)
    # covariance of the parts where every run has variance 1, and how much of the difference's variance they show
    working = np.diag(np.sum(loads**2, axis=1)) - (loads / size) @ loads.T
    wanted = np.bincount(unit, weights=weight**2, minlength=n_units)
    variances, dfs = [], []
    for kind in kinds:
        if not kind.any():
            continue
        own = working[np.ix_(kind, kind)]
        trace = float(np.trace(own))
        seen = trace / float(wanted[kind].sum())
        if seen < LEAST_SEEN:
            return NAN, NAN
        variances.append(float(np.sum(part[kind] ** 2)) / seen)
        dfs.append(trace**2 / float(np.sum(own**2)))
    variance = np.array(variances)
    se = math.sqrt(float(variance.sum()))
    if not se > _NO_SPREAD * scale:
        return NAN, float(sum(dfs))
    df = float(variance.sum() ** 2 / np.sum(variance**2 / np.array(dfs)))
    return se, float(np.rint(df)) if abs(df - np.rint(df)) < 1e-9 else df  # S - 1 exactly, for those who compare


def _share(weight: Floats, several: npt.NDArray[np.bool_]) -> float:
    return float(np.sum(weight[several] ** 2) / np.sum(weight**2))
