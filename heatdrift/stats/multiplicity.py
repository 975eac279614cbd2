"""P-values of many tests adjusted for being many: family-wise error and false discovery rate.

Every function returns adjusted p in the order given. A p that is not defined (NaN) stays NaN and is no member of the
family. An adjusted p is the smallest level at which its test would be rejected.

Own code: SciPy has no Holm, and its ``false_discovery_control``, to which the tests hold ours, would cost every command
that needs it the import of ``scipy.stats``, most of a second.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TIE: Final = 1e-12  # statistics that differ by less are equal but for the order of summation


def holm(p_values: npt.ArrayLike) -> Floats:
    """Holm's step-down adjustment (Holm 1979): family-wise error under any dependence.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    return _stepwise(p_values, lambda p: np.maximum.accumulate(p * np.arange(p.size, 0, -1)))


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Step-up adjustment of Benjamini and Hochberg (1995): false discovery rate, valid under positive dependence.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    return _stepwise(p_values, lambda p: _step_up(p * (p.size / np.arange(1, p.size + 1))))


def benjamini_yekutieli(p_values: npt.ArrayLike) -> Floats:
    """Benjamini and Yekutieli's (2001): the same times 1 + 1/2 + ... + 1/m, valid under any dependence."""

    def adjust(p: Floats) -> Floats:
        ranks = np.arange(1, p.size + 1)
        return _step_up(p * (p.size / ranks * np.sum(1.0 / ranks)))

    return _stepwise(p_values, adjust)


def single_step_max(observed: Floats, draws: Floats, *, all_arrangements: bool) -> Floats:
    """Single-step max-T adjustment (Westfall and Young 1993): an arrangement counts when its largest statistic does.

    Parameters
    ----------
    observed : (K,) statistics, large ones being evidence; NaN is no member of the family.
    draws : (B, K) the statistics under B arrangements that the null makes equally likely.
    all_arrangements : whether `draws` are all of them, the observed one among them; else random ones, to which the
        observed one is added.

    Returns
    -------
    (K,) share of arrangements in which the largest statistic of the family reaches the observed one.
    """
    known = ~np.isnan(observed)
    largest = draws[:, known].max(axis=1, initial=-np.inf)
    reached = np.sum(largest[:, None] >= observed[None, :] - _TIE, axis=0)
    n = draws.shape[0]
    return np.where(known, reached / n if all_arrangements else (reached + 1.0) / (n + 1.0), np.nan)


def _stepwise(p_values: npt.ArrayLike, adjust: Callable[[Floats], Floats]) -> Floats:
    """Apply a rule for ascending p to the p that are defined."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted[order] = np.minimum(adjust(p[order]), 1.0)
    return adjusted


def _step_up(p: Floats) -> Floats:
    return np.asarray(np.minimum.accumulate(p[::-1])[::-1])
