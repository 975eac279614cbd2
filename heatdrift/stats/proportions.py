"""Intervals of proportions: of one, and of the difference of two that were counted on the same images."""

import math

from scipy import special


def wilson_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion `hits` / `n` (Wilson 1927); 0 to 1, and NaN without an observation.

    >>> [round(end, 4) for end in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    """
    if n == 0:
        return math.nan, math.nan
    z2 = float(special.ndtri(0.5 + level / 2.0)) ** 2
    middle = (hits + z2 / 2.0) / (n + z2)
    half = math.sqrt(z2 * (hits * (n - hits) / n + z2 / 4.0)) / (n + z2)
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def paired_difference(
    both: int, only_a: int, only_b: int, neither: int, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference b - a of two proportions on the same n images, with its interval.

    Newcombe's (1998, Statistics in Medicine 17, 2635-2650) method 10: the distances of both Wilson intervals are
    squared and added, less twice their product times the correlation phi of the pairs, of which a positive numerator is
    reduced by n / 2. Where no image changed it still has a width: images that were not seen may change.

    Parameters
    ----------
    both, only_a, only_b, neither : images that both have right, one alone, or none.

    Returns
    -------
    Estimate, low, high, each from -1 to 1; NaN without an image.
    """
    n = both + only_a + only_b + neither
    if n == 0:
        return math.nan, math.nan, math.nan
    in_a, in_b = both + only_a, both + only_b
    a, b = in_a / n, in_b / n
    (a_low, a_high), (b_low, b_high) = wilson_interval(in_a, n, level), wilson_interval(in_b, n, level)
    margins = in_a * (n - in_a) * in_b * (n - in_b)
    over = both * neither - only_a * only_b
    corrected = max(over - n / 2.0, 0.0) if over > 0 else float(over)
    phi = corrected / math.sqrt(margins) if margins else 0.0
    down, up = (b - b_low, a_high - a), (b_high - b, a - a_low)
    low = math.sqrt(max(0.0, down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2))
    high = math.sqrt(max(0.0, up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2))
    return b - a, max(-1.0, b - a - low), min(1.0, b - a + high)
