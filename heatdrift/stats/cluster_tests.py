"""Cluster-robust tests: t of one contrast for many responses at once, F of several contrasts for one response.

For q contrasts their orthonormal form is tested: F = sum of squared estimates / sum over clusters of squared corrected
parts (``cluster_robust.py``), df q and Satterthwaite's. In balanced data every cluster yields the contrasts with equal
precision, whatever variances cluster, cluster x factor and so on have, and this is the repeated-measures test: a
one-sample t on one value per cluster for q = 1 (df S - 1), MS(term) / MS(term x cluster) for q > 1 (df q and
q (S - 1)). Clusters in which no part of a contrast can be estimated contribute nothing and are not counted; one alone
tests nothing. What depends on the design alone is prepared once, so thousands of responses cost two matrix products.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.cluster_robust import NO_SPREAD, Fit
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.group_means import group_rows
from heatdrift.stats.intervals import t_interval

Floats = npt.NDArray[np.float64]

_NO_PART: Final = 1e-10  # of an orthonormal contrast: what a cluster adds that takes no part in it


@dataclass(frozen=True, slots=True)
class TTests:
    """Results per response (...,): estimate, standard error, t and two-sided p; df and number of clusters are shared.

    The estimate is NaN where the design cannot give it; the rest also where clusters cannot test it or nothing varies.
    """

    estimate: Floats
    se: Floats
    t: Floats
    p: Floats
    df: float
    n_clusters: int

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Confidence limits of the estimates."""
        return t_interval(self.estimate, self.se, self.df, level)


@dataclass(frozen=True, slots=True)
class FTest:
    """Result of one test of q contrasts.

    ``estimate`` and ``se`` belong to the single contrast when q = 1 (else NaN). ``p`` is exact where the q contrasts of
    a cluster have equal variances and no correlation (sphericity). ``epsilon`` is Greenhouse and Geisser's, from the
    clusters' own contrasts (1 when q = 1), ``p_gg`` the p after multiplying both df by it: very cautious with few
    clusters. ``epsilon_box`` and ``p_box`` are Box's (``sphericity.py``), 1 and p until `corrected`.
    """

    f: float
    df_num: float
    df_den: float
    p: float
    n_clusters: int
    epsilon: float
    p_gg: float
    estimate: float
    se: float
    epsilon_box: float
    p_box: float

    @classmethod
    def of(cls, f: float, q: int, df: float, n_clusters: int, epsilon: float, *, estimate: float, se: float) -> "FTest":
        """Return the test with its p and its p by Greenhouse and Geisser; all NaN where f or df is."""
        p = f_p_value(f, q, df)
        p_gg = f_p_value(f, q * epsilon, df * epsilon)
        return cls(f, float(q), df, p, n_clusters, epsilon, p_gg, estimate, se, 1.0 if p == p else p, p)

    @classmethod
    def undefined(cls, q: int) -> "FTest":
        """Return the test of `q` contrasts that the clusters at hand cannot estimate or test: NaN."""
        nan = float("nan")
        return cls.of(nan, q, nan, 0, nan, estimate=nan, se=nan)

    def corrected(self, epsilon: float) -> "FTest":
        """Return the same test with Box's epsilon."""
        p = f_p_value(self.f, self.df_num * epsilon, self.df_den * epsilon)
        return replace(self, epsilon_box=epsilon, p_box=p)

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence interval of the single contrast."""
        return t_interval(self.estimate, self.se, self.df_den, level)


@dataclass(frozen=True, slots=True)
class ClusterContrast:
    """q contrasts of one fit, the same for every response on its design; build it with `cluster_contrast`.

    Attributes
    ----------
    parts, orthonormal : (q, n) contributions of the rows to the contrasts, as asked and in orthonormal form (NaN: not
        estimable).
    corrected_weights : (q, n) corrected contributions to the orthonormal contrasts, scaled up by what residuals do not
        show.
    df : of the error; NaN where fewer than two clusters contribute or residuals show next to nothing.
    n_clusters : clusters that contribute.
    """

    fit: Fit
    parts: Floats
    orthonormal: Floats
    corrected_weights: Floats
    df: float
    n_clusters: int

    @property
    def testable(self) -> bool:
        """Whether the clusters at hand can estimate and test it."""
        return self.df > 0

    def scores(self, y: Floats) -> Floats:
        """Corrected parts of the orthonormal contrasts, (B, S, q), of responses (B, n).

        Residuals are taken of the responses or of the corrected weights, whichever are fewer.
        """
        q, n = self.corrected_weights.shape
        members = group_rows(self.fit.clusters)
        if y.shape[0] <= len(members) * q:
            free = self.fit.residuals(y)
            return np.stack([free[:, m] @ self.corrected_weights[:, m].T for m in members], axis=1)
        placed = np.zeros((len(members), q, n))
        placed[self.fit.clusters, :, np.arange(n)] = self.corrected_weights.T
        makers = self.fit.residuals(placed.reshape(-1, n))
        return (y @ makers.T).reshape(-1, len(members), q)

    def statistics(self, y: Floats) -> tuple[Floats, Floats]:
        """F and Greenhouse and Geisser's epsilon, each (B,), of responses (B, n); NaN where nothing varies."""
        scores = self.scores(y)
        q = scores.shape[2]
        spread = np.einsum("bsi,bsj->bij", scores, scores)
        total = _defined(np.trace(spread, axis1=1, axis2=2), q, y)
        return np.sum((y @ self.orthonormal.T) ** 2, axis=1) / total, total**2 / (q * np.sum(spread**2, axis=(1, 2)))

    def f_test(self, y: Floats) -> FTest:
        """Test all contrasts of one response (n,) at once; NaN where they cannot be tested."""
        q = self.parts.shape[0]
        if not self.testable:
            return FTest.undefined(q)
        f, epsilon = (float(values[0]) for values in self.statistics(y[None, :]))
        single = self.t_tests(y) if q == 1 else None
        estimate, se = (float(single.estimate), float(single.se)) if single else (float("nan"),) * 2
        return FTest.of(f, q, self.df, self.n_clusters, epsilon, estimate=estimate, se=se)

    def t_tests(self, y: Floats) -> TTests:
        """Test the single contrast of every response (..., n) against 0; no spread gives NaN, never infinity."""
        estimate = np.asarray(y @ self.parts[0])
        se = np.full(estimate.shape, np.nan)
        if self.testable:
            flat = y.reshape(-1, y.shape[-1])
            variance = _defined(np.sum(self.scores(flat) ** 2, axis=(1, 2)), 1, flat)
            se = np.sqrt(variance).reshape(estimate.shape) * np.linalg.norm(self.parts[0])
        t = estimate / se
        p = 2.0 * special.stdtr(self.df, -np.abs(t))
        return TTests(estimate=estimate, se=se, t=t, p=np.asarray(p), df=self.df, n_clusters=self.n_clusters)


def cluster_contrast(fit: Fit, rows: Floats) -> ClusterContrast:
    """Prepare the test of rows @ coefficients = 0, `rows` of shape (q, p)."""
    parts = fit.parts(rows)
    q, n = rows.shape[0], fit.clusters.size
    nothing = np.full((q, n), np.nan)
    if parts is None:
        return ClusterContrast(fit, nothing, nothing, nothing, float("nan"), 0)
    gram = parts @ parts.T
    if np.linalg.matrix_rank(gram) < q:
        return ClusterContrast(fit, parts, nothing, nothing, float("nan"), 0)
    orthonormal = np.linalg.inv(np.linalg.cholesky(gram)) @ parts
    found = fit.corrected(orthonormal)
    share, df = found.residual_share_and_df()
    n_clusters = np.unique(fit.clusters[np.abs(orthonormal).max(axis=0) > _NO_PART]).size
    if n_clusters < 2 or np.isnan(df):
        return ClusterContrast(fit, parts, orthonormal, found.corrected_weights, float("nan"), n_clusters)
    return ClusterContrast(fit, parts, orthonormal, found.corrected_weights / np.sqrt(share), df, n_clusters)


def _defined(total: Floats, q: int, y: Floats) -> Floats:
    """Sums of squares of q orthonormal contrasts (B,), NaN where they are the rounding of responses (B, n)."""
    return np.where(total > q * (NO_SPREAD * np.max(np.abs(y), axis=1)) ** 2, total, np.nan)
