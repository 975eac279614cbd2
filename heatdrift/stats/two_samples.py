"""The difference of two samples in the mean over cells, when clusters may have rows in both.

A cluster is what was drawn at random: one with rows of both samples (linked), or of one alone. Rows of one cluster may
depend on each other in any way, in one cell and across cells; clusters are independent. The difference is that of the
means over cells, every cell with equal weight, mean_a - mean_b.

The parts of clusters in it, corrected for leverage, are those of ``cluster_robust.py``. Two samples need not vary
alike, so clusters of one kind (linked, a alone, b alone) give one variance with its Satterthwaite df, and the kinds are
put together as by Welch (``welch.py``). One cell of linked clusters is the paired t test, one cell of two independent
samples Welch's test; in balanced data several cells are the same tests on one mean per cluster.
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
class SampleDifference:
    """Means of both samples, the standard error and df of their difference, and how many clusters have rows of both.

    Too few clusters: both NaN. No spread between clusters: the standard error is NaN, never 0.
    """

    mean_a: float
    mean_b: float
    se: float
    df: float
    n_linked: int

    @property
    def difference(self) -> float:
        """Mean of a minus mean of b."""
        return self.mean_a - self.mean_b

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence limits of the difference."""
        return t_interval(self.difference, self.se, self.df, level)


def sample_difference(y: Floats, sample: Codes, cell: Codes, cluster: Codes) -> SampleDifference:
    """Compare the samples 0 (a) and 1 (b).

    Parameters
    ----------
    y : (n,) values. sample : (n,) 0 or 1. cell : (n,) 0-based; each has rows of both samples. cluster : (n,) 0-based.
    """
    fit = CellMeans(2 * cell + sample, cluster)
    n_cells = int(cell.max()) + 1
    means = np.bincount(fit.cells, weights=y) / fit.sizes
    of_sample = [np.bincount(cluster, weights=sample == s) > 0 for s in (0, 1)]
    linked = of_sample[0] & of_sample[1]
    kinds = linked, of_sample[0] & ~linked, of_sample[1] & ~linked
    parts = fit.parts(np.tile([1.0, -1.0], n_cells)[None, :] / n_cells)
    enough = min(int(np.count_nonzero(own)) for own in of_sample) > 1
    several = fit.sizes[fit.cells] > 1  # a row alone in its cell has no residual
    se, df = float("nan"), float("nan")
    if enough and min(_share(parts[0, sample == s], several[sample == s]) for s in (0, 1)) >= LEAST_RESIDUAL_SHARE:
        se, df = welch_error(fit, parts, y, kinds)
    return SampleDifference(
        float(means[0::2].mean()), float(means[1::2].mean()), se, df, n_linked=int(np.count_nonzero(linked))
    )


def _share(parts: Floats, several: npt.NDArray[np.bool_]) -> float:
    return float(np.sum(parts[several] ** 2) / np.sum(parts**2))
