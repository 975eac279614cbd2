"""Exact inference about one variance ratio g = v / s2 from the spectral form of the restricted likelihood.

After removing the fixed effects, the response of a model with one random intercept splits into independent squares:
t_i ~ s2 (1 + g m_i) chi-square(1) for every positive eigenvalue m_i of Z'SZ, and rss ~ s2 chi-square(n - p - r). So

- (sum t_i / (1 + g m_i) / r) / (rss / (n - p - r)) is F(r, n - p - r) at the true g: an exact interval for g and for
  ICC = g / (1 + g), 0 included (Wald 1947; Harville and Fenech 1985, Biometrics 41, 137-152);
- the restricted likelihood ratio of g = 0 is a function of these squares alone, so its null distribution is simulated
  without refitting (Crainiceanu and Ruppert 2004, J. R. Stat. Soc. B 66, 165-185); with one distinct eigenvalue
  (balanced data) it is a function of one F, and its p is that of the F test.

With a second random intercept the first step is repeated on the data whitened at that intercept's ratio, held at its
estimate under the null: an approximation in the spirit of Greven et al. (2008, J. Comput. Graph. Stat. 17, 870-891).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.deviance import Grouping
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.group_means import group_means

Floats = npt.NDArray[np.float64]

NULL_DRAWS: Final = 10_000
NULL_SEED: Final = 0
_GRID: Final = 60
_SAME: Final = 1e-8  # relative difference below which two eigenvalues are one
_LARGEST_RATIO: Final = 1e12


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Distinct eigenvalues with their sums of squares; build it with `spectrum`.

    Attributes
    ----------
    sizes, counts, squares : (m,) eigenvalue, multiplicity, sum of squares of y in its eigenspace.
    rss, df : residual sum of squares and its degrees of freedom.
    """

    sizes: Floats
    counts: Floats
    squares: Floats
    rss: float
    df: int

    def interval(self, level: float) -> tuple[float, float]:
        """Exact interval of the variance ratio; NaN where nothing is left to estimate the residual variance."""
        if self.df <= 0 or self.rss <= 0:
            return float("nan"), float("nan")
        rank = float(self.counts.sum())
        tails = (0.5 + level / 2.0, 0.5 - level / 2.0)
        low, high = (self._ratio_at(float(special.fdtri(rank, self.df, tail))) for tail in tails)
        return low, high

    def _ratio_at(self, quantile: float) -> float:
        """Ratio at which the pivot, falling in the ratio, equals `quantile`; 0 when it is below it at 0 already."""

        def pivot(ratio: float) -> float:
            between = float(np.sum(self.squares / (1.0 + ratio * self.sizes))) / float(self.counts.sum())
            return between / (self.rss / self.df)

        return 0.0 if pivot(0.0) <= quantile else _crossing(lambda ratio: pivot(ratio) <= quantile, _LARGEST_RATIO)

    def _f_of(self, rlrt: float) -> float:
        """F whose restricted likelihood ratio is `rlrt`, for one distinct eigenvalue; it grows with F above 1."""
        count = float(self.counts[0])

        def ratio(log_f: float) -> float:
            # at the optimum 1 + g m = F
            spread = np.logaddexp(np.log(count) + log_f, np.log(self.df)) - np.log(count + self.df)
            return float((count + self.df) * spread - count * log_f)

        return float(np.exp(_crossing(lambda log_f: ratio(log_f) >= rlrt)))

    def null_p(self, rlrt: float, *, draws: int = NULL_DRAWS, seed: int = NULL_SEED) -> tuple[float, int]:
        """P of a restricted likelihood ratio at least as large when g = 0, and how many draws it took (0: closed form).

        A statistic of 0 has p = 1.
        """
        if self.df <= 0 or self.rss <= 0:
            return float("nan"), 0
        if rlrt <= 1e-9:
            return 1.0, 0
        if self.sizes.size == 1:
            count = float(self.counts[0])
            return f_p_value(self._f_of(rlrt), count, float(self.df)), 0
        rng = np.random.default_rng(seed)
        squares = rng.chisquare(self.counts, size=(draws, self.sizes.size))
        rest = rng.chisquare(self.df, size=draws)
        grid = np.geomspace(1e-3 / self.sizes.max(), 1e5 / self.sizes.min(), _GRID)
        scaled = 1.0 + grid[:, None] * self.sizes
        size = self.df + float(self.counts.sum())
        # the ratio exceeds rlrt at some g of the grid <=> the weighted sum of squares is below this share of the total
        share = np.exp(-(rlrt + np.log(scaled) @ self.counts) / size)
        total = squares.sum(axis=1) + rest
        beyond = np.any(squares @ (1.0 / scaled).T + rest[:, None] <= total[:, None] * share, axis=1)
        return (1.0 + float(beyond.sum())) / (draws + 1.0), draws


def _crossing(beyond: Callable[[float], bool], largest: float = float("inf")) -> float:
    """Smallest value above 0 from which on `beyond` holds, by bisection to 1e-13; infinity where it is above `largest`.

    Own code: importing ``scipy.optimize`` for ``brentq`` takes longer than the whole analysis of one response.
    """
    low, high = 0.0, 1.0
    while not beyond(high):
        low, high = high, 4.0 * high
        if high > largest:
            return float("inf")
    while high - low > 1e-13 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2.0


@dataclass(frozen=True, slots=True)
class Held:
    """A random intercept held at a ratio of its variance to s2."""

    grouping: Grouping
    ratio: float

    def whiten(self, values: Floats) -> Floats:
        """(I + g ZZ')^-1/2 values (n, k): the mean of each group is shrunk, the rest stays."""
        counts = np.bincount(self.grouping.codes)
        shrink = 1.0 - 1.0 / np.sqrt(1.0 + self.ratio * counts)
        return np.asarray(values - shrink[self.grouping.codes][:, None] * group_means(values, self.grouping.codes))


def spectrum(y: Floats, x: Floats, grouping: Grouping, held: Held | None = None) -> Spectrum:
    """Spectral form of one random intercept; `held`: another one and its ratio to s2, which are taken out first."""
    z = grouping.indicator
    if held is not None:
        y, x, z = (held.whiten(part) for part in (y[:, None], x, z))
        y = y[:, 0]
    basis, _ = np.linalg.qr(x)
    free_z, free_y = z - basis @ (basis.T @ z), y - basis @ (basis.T @ y)
    left, singular, _ = np.linalg.svd(free_z, full_matrices=False)
    kept = singular > 1e-9 * singular[0]
    values, squares = singular[kept] ** 2, (left[:, kept].T @ free_y) ** 2
    breaks = np.flatnonzero(np.diff(values) < -_SAME * values[0]) + 1  # singular values come in falling order
    groups = np.split(np.arange(values.size), breaks)
    return Spectrum(
        sizes=np.array([values[g].mean() for g in groups]),
        counts=np.array([float(g.size) for g in groups]),
        squares=np.array([squares[g].sum() for g in groups]),
        rss=max(float(free_y @ free_y - squares.sum()), 0.0),
        df=y.size - x.shape[1] - values.size,
    )
