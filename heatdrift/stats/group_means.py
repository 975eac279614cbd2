"""Groups of the rows, and means within them: what a fixed effect of many groups removes, without a column for each."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def group_rows(groups: Codes) -> list[Codes]:
    """Indices of the rows of each group, by its 0-based code (n,)."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups))[:-1])


def group_means(values: Floats, groups: Codes) -> Floats:
    """Replace values (n, k) by their mean over the rows of the same group (0-based codes, (n,))."""
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    present = np.flatnonzero(counts)
    sums = np.zeros((counts.size, values.shape[1]))
    sums[present] = np.add.reduceat(values[order], np.r_[0, np.cumsum(counts[present])[:-1]], axis=0)
    return np.asarray((sums / np.maximum(counts, 1)[:, None])[groups])
