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

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.errors import StatsError
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.seed_test import SeedTest

Floats = npt.NDArray[np.float64]

# Below it next to nothing of a contrast's variance shows between seeds: there is no error term, only rounding.
LEAST_SEEN: Final = 0.05


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
        self._seeds = seeds
        self._members = [np.flatnonzero(seeds == s) for s in range(self.n_seeds)]
        self._x = x - seed_means(x, seeds)
        self._x[np.abs(self._x) < 1e-12 * np.abs(x).max()] = 0.0  # a column constant within seeds is no column
        left, sizes, right = np.linalg.svd(self._x, full_matrices=False)
        kept = sizes > 1e-10 * sizes[0]
        self._basis = left[:, kept]  # (n, rank)
        self._inverse = (right[kept].T / sizes[kept]) @ left[:, kept].T  # (p, n)
        self._y = y - seed_means(y[:, None], seeds)[:, 0]

    @cached_property
    def _leverage_roots(self) -> list[Floats]:
        """Per seed the pseudo-inverse square root of its block of the residual maker (the CR2 correction).

        The residual maker is (n, n): only these blocks of it are ever formed, once for seeds with the same rows.
        """
        known: dict[bytes, Floats] = {}
        roots = []
        for members in self._members:
            key = self._x[members].tobytes()
            if key not in known:
                own = self._basis[members]
                known[key] = leverage_root(np.eye(members.size) - 1.0 / members.size - own @ own.T)
            roots.append(known[key])
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
        loads = np.empty_like(white)
        for members, root in zip(self._members, self._leverage_roots, strict=True):
            loads[:, members] = white[:, members] @ root
        n_seeds = sum(bool(np.abs(white[:, m]).max() > 1e-10) for m in self._members)
        trace, squares = self._working(loads)
        seen = trace / q  # share of the variance that residuals show; 1 if balanced
        if n_seeds < 2 or seen < LEAST_SEEN:
            return None
        return SeedHypothesis(
            parts=parts,
            white=white,
            loads=loads / np.sqrt(seen),
            basis=self._basis,
            seeds=self._seeds,
            df_den=trace**2 / squares,
            n_seeds=n_seeds,
        )

    def _working(self, loads: Floats) -> tuple[float, float]:
        """Trace and sum of squares of M M', M the (seeds * q, n) corrected parts, from its blocks.

        Block s, t is -C_s C_t' with C_s = loads_s U_s (q, rank), and on the diagonal D_s - C_s C_s', D_s of the
        demeaned loads. The sum over s != t is that of all pairs less the diagonal, in the smaller of two Gram forms.
        """
        trace = squares = 0.0
        crossed = np.stack([loads[:, m] @ self._basis[m] for m in self._members])  # (seeds, q, rank)
        n_seeds, q, rank = crossed.shape
        for members, own in zip(self._members, crossed, strict=True):
            free = loads[:, members] - loads[:, members].mean(axis=1, keepdims=True)
            outer = own @ own.T
            block = free @ free.T - outer
            trace += float(np.trace(block))
            squares += float(np.sum(block**2) - np.sum(outer**2))
        if n_seeds * q <= rank:
            stacked = crossed.reshape(n_seeds * q, rank)
            return trace, squares + float(np.sum((stacked @ stacked.T) ** 2))
        stacked = crossed.reshape(n_seeds * q, rank)
        return trace, squares + float(np.sum((stacked.T @ stacked) ** 2))

    def test(self, rows: Floats) -> SeedTest:
        """Test rows @ beta = 0, `rows` of shape (q, p); NaN results when the seeds at hand cannot estimate it."""
        return self.tested(self.hypothesis(rows), rows.shape[0])

    def tested(self, hypothesis: "SeedHypothesis | None", q: int) -> SeedTest:
        """Test a prepared hypothesis of `q` rows."""
        if hypothesis is None:
            return SeedTest.undefined(q)
        statistics, epsilons = hypothesis.statistics(self._y[None, :])
        f, epsilon, df = float(statistics[0]), float(epsilons[0]), hypothesis.df_den
        estimate = float(hypothesis.parts[0] @ self._y)
        variance = float(np.sum(hypothesis.scores(self._y[None, :]) ** 2) * np.sum(hypothesis.parts[0] ** 2))
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
    loads : (q, n) leverage-corrected contributions; applied to the residuals of a seed they give its corrected part.
    basis : (n, rank) orthonormal basis of the design with seeds removed. seeds : (n,) seed of each run.
    df_den, n_seeds : denominator df and seeds that contribute.
    """

    parts: Floats
    white: Floats
    loads: Floats
    basis: Floats
    seeds: npt.NDArray[np.intp]
    df_den: float
    n_seeds: int

    def scores(self, y: Floats) -> Floats:
        """Corrected parts of the orthonormal contrasts, (B, seeds, q), of responses (B, n)."""
        free = y - seed_means(y.T, self.seeds).T
        free = free - (free @ self.basis) @ self.basis.T
        members = [np.flatnonzero(self.seeds == s) for s in range(int(self.seeds.max()) + 1)]
        return np.stack([free[:, m] @ self.loads[:, m].T for m in members], axis=1)

    def statistics(self, y: Floats) -> tuple[Floats, Floats]:
        """F and Greenhouse-Geisser's epsilon, each (B,), of responses (B, n)."""
        q = self.white.shape[0]
        scores = self.scores(y)
        spread = np.einsum("bsi,bsj->bij", scores, scores)
        total = np.trace(spread, axis1=1, axis2=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            f = np.sum((y @ self.white.T) ** 2, axis=1) / total
            epsilon = total**2 / (q * np.sum(spread**2, axis=(1, 2)))
        return f, epsilon


def seed_means(values: Floats, seeds: npt.NDArray[np.intp]) -> Floats:
    """Replace values (n, k) by their mean over the runs of the same seed (0-based codes, (n,))."""
    order = np.argsort(seeds, kind="stable")
    counts = np.bincount(seeds)
    present = np.flatnonzero(counts)
    sums = np.zeros((counts.size, values.shape[1]))
    sums[present] = np.add.reduceat(values[order], np.r_[0, np.cumsum(counts[present])[:-1]], axis=0)
    return np.asarray((sums / np.maximum(counts, 1)[:, None])[seeds])


def leverage_root(block: Floats) -> Floats:
    """Pseudo-inverse square root of a symmetric block of the residual maker (the CR2 correction)."""
    values, vectors = np.linalg.eigh(block)
    kept = values > 1e-8
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T)
