"""How large a difference is in units of the spread between seeds, and in how many seeds it has one sign.

The raw difference, in the unit of the metric, comes first; these are for readers who compare studies.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]


def noncentrality_interval(t: float, df: float, level: float) -> tuple[float, float]:
    """Exact interval of the noncentrality of a t statistic; NaN where t or df is not known.

    The ends are the noncentralities at which `t` is a quantile of the noncentral t (Steiger and Fouladi 1997).

    >>> [round(end, 3) for end in noncentrality_interval(2.0, 4.0, 0.95)]
    [-0.45, 4.295]
    """
    if not (df > 0 and math.isfinite(t)):
        return math.nan, math.nan
    tail = 0.5 - level / 2.0
    low, high = (_noncentrality(t, df, p) for p in (1.0 - tail, tail))
    return low, high


def _noncentrality(t: float, df: float, p: float) -> float:
    """Return the noncentrality at which P(T <= t) = p: SciPy's own inverse, which is good to 1e-4, made exact."""
    from scipy import optimize  # slow to import: only who asks for the interval pays

    near = float(special.nctdtrinc(df, p, t))
    step = 1e-3 * (1.0 + abs(near))

    def above(noncentrality: float) -> float:
        return float(special.nctdtr(df, noncentrality, t)) - p

    for _ in range(12):
        if above(near - step) >= 0.0 >= above(near + step):
            return float(optimize.brentq(above, near - step, near + step, xtol=1e-12))
        step *= 2.0
    return near


def standardised(t: float, df: float, n: float, level: float) -> tuple[float, float, float]:
    """Difference in units of the SD between seeds, and its interval from the noncentral t.

    Exact where the values of the seeds are normal: for pairs (n = number of pairs, df n - 1: Cohen's d_z) and for two
    samples of equal variance and size (1/n = 1/n_a + 1/n_b: Cohen's d). With missing runs or unequal variances as good
    as the df.

    Parameters
    ----------
    n : the standard error is SD / sqrt(n).
    """
    low, high = noncentrality_interval(t, df, level)
    root = math.sqrt(n)
    return t / root, low / root, high / root


def share_interval(hits: int, n: int, level: float) -> tuple[float, float]:
    """Exact interval of a probability of which `hits` of `n` were seen (Clopper and Pearson 1934); NaN for n = 0.

    >>> [round(end, 4) for end in share_interval(3, 3, 0.95)]
    [0.2924, 1.0]
    """
    if n == 0:
        return math.nan, math.nan
    tail = 0.5 - level / 2.0
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1.0 - tail))
    return low, high
