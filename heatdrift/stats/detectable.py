"""The difference that a t test finds with a wanted power, and the number of seeds that a wanted difference needs.

Planning, not a verdict: the power of an effect already observed says no more than its p (Hoenig and Heisey 2001).
"""

import math
from typing import Final

from scipy import special

from heatdrift.stats.distributions import t_quantile

ALPHA: Final = 0.05
TARGET: Final = 0.8
MOST_SEEDS: Final = 100_000
_OTHER_TAIL: Final = 5.0  # noncentrality from which on the other tail is below 3e-7


def detectable_noncentrality(df: float, *, alpha: float = ALPHA, target: float = TARGET) -> float:
    """Return difference / standard error that a two-sided t test with `df` finds with power `target`; NaN without df.

    >>> round(detectable_noncentrality(4.0), 3)
    3.764
    """
    if not df > 0:
        return math.nan
    critical = t_quantile(1.0 - alpha, df)

    def missing(noncentrality: float) -> float:
        upper = 1.0 - special.nctdtr(df, noncentrality, critical)
        # the other tail is below Phi(-noncentrality), and scipy returns NaN for some values that small
        lower = special.nctdtr(df, noncentrality, -critical) if noncentrality < _OTHER_TAIL else 0.0
        return float(upper + lower - target)

    high = 1.0
    while missing(high) < 0.0:
        high *= 2.0
    from scipy import optimize  # slow to import: only who plans pays

    return float(optimize.brentq(missing, 0.0, high, xtol=1e-12))


def detectable_effect(
    sd: float, seeds: int, *, alpha: float = ALPHA, target: float = TARGET, df_per_seed: float = 1.0
) -> float:
    """Smallest |effect| found with power `target` by a t test whose standard error is sd / sqrt(seeds).

    Parameters
    ----------
    sd : of one seed's difference; with seeds of each method's own, the root of the sum of both variances.
    seeds : of each method, 2 or more.
    df_per_seed : the df are that times (seeds - 1): 1 for pairs, between 1 and 2 for two independent samples.

    >>> round(detectable_effect(1.0, 5), 3)
    1.683
    """
    df = df_per_seed * (seeds - 1)
    return sd * detectable_noncentrality(df, alpha=alpha, target=target) / math.sqrt(seeds)


def seeds_needed(
    sd: float, difference: float, *, alpha: float = ALPHA, target: float = TARGET, df_per_seed: float = 1.0
) -> int | None:
    """Smallest number of seeds with which a difference is found with power `target`; None above MOST_SEEDS.

    >>> seeds_needed(1.0, 1.683), seeds_needed(1.0, 1.68)
    (5, 6)
    """

    def found(seeds: int) -> bool:
        least = detectable_effect(sd, seeds, alpha=alpha, target=target, df_per_seed=df_per_seed)
        return least <= abs(difference)

    enough = 2
    while not found(enough):
        if enough >= MOST_SEEDS:
            return None
        enough = min(2 * enough, MOST_SEEDS)
    too_few = enough // 2 if enough > 2 else 1
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if found(middle) else (enough, middle)
    return enough
