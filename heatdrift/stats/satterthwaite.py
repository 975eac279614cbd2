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

from heatdrift.stats.deviance import grouped_sums
from heatdrift.stats.mixed_model import SINGULAR_RATIO, MixedFit

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
        return (
            float(row @ self.fit.beta),
            float(np.sqrt(variance)),
            float(self._df(row[None, :], np.array([variance]))[0]),
        )

    def term(self, rows: Floats) -> tuple[float, float, float]:
        """F, numerator df and denominator df of the joint hypothesis rows @ beta = 0, `rows` of shape (q, p)."""
        values, vectors = np.linalg.eigh(rows @ self.fit.cov_beta @ rows.T)
        kept = values > np.sqrt(np.finfo(float).eps) * values[-1]
        values, directions = values[kept], vectors[:, kept].T @ rows
        f = float(np.mean((directions @ self.fit.beta) ** 2 / values))
        dfs = self._df(directions, values)
        return f, float(dfs.size), _pooled_df(dfs)

    def _df(self, rows: Floats, variances: Floats) -> Floats:
        """Df (m,) of contrasts (m, p) with these variances (m,)."""
        gradient = np.stack([np.sum((rows @ slope) * rows, axis=1) for slope in self.jacobian], axis=1)
        return np.asarray(2.0 * variances**2 / np.sum((gradient @ self.cov_variances) * gradient, axis=1))


def satterthwaite(fit: MixedFit) -> Satterthwaite:
    """Prepare the tests of a REML fit: derivatives of its covariance and the covariance of its variances."""
    vx = fit.solve(fit.x)

    def project(b: Floats) -> Floats:  # P b, with P = V^-1 - V^-1 X C X'V^-1
        return np.asarray(fit.solve(b) - vx @ (fit.cov_beta @ (vx.T @ b)))

    groups = fit.groups
    zx = np.split(grouped_sums(fit.groupings, vx), groups.ends)  # Z_k'V^-1 X
    zvx = np.split(groups.weights.T @ np.concatenate(zx), groups.ends)  # Z_k'V^-2 X
    kept = [k for k, ratio in enumerate(fit.ratios) if ratio >= SINGULAR_RATIO]
    residual = project(fit.y)
    twice = project(residual)
    c, inner = fit.cov_beta, vx.T @ vx
    # from P V P = P with V = s2 I + sum v_k Z_k Z_k': the traces of P and of P P without either (n, n) matrix
    s2 = fit.residual_variance
    traces = [t - float(np.sum((m @ c) * m)) for t, m in zip(groups.traces, zx, strict=True)]
    squares = [
        t - 2.0 * float(np.sum((a @ c) * m)) + float(np.sum((m @ c @ inner @ c) * m))
        for t, a, m in zip(groups.squared_traces, zvx, zx, strict=True)
    ]  # tr Z_k'P P Z_k
    trace = (fit.y.size - fit.x.shape[1] - float(fit.variances @ traces)) / s2
    square = (trace - float(fit.variances @ squares)) / s2
    sums = [fit.groupings[k].sums(residual) for k in kept]
    information = np.empty((len(kept) + 1, len(kept) + 1))
    for i, k in enumerate(kept):
        for j, other in enumerate(kept):
            between = groups.block(k, other) - zx[k] @ c @ zx[other].T  # Z_k'P Z_j
            information[i, j] = -np.sum(between**2) + 2.0 * sums[i] @ between @ sums[j]
        last = -squares[k] + 2.0 * sums[i] @ fit.groupings[k].sums(twice)
        information[i, -1] = information[-1, i] = last
    information[-1, -1] = -square + 2.0 * residual @ twice
    slopes = [c @ zx[k].T for k in kept] + [c @ vx.T]
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
