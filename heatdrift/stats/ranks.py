"""Average ranks and Spearman's rho: those of ``scipy.stats``, without its import, which takes most of a second."""

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1 along the last axis of finite values (..., n), ties averaged.

    >>> average_ranks(np.array([2.0, 0.5, 2.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    places = np.broadcast_to(np.arange(1, values.shape[-1] + 1), values.shape)
    differs = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs], axis=-1), places, 1), axis=-1)
    ends = np.where(np.concatenate([differs, edge], axis=-1), places, values.shape[-1])
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2.0, axis=-1)
    return ranks


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
