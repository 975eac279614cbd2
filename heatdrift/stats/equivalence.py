"""Equivalence and non-inferiority of an estimate: two one-sided tests against the ends of a margin.

A test that does not find a difference says nothing about how small it is. Two one-sided t tests do (Schuirmann 1987):
one of "the truth is LOW or less", one of "the truth is HIGH or more". Both rejected at alpha: equivalent within the
margin, which is the same as the 1 - 2 alpha interval lying inside of it. The first alone: not inferior by more than
-LOW. The interval wholly outside: the difference is larger than the margin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.errors import StatsError
from heatdrift.stats.intervals import t_interval

Floats = npt.NDArray[np.float64]
Decision = Literal["equivalent", "not inferior", "not superior", "inferior", "superior", "undecided"]


@dataclass(frozen=True, slots=True)
class MarginTest:
    """An estimate against a margin.

    Attributes
    ----------
    p_low : one-sided p of "the truth is `low` or less"; small where the estimate is safely above `low`.
    p_high : one-sided p of "the truth is `high` or more".
    ci_low, ci_high : the 1 - 2 alpha interval: above `low` and below `high` where both tests reject at alpha.
    """

    low: float
    high: float
    p_low: float
    p_high: float
    ci_low: float
    ci_high: float

    @property
    def p(self) -> float:
        """The p of equivalence: the larger of both."""
        return math.nan if math.isnan(self.p_low) else max(self.p_low, self.p_high)


def margin_test(estimate: float, se: float, df: float, low: float, high: float, alpha: float) -> MarginTest:
    """Test an estimate against the margin low..high; NaN without a standard error or df.

    >>> test = margin_test(0.0, 1.0, 4.0, -3.0, 3.0, 0.05)
    >>> round(test.p_low, 4), round(test.ci_high, 4)
    (0.02, 2.1318)
    """
    nan = math.nan
    if not (se > 0 and df > 0):
        return MarginTest(low, high, nan, nan, nan, nan)
    p_low, p_high = (float(special.stdtr(df, t)) for t in ((low - estimate) / se, (estimate - high) / se))
    ends = t_interval(estimate, se, df, 1.0 - 2.0 * alpha)
    return MarginTest(low, high, p_low, p_high, *ends)


def decision(test: MarginTest, p_low: float, p_high: float, alpha: float, n_tests: int = 1) -> Decision:
    """Return what the (adjusted) one-sided p-values support.

    "inferior" and "superior": the truth is beyond the margin. Where it is inside, both of these may be claimed falsely,
    so each needs p below alpha / 2, by Bonferroni over `n_tests` margins.
    """
    above, below = p_low < alpha, p_high < alpha
    if above and below:
        return "equivalent"
    strict = alpha / 2.0 / max(n_tests, 1)
    if 1.0 - test.p_low < strict:
        return "inferior"
    if 1.0 - test.p_high < strict:
        return "superior"
    return "not inferior" if above else "not superior" if below else "undecided"


def adjusted_pairs(p_low: Sequence[float], p_high: Sequence[float]) -> tuple[Floats, Floats]:
    """Adjust the one-sided p of n margins, (n,) each, for being many; NaN stay and do not count.

    Holm's steps with what is logically possible (Shaffer 1986): the truth cannot be below one end of a margin and above
    the other, so of the 2 n nulls at most n are true. One margin needs no adjustment.

    >>> low, high = adjusted_pairs([0.01, 0.3], [0.02, 0.001])
    >>> low.tolist(), high.tolist()
    ([0.02, 0.3], [0.04, 0.002])
    """
    p = np.concatenate([np.asarray(p_low, dtype=float), np.asarray(p_high, dtype=float)])
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    most = np.minimum(np.arange(known.size, 0, -1), known.size // 2)
    adjusted = np.full(p.size, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * most), 1.0)
    return adjusted[: len(p_low)], adjusted[len(p_low) :]


def check_margin(low: float, high: float) -> None:
    """Refuse a margin that does not hold 0 strictly between its ends.

    Raises
    ------
    StatsError
        An end that is not a finite number; low not below high; a margin that is not positive on both sides.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise StatsError(f"a margin has two finite ends, got {low:g} and {high:g}", hint="for example -2 and 2")
    if low >= high:
        raise StatsError(
            f"the lower end of a margin must be below its upper end, got {low:g} and {high:g}",
            hint=f"for example {high:g} and {low:g}" if low > 0 > high or low > high else "for example -2 and 2",
        )
    if not low < 0 < high:
        raise StatsError(
            f"a margin is the largest difference that does not matter, so it holds 0 between its ends; "
            f"got {low:g} and {high:g}",
            hint="for example -2 and 2",
        )
