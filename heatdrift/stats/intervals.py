"""Intervals from a standard error, from values, from draws, and of a standard deviation.

NaN wherever there is nothing to make an interval of: one value, df that are not known, too few draws.
"""

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.distributions import t_quantile

Floats = npt.NDArray[np.float64]
Number = TypeVar("Number", float, npt.NDArray[np.float64])


def t_interval(estimate: Number, se: Number, df: float, level: float) -> tuple[Number, Number]:
    """Student's interval of an estimate, or of estimates (...,) with common df, from the standard errors."""
    half = t_quantile(level, df) * se
    return estimate - half, estimate + half


def mean_interval(values: Floats, level: float) -> tuple[float, float]:
    """One-sample t interval of the mean of values (n,), NaN among them left out; NaN below two values."""
    known = values[~np.isnan(values)]
    if known.size < 2:
        return float("nan"), float("nan")
    se = float(known.std(ddof=1)) / math.sqrt(known.size)
    return t_interval(float(known.mean()), se, known.size - 1, level)


def percentile_interval(draws: Floats, level: float) -> tuple[Floats, Floats]:
    """Percentile interval (k,) of draws (B, k) or (B,), over those that are defined.

    NaN where fewer than half of the draws are: what is left would be the draws that suit the estimate.
    """
    count = np.sum(~np.isnan(draws), axis=0)
    enough = (2 * count >= draws.shape[0]) & (count > 0)
    tails = [0.5 - level / 2.0, 0.5 + level / 2.0]
    ends = (
        np.nanquantile(np.where(enough, draws, 0.0), tails, axis=0) if np.any(enough) else np.zeros((2, *count.shape))
    )
    low, high = np.where(enough, ends, np.nan)
    return low, high


def sd_interval(sd: float, df: float, level: float) -> tuple[float, float]:
    """Chi-square interval of a standard deviation with `df` degrees of freedom."""
    tails = (0.5 - level / 2.0, 0.5 + level / 2.0)
    low, high = (float(special.chdtri(df, tail)) for tail in tails)  # upper-tail quantiles
    return sd * math.sqrt(df / low), sd * math.sqrt(df / high)
