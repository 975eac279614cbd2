"""The mean over cells, every cell with equal weight, tested against a value at the level of clusters.

A cluster is what was drawn at random, a seed with all its runs. In balanced data this is the one-sample t of one mean
per cluster; with missing rows the parts are corrected for leverage (``cluster_robust.py``), and cells that share no
cluster keep a variance of their own (``welch.py``).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.stats.cluster_robust import LEAST_RESIDUAL_SHARE, CellMeans
from heatdrift.stats.intervals import t_interval
from heatdrift.stats.welch import welch_error

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CellAverage:
    """Mean over cells with its standard error and df; both NaN below two clusters, the error where nothing varies."""

    mean: float
    se: float
    df: float
    n_clusters: int

    def t(self, against: float) -> float:
        """Return the t statistic of the mean against a value; NaN without a standard error."""
        return (self.mean - against) / self.se if self.se > 0 else float("nan")

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence limits of the mean."""
        return t_interval(self.mean, self.se, self.df, level)


def cell_average(y: Floats, cell: Codes, cluster: Codes) -> CellAverage:
    """Average the means of cells.

    Parameters
    ----------
    y : (n,) values. cell, cluster : (n,) 0-based codes, each present.
    """
    fit = CellMeans(cell, cluster)
    mean = float((np.bincount(cell, weights=y) / fit.sizes).mean())
    n = int(cluster.max()) + 1
    parts = fit.parts(fit.mean)
    several = fit.sizes[cell] > 1  # a row alone in its cell has no residual
    shown = float(np.sum(parts[0, several] ** 2) / np.sum(parts[0] ** 2))
    if n < 2 or shown < LEAST_RESIDUAL_SHARE:
        return CellAverage(mean, float("nan"), float("nan"), n)
    se, df = welch_error(fit, parts, y, (np.ones(n, dtype=bool),))
    return CellAverage(mean, se, df, n)
