"""Seed-level t tests of linear contrasts, many responses on one design at once.

The same test as ``strata.py`` for one degree of freedom, written as two matrices that depend on the design alone: the
weights of the estimate and, per seed, what it contributes to the estimate's error. With them 1,728 responses (blocks x
heads x probes) cost two matrix products. It also tests contrasts that are not within seeds (a mean against 0).

Error: spread over seeds of each seed's part A_s e_s, corrected for leverage (CR2: Bell and McCaffrey 2002); df by
Satterthwaite's rule under equal variances (Pustejovsky and Tipton 2018). In balanced data this is the one-sample t on
one value per seed, with S - 1 df.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.distributions import t_quantile
from heatdrift.stats.strata import LEAST_SEEN, leverage_root, seed_means

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

# a standard error below this share of the response's size is rounding: there is no variation to test against
_NO_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class SeedTests:
    """Results per response (...,): estimate, standard error, t and two-sided p; df and number of seeds are shared."""

    estimate: Floats
    se: Floats
    t: Floats
    p: Floats
    df: float
    n_seeds: int

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Confidence limits of the estimates."""
        half = t_quantile(level, self.df) * self.se
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True, slots=True)
class SeedContrast:
    """One contrast on one design; build it with `seed_contrast`.

    Attributes
    ----------
    weights : (n,) with estimate = weights @ y; NaN when the design cannot estimate the contrast.
    makers : (S, n) with error of the estimate^2 = sum over seeds of (makers @ y)^2.
    df : of the t test; NaN when fewer than two seeds contribute.
    n_seeds : seeds that contribute.
    """

    weights: Floats
    makers: Floats
    df: float
    n_seeds: int

    def test(self, y: Floats) -> SeedTests:
        """Test every response, `y` of shape (..., n), against 0; no spread between seeds gives NaN, never infinity."""
        estimate = np.asarray(y @ self.weights)
        se = np.sqrt(np.sum((y @ self.makers.T) ** 2, axis=-1))
        size = np.max(np.abs(y), axis=-1)
        se = np.where((se > _NO_SPREAD * size) & (self.df > 0), se, np.nan)
        t = estimate / se
        p = 2.0 * special.stdtr(self.df, -np.abs(t)) if self.df > 0 else np.full_like(t, np.nan)
        return SeedTests(estimate=estimate, se=se, t=t, p=np.asarray(p), df=self.df, n_seeds=self.n_seeds)


def seed_contrast(x: Floats, seeds: Codes, row: Floats, *, within: bool) -> SeedContrast:
    """Prepare the test of row @ beta = 0.

    Parameters
    ----------
    x : (n, p) design. seeds : (n,) 0-based seed of each run. row : (p,).
    within : whether the contrast compares runs within seeds (seeds then enter as fixed effects, as in ``strata.py``);
        False for a mean.
    """
    n, n_seeds = x.shape[0], int(seeds.max()) + 1
    free = x - seed_means(x, seeds) if within else x.copy()
    free[np.abs(free) < 1e-12 * np.abs(x).max()] = 0.0  # a column constant within seeds is no column
    inverse = np.linalg.pinv(free, rcond=1e-10)
    parts = row @ inverse
    if not np.allclose(parts @ free, row, rtol=0.0, atol=1e-8 * np.abs(row).max()):
        return SeedContrast(weights=np.full(n, np.nan), makers=np.zeros((n_seeds, n)), df=float("nan"), n_seeds=0)
    # the residual maker is n x n: only its blocks per seed are formed, and products with it
    makers = np.zeros((n_seeds, n))
    contributes = np.zeros(n_seeds, dtype=bool)
    for s in range(n_seeds):
        members = np.flatnonzero(seeds == s)
        own = np.eye(members.size) - (1.0 / members.size if within else 0.0)
        load = parts[members] @ leverage_root(own - free[members] @ inverse[:, members])
        makers[s] = -(load @ free[members]) @ inverse
        makers[s, members] += load @ own
        contributes[s] = np.abs(parts[members]).max() > 1e-10
    working = makers @ makers.T
    total = float(np.trace(working))
    seen = total / float(parts @ parts)  # as in strata.py: the share of the variance that residuals can show
    testable = seen >= LEAST_SEEN and int(contributes.sum()) > 1
    df = total**2 / float(np.sum(working**2)) if testable else float("nan")
    makers = makers / np.sqrt(seen) if testable else makers
    if abs(df - np.rint(df)) < 1e-9:  # balanced data: S - 1 exactly, for those who compare
        df = float(np.rint(df))
    return SeedContrast(weights=parts, makers=makers, df=df, n_seeds=int(contributes.sum()))


def cell_indicators(codes: Codes) -> Floats:
    """One column per cell, (n, cells); a contrast is then a combination of cell means."""
    return np.asarray(np.eye(int(codes.max()) + 1)[codes])
