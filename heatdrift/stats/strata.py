"""Seed-level test of a fixed term in its own error stratum: the headline test of heatdrift.

A seed is the unit that was drawn at random; runs of one seed share it. For a term with q degrees of freedom, take q
orthonormal contrasts of the term within each seed. In balanced data every seed yields them with equal precision,
whatever variances seed, seed x method and so on have, and the test is the repeated-measures one: a one-sample t on S
values for q = 1 (df S - 1), MS(term) / MS(term x seed) for q > 1 (df q and q (S - 1)).

With missing cells the contrasts are the least-squares ones: the design is fitted with seeds as fixed effects, each seed
contributes its own part A_s y_s of the estimate, and the error is the spread of these parts over seeds, corrected for
the leverage of each seed (CR2: Bell and McCaffrey 2002; Pustejovsky and Tipton 2018), with Satterthwaite df. Seeds in
which no part of the contrast can be estimated contribute nothing and are not counted. A run alone in its cell has no
residual, so CR2 cannot see its variance; the error is divided by the share that it does see (under equal variances), or
a contrast with such a cell would be rejected several times too often. One seed alone tests nothing. In balanced data
this is the test above, exactly.

For q > 1 the F assumes that the q contrasts of a seed have equal variances and no correlation (sphericity). ``p`` is
exact under that assumption; ``p_box`` (``box.py``) corrects it for variances that differ between levels, and is what a
finding needs; ``p_gg``, by Greenhouse and Geisser's epsilon from the seeds alone, is very cautious with few seeds.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.errors import StatsError
from heatdrift.stats.probability import f_p_value, t_quantile

Floats = npt.NDArray[np.float64]

# Below it next to nothing of a contrast's variance shows between seeds: there is no error term, only rounding.
LEAST_SEEN: Final = 0.05


@dataclass(frozen=True, slots=True)
class SeedTest:
    """Result of one seed-level test.

    ``estimate`` and ``se`` belong to the single contrast when q = 1 (else NaN). ``epsilon`` is Greenhouse-Geisser's, 1
    when q = 1; ``p_gg`` the p after multiplying both df by it. ``epsilon_box`` and ``p_box`` are Box's (1 and p until
    `corrected`).
    """

    f: float
    df_num: float
    df_den: float
    p: float
    n_seeds: int
    epsilon: float
    p_gg: float
    estimate: float
    se: float
    epsilon_box: float
    p_box: float

    def corrected(self, epsilon: float) -> "SeedTest":
        """Return the same test with Box's epsilon."""
        p = f_p_value(self.f, self.df_num * epsilon, self.df_den * epsilon)
        return replace(self, epsilon_box=epsilon, p_box=p)

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence interval of the single contrast."""
        half = t_quantile(level, self.df_den) * self.se
        return self.estimate - half, self.estimate + half


class SeedStrata:
    """Seed-level tests of one response on one design; one instance serves all terms and contrasts.

    Parameters
    ----------
    y : (n,) response. x : (n, p) fixed-effects design (its intercept is absorbed by the seeds).
    seeds : (n,) 0-based seed of each run, at least two seeds.
    """

    def __init__(self, y: Floats, x: Floats, seeds: npt.NDArray[np.intp]) -> None:
        self.n_seeds = int(seeds.max()) + 1
        if self.n_seeds < 2:
            raise StatsError("a seed-level test needs at least two seeds", hint="train more seeds of the study")
        self._members = [np.flatnonzero(seeds == s) for s in range(self.n_seeds)]
        self._demean = np.eye(y.size) - _same(seeds) / np.bincount(seeds)[seeds]
        self._x = self._demean @ x
        self._x[np.abs(self._x) < 1e-12 * np.abs(x).max()] = 0.0  # a column constant within seeds is no column
        self._inverse = np.linalg.pinv(self._x, rcond=1e-10)  # (p, n)
        self._y = self._demean @ y

    @cached_property
    def _residual_maker(self) -> Floats:
        return self._demean - self._x @ self._inverse

    @cached_property
    def _leverage_roots(self) -> list[Floats]:
        """Per seed the pseudo-inverse square root of its block of the residual maker (the CR2 correction)."""
        roots = []
        for members in self._members:
            values, vectors = np.linalg.eigh(self._residual_maker[np.ix_(members, members)])
            kept = values > 1e-8
            roots.append((vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T)
        return roots

    def hypothesis(self, rows: Floats) -> "SeedHypothesis | None":
        """Prepare rows @ beta = 0, `rows` of shape (q, p); None when the seeds at hand cannot estimate or test it."""
        q = rows.shape[0]
        parts = rows @ self._inverse  # (q, n): what each run contributes to the estimate
        estimable = np.allclose(parts @ self._x, rows, rtol=0.0, atol=1e-8 * np.abs(rows).max())
        gram = parts @ parts.T
        if not estimable or np.linalg.matrix_rank(gram) < q:
            return None
        white = np.linalg.inv(np.linalg.cholesky(gram)) @ parts
        makers = np.concatenate(
            [
                white[:, m] @ root @ self._residual_maker[m]
                for m, root in zip(self._members, self._leverage_roots, strict=True)
            ]
        )
        n_seeds = sum(bool(np.abs(white[:, m]).max() > 1e-10) for m in self._members)
        working = makers @ makers.T
        seen = float(np.trace(working)) / q  # share of the variance that residuals show; 1 if balanced
        if n_seeds < 2 or seen < LEAST_SEEN:
            return None
        return SeedHypothesis(
            parts=parts,
            white=white,
            makers=makers / np.sqrt(seen),
            df_den=float(np.trace(working) ** 2 / np.sum(working**2)),
            n_seeds=n_seeds,
        )

    def test(self, rows: Floats) -> SeedTest:
        """Test rows @ beta = 0, `rows` of shape (q, p); NaN results when the seeds at hand cannot estimate it."""
        q = rows.shape[0]
        hypothesis = self.hypothesis(rows)
        if hypothesis is None:
            return _undefined(q)
        statistics, epsilons = hypothesis.statistics(self._y[None, :])
        f, epsilon, df = float(statistics[0]), float(epsilons[0]), hypothesis.df_den
        estimate = float(hypothesis.parts[0] @ self._y)
        variance = float(np.sum((hypothesis.makers @ self._y) ** 2) * np.sum(hypothesis.parts[0] ** 2))
        p = f_p_value(f, q, df)
        return SeedTest(
            f=f,
            df_num=float(q),
            df_den=df,
            p=p,
            n_seeds=hypothesis.n_seeds,
            epsilon=epsilon,
            p_gg=f_p_value(f, q * epsilon, df * epsilon),
            estimate=estimate if q == 1 else float("nan"),
            se=float(np.sqrt(variance)) if q == 1 else float("nan"),
            epsilon_box=1.0,
            p_box=p,
        )


@dataclass(frozen=True, slots=True)
class SeedHypothesis:
    """Geometry of one seed-level test, the same for every response on a design.

    Attributes
    ----------
    parts, white : (q, n) contributions of the runs to the contrasts, as asked and orthonormal.
    makers : (seeds * q, n) corrected per-seed parts of the orthonormal contrasts.
    df_den, n_seeds : denominator df and seeds that contribute.
    """

    parts: Floats
    white: Floats
    makers: Floats
    df_den: float
    n_seeds: int

    def statistics(self, y: Floats) -> tuple[Floats, Floats]:
        """F and Greenhouse-Geisser's epsilon, each (B,), of responses (B, n)."""
        q = self.white.shape[0]
        scores = (y @ self.makers.T).reshape(y.shape[0], -1, q)
        spread = np.einsum("bsi,bsj->bij", scores, scores)
        total = np.trace(spread, axis1=1, axis2=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            f = np.sum((y @ self.white.T) ** 2, axis=1) / total
            epsilon = total**2 / (q * np.sum(spread**2, axis=(1, 2)))
        return f, epsilon


def _same(seeds: npt.NDArray[np.intp]) -> Floats:
    return np.asarray(seeds[:, None] == seeds[None, :], dtype=float)


def _undefined(q: int) -> SeedTest:
    nan = float("nan")
    return SeedTest(
        f=nan,
        df_num=float(q),
        df_den=nan,
        p=nan,
        n_seeds=0,
        epsilon=nan,
        p_gg=nan,
        estimate=nan,
        se=nan,
        epsilon_box=nan,
        p_box=nan,
    )
