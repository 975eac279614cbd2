"""The error of an average over cells from independent clusters that need not vary alike: kinds put together by Welch.

Every cluster has one part in the estimate, and the spread of these parts, corrected for leverage
(``cluster_robust.py``), is its error. Clusters are of one kind where their parts may have one common variance: they
have rows of the same samples, and cells lead from one to the other. Each kind gives one variance with its Satterthwaite
df, and the kinds are put together as by Welch (1947). With seeds that run the whole grid there is one kind for each
sample, and the df are those of S values. Where every run has a seed of its own, each cell is a kind: its variance has
the df of its own few runs, so one cell that varies a hundred times more than the others does not borrow theirs.
"""

import math

import numpy as np
import numpy.typing as npt

from heatdrift.stats.cluster_robust import NO_SPREAD, CellMeans, rounded_df

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


def welch_error(fit: CellMeans, parts: Floats, y: Floats, samples: tuple[Mask, ...]) -> tuple[float, float]:
    """Return the standard error and df of the combination of cell means whose weights of rows are `parts` (1, n).

    Parameters
    ----------
    y : (n,) responses. samples : masks (clusters,), which divide the clusters among them by the samples they are of.

    Returns
    -------
    The standard error is NaN where nothing varies; both are NaN where the clusters of a mask show next to nothing.
    """
    found = fit.corrected(parts)
    part = np.bincount(fit.clusters, weights=found.corrected_weights[0] * fit.residuals(y[None, :])[0])
    variances, dfs = [], []
    joined = components(fit.cells, fit.clusters)
    for sample in filter(np.any, samples):
        apart = [sample & (joined == k) for k in np.unique(joined[sample])]
        several = [found.residual_share_and_df(kind) for kind in apart]
        if any(math.isnan(df) for _, df in several):  # one that shows nothing: as if all varied alike
            apart, several = [sample], [found.residual_share_and_df(sample)]
        for kind, (share, df) in zip(apart, several, strict=True):
            if math.isnan(df):
                return float("nan"), float("nan")
            variances.append(float(np.sum(part[kind] ** 2)) / share)
            dfs.append(df)
    se = math.sqrt(sum(variances))
    if not se > NO_SPREAD * float(np.abs(y).max()):
        return float("nan"), sum(dfs)
    return se, rounded_df(1.0 / sum((v / sum(variances)) ** 2 / df for v, df in zip(variances, dfs, strict=True)))


def components(cells: Codes, clusters: Codes) -> Codes:
    """Return a label for each cluster, equal where a chain of shared cells leads from one to the other.

    >>> components(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])).tolist()
    [0, 0, 2, 2]
    """
    label = np.arange(int(clusters.max()) + 1)
    while True:
        of_cell = np.full(int(cells.max()) + 1, label.size)
        np.minimum.at(of_cell, cells, label[clusters])
        lower = label.copy()
        np.minimum.at(lower, clusters, of_cell[cells])
        if np.array_equal(lower, label):
            return label
        label = lower
