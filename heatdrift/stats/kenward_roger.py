"""Kenward-Roger covariance, F scaling and degrees of freedom of a REML fit, as pbkrtest computes them.

Unlike Satterthwaite's, the adjustment uses the expected information of all variances, also of those estimated as zero:
at a singular fit it keeps the df of the grouping, which is the cautious answer.

References: Kenward and Roger (1997), Biometrics 53, 983-997; Halekoh and Hojsgaard (2014), J. Stat. Softw. 59(9).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.errors import StatsError
from heatdrift.stats.deviance import grouped_sums
from heatdrift.stats.mixed_model import MixedFit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """Tests of linear hypotheses about the fixed effects; build it with `kenward_roger`."""

    fit: MixedFit
    cov_adjusted: Floats  # (p, p)
    bent: Floats  # (parameters, p, p): C P_i C with C = cov_beta and P_i = -X'V^-1 G_i V^-1 X
    cov_variances: Floats  # (parameters, parameters)

    def contrast(self, row: Floats) -> tuple[float, float, float]:
        """Estimate, standard error (adjusted covariance) and df of one contrast, `row` of shape (p,)."""
        _, df, _ = self._moments(row[None, :])
        return float(row @ self.fit.beta), float(np.sqrt(row @ self.cov_adjusted @ row)), df

    def term(self, rows: Floats) -> tuple[float, float, float]:
        """Scaled F, numerator df and denominator df of rows @ beta = 0, `rows` of shape (q, p) and rank q."""
        q, df, scale = self._moments(rows)
        effect = rows @ self.fit.beta
        wald = effect @ np.linalg.solve(rows @ self.cov_adjusted @ rows.T, effect)
        return float(scale * wald / q), float(q), df

    def _moments(self, rows: Floats) -> tuple[int, float, float]:
        """Rank, denominator df and F scaling: the two moments of F matched to a scaled F distribution."""
        q = rows.shape[0]
        parts = np.linalg.solve(rows @ self.fit.cov_beta @ rows.T, rows @ self.bent @ rows.T)  # (parameters, q, q)
        traces = np.trace(parts, axis1=1, axis2=2)
        a1 = float(traces @ self.cov_variances @ traces)
        a2 = float(np.sum(self.cov_variances * np.einsum("kij,lji->kl", parts, parts)))
        b = (a1 + 6.0 * a2) / (2.0 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        denominator = 3.0 * q + 2.0 * (1.0 - g)
        v0 = 1.0 + g / denominator * b
        v1 = 1.0 - (q - g) / denominator * b
        v2 = 1.0 - (q + 2 - g) / denominator * b
        v0 = 0.0 if abs(v0) < 1e-10 else v0
        expected = 1.0 - a2 / q
        both_zero = abs(expected) < 1e-14 and abs(v1) < 1e-14  # as pbkrtest: 0 / 0 counts as 1
        with np.errstate(divide="ignore"):  # v1 = 0 is legal: rho is infinite and the df are exactly 4
            ratio = 1.0 if both_zero else np.divide(expected, v1)
            df = float(4.0 + (q + 2) / (ratio**2 * np.divide(v0, v2) - 1.0))
        scale = 1.0 if abs(df - 2.0) < 0.01 else df * expected / (df - 2.0)
        return q, df, scale


def kenward_roger(fit: MixedFit) -> KenwardRoger:
    """Prepare the tests of a REML fit: adjusted covariance, and that of its variances by expected information."""
    k, p = len(fit.groupings) + 1, fit.x.shape[1]
    phi, s2, groups = fit.cov_beta, fit.residual_variance, fit.groups
    vx = fit.solve(fit.x)
    # Z_k'V^-1 X, the residual's Z being the identity
    zx = [*np.split(grouped_sums(fit.groupings, vx), groups.ends), vx]
    zvx = np.split(groups.weights.T @ np.concatenate(zx[:-1]), groups.ends)  # Z_k'V^-2 X
    slopes = np.stack([-(m.T @ m) for m in zx])
    # from V^-1 V V^-1 = V^-1 with V = s2 I + sum v_k Z_k Z_k': the traces of V^-1 and V^-2 without an (n, n) matrix
    squared = groups.squared_traces
    trace = (fit.y.size - float(fit.variances @ groups.traces)) / s2
    square = (trace - float(fit.variances @ squared)) / s2
    products = np.empty((k, k, p, p))
    information = np.empty((k, k))
    for i in range(k):
        for j in range(i, k):
            if j < k - 1:
                between = groups.block(i, j)
                products[i, j], squares = zx[i].T @ (between @ zx[j]), float(np.sum(between**2))
            elif i < k - 1:
                products[i, j], squares = zx[i].T @ zvx[i], float(squared[i])
            else:
                products[i, j], squares = vx.T @ fit.solve(vx), square
            products[j, i] = products[i, j].T
            information[i, j] = information[j, i] = (
                squares - 2.0 * np.sum(phi * products[i, j]) + np.sum((phi @ slopes[i]) * (slopes[j] @ phi))
            )
    if not np.isfinite(information).all():
        raise StatsError(
            "the variances of this model cannot be told apart: Kenward and Roger's information is not finite",
            hint="choose another --random, or a wider selection",
        )
    size = np.abs(np.linalg.eigvalsh(information))
    regular = size.min() > 1e-12 * size.max()  # relative, so that the unit of the metric does not matter
    weights: Floats = 2.0 * np.asarray(np.linalg.inv(information) if regular else np.linalg.pinv(information))
    bend = np.einsum("ij,ijab->ab", weights, products - (slopes @ phi)[:, None] @ slopes[None])
    adjusted = phi + 2.0 * phi @ bend @ phi
    return KenwardRoger(
        fit=fit, cov_adjusted=(adjusted + adjusted.T) / 2.0, bent=phi @ slopes @ phi, cov_variances=weights
    )
