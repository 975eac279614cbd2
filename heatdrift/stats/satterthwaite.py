"""Satterthwaite degrees of freedom of a REML fit, as lmerTest computes them, from closed-form derivatives.

The df of a contrast c are 2 (c'Cc)^2 / Var(c'Cc), with C the covariance of the fixed effects and the variance by the
delta method: gradient of c'Cc in the variances, and their covariance from the observed information of the REML
criterion. A variance at zero is held there (its square root, lmerTest's parameter, has no slope), so a singular fit
gets the df of the model without that component. For several df, lmerTest combines the df of the eigenvectors of the
contrasts' covariance.

References: Kuznetsova, Brockhoff, Christensen (2017), J. Stat. Softw. 82(13); Fai and Cornelius (1996) for several df.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.stats.mixed import SINGULAR_RATIO, MixedFit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Satterthwaite:
    """Tests of linear hypotheses about the fixed effects; build it with `satterthwaite`."""

    fit: MixedFit
    jacobian: Floats  # (parameters, p, p): derivative of cov_beta in each variance
    cov_variances: Floats  # (parameters, parameters)

    def contrast(self, row: Floats) -> tuple[float, float, float]:
        """Estimate, standard error and df of one contrast, `row` of shape (p,)."""
        variance = float(row @ self.fit.cov_beta @ row)
        return float(row @ self.fit.beta), float(np.sqrt(variance)), self._df(row, variance)

    def term(self, rows: Floats) -> tuple[float, float, float]:
        """F, numerator df and denominator df of the joint hypothesis rows @ beta = 0, `rows` of shape (q, p)."""
        values, vectors = np.linalg.eigh(rows @ self.fit.cov_beta @ rows.T)
        kept = values > np.sqrt(np.finfo(float).eps) * values[-1]
        values, directions = values[kept], vectors[:, kept].T @ rows
        f = float(np.mean((directions @ self.fit.beta) ** 2 / values))
        dfs = np.array([self._df(d, float(v)) for d, v in zip(directions, values, strict=True)])
        return f, float(dfs.size), _pooled_df(dfs)

    def _df(self, row: Floats, variance: float) -> float:
        gradient = np.einsum("i,kij,j->k", row, self.jacobian, row)
        return float(2.0 * variance**2 / (gradient @ self.cov_variances @ gradient))


def satterthwaite(fit: MixedFit) -> Satterthwaite:
    """Prepare the tests of a REML fit: derivatives of its covariance and the covariance of its variances."""
    v_inverse = np.linalg.inv(fit.covariance)
    vx = v_inverse @ fit.x
    projector = v_inverse - vx @ fit.cov_beta @ vx.T
    residual = projector @ fit.y
    indicators = [g.indicator for g, ratio in zip(fit.groupings, fit.ratios, strict=True) if ratio >= SINGULAR_RATIO]
    indicators.append(np.eye(fit.y.size))
    information = np.empty((len(indicators), len(indicators)))
    for i, zi in enumerate(indicators):
        for j, zj in enumerate(indicators):
            between = zi.T @ projector @ zj
            information[i, j] = -np.sum(between**2) + 2.0 * (zi.T @ residual) @ between @ (zj.T @ residual)
    slopes = [fit.cov_beta @ (vx.T @ z) for z in indicators]
    return Satterthwaite(
        fit=fit,
        jacobian=np.stack([s @ s.T for s in slopes]),
        cov_variances=np.asarray(2.0 * np.linalg.inv(information)),
    )


def _pooled_df(dfs: Floats) -> float:
    """Denominator df of an F from the df of its orthogonal t (lmerTest's rule: 2 when one of them is <= 2)."""
    if dfs.size == 1 or np.ptp(dfs) < 1e-8 * max(1.0, float(dfs.max())):
        return float(dfs.mean())
    if np.any(dfs <= 2.0):
        return 2.0
    expected = float(np.sum(dfs / (dfs - 2.0)))
    return 2.0 * expected / (expected - dfs.size)
