"""Logistic regression with crossed random intercepts, by Laplace's approximation.

    logit P = X beta + sd_0 * b_i + sum over k of sd_k * c_k[level of the row in grouping k],   b, c ~ N(0, 1)

Columns (images) are one sample of thousands, the groupings of rows (seeds, runs) have few levels. So the Hessian of
the random effects is diagonal but for a few rows, and a column costs its own terms alone: what lme4's ``glmer`` does
with sparse matrices (Bates, Maechler, Bolker and Walker 2015), for this one layout. Tests hold it to ``glmer``.

Columns with equal results have equal effects and are passed once with their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

_NEWTON_STEPS: Final = 60
_CONVERGED: Final = 1e-7  # of the log-likelihood; Newton's last step leaves far less, so differences of it are smooth
_STEP: Final = 1e-4  # of numerical derivatives
_ROUGH, _FINE = 1e-5, 1e-10  # relative changes of the deviance at which the two searches end
_LARGEST_SD: Final = 25.0


@dataclass(frozen=True, slots=True)
class CrossedLogistic:
    """Estimates of a fit.

    Attributes
    ----------
    beta, se : (p,) fixed effects in log-odds, and their standard errors given the standard deviations.
    sds : standard deviation of the columns' intercepts, then of each grouping's, in log-odds.
    converged : whether the optimiser says so.
    """

    beta: Floats
    se: Floats
    sds: tuple[float, ...]
    converged: bool


def crossed_logistic(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    x: Floats,
    groupings: Sequence[Codes] = (),
    weights: npt.ArrayLike | None = None,
) -> CrossedLogistic:
    """Fit the model.

    Parameters
    ----------
    successes, trials : (G, M) counts of every row and column; 0 trials where there was none.
    x : (G, p) fixed effects of the rows, of full rank.
    groupings : 0-based level of each row (G,), for each random intercept besides that of the columns; -1 = none.
    weights : (M,) how many columns have these results; None = one.
    """
    from scipy import optimize  # slow to import, and only this needs it

    y, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    w = np.ones(y.shape[1]) if weights is None else np.asarray(weights, dtype=float)
    indicators = [np.equal(g[:, None], np.arange(int(np.max(g)) + 1)).astype(float) for g in groupings]
    fit = _Laplace(y, n, x, indicators, w)
    k, p = 1 + len(groupings), x.shape[1]
    bounds = [(0.0, _LARGEST_SD)] * k
    # First with the fixed effects at their joint mode: a good start, from which few steps of all parameters are left.
    first = optimize.minimize(
        fit.joint, np.ones(k), method="L-BFGS-B", bounds=bounds, options={"eps": _STEP, "ftol": _ROUGH}
    )
    found = optimize.minimize(
        fit.marginal,
        np.concatenate([first.x, fit.beta]),
        method="L-BFGS-B",
        bounds=[*bounds, *[(None, None)] * p],
        options={"eps": _STEP, "ftol": _FINE},
    )
    fit.marginal(found.x)
    return CrossedLogistic(
        beta=np.asarray(found.x[k:]),
        se=fit.standard_errors(),
        sds=tuple(float(sd) for sd in found.x[:k]),
        converged=bool(found.success),
    )


@dataclass(slots=True)
class _Laplace:
    """The data, and the random effects at which the last evaluation ended: the next one starts there."""

    y: Floats
    n: Floats
    x: Floats
    indicators: Sequence[Floats]
    w: Floats
    beta: Floats = field(init=False)
    columns: Floats = field(init=False)
    rows: Floats = field(init=False)
    _information: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.beta = np.zeros(self.x.shape[1])
        self.columns = np.zeros(self.y.shape[1])
        self.rows = np.zeros(sum(i.shape[1] for i in self.indicators))

    def joint(self, sds: Floats) -> float:
        """Deviance with the fixed effects at the mode that they have together with the random ones."""
        return self._deviance(sds, None)

    def marginal(self, parameters: Floats) -> float:
        """Deviance at standard deviations and fixed effects."""
        k = 1 + len(self.indicators)
        return self._deviance(parameters[:k], parameters[k:])

    def standard_errors(self) -> Floats:
        """Of the fixed effects, where the last evaluation was."""
        p = self.x.shape[1]
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(self._information))[-p:]))

    def _deviance(self, sds: Floats, beta: Floats | None) -> float:
        """Return minus twice Laplace's log-likelihood, without the binomial coefficients."""
        p, q = self.x.shape[1], self.rows.size
        z = np.hstack([sd * i for sd, i in zip(sds[1:], self.indicators, strict=True)] + [self.x])
        free = q + p if beta is None else q  # the fixed effects move with the random ones, or not at all
        effects = np.concatenate([self.rows, self.beta if beta is None else beta])
        columns = self.columns.copy()
        value = self._penalised(sds[0], z, columns, effects, q)
        for _ in range(_NEWTON_STEPS):
            step_columns, step = self._newton(sds[0], z, columns, effects, q, free)
            size = 1.0
            while size > 1e-4:
                trial = columns + size * step_columns, effects + size * step
                better = self._penalised(sds[0], z, *trial, q)
                if better >= value - 1e-12 * abs(value):
                    break
                size /= 2
            gained, value = better - value, better
            columns, effects = trial
            if abs(gained) < _CONVERGED:
                break
        self.columns, self.rows, self.beta = columns, effects[:q], effects[q:]
        diagonal, _, schur = self._curvature(sds[0], z, columns, effects, q)
        self._information = schur
        of_rows = 2.0 * np.sum(np.log(np.diag(linalg.cholesky(schur[:q, :q])))) if q else 0.0
        return float(-2.0 * value + np.sum(self.w * np.log(diagonal)) + of_rows)

    def _linear(self, sd: float, z: Floats, columns: Floats, effects: Floats) -> Floats:
        return np.asarray((z @ effects)[:, None] + sd * columns[None, :])

    def _penalised(self, sd: float, z: Floats, columns: Floats, effects: Floats, q: int) -> float:
        eta = self._linear(sd, z, columns, effects)
        per_column = np.sum(self.y * eta - self.n * np.logaddexp(0.0, eta), axis=0) - 0.5 * columns**2
        return float(self.w @ per_column - 0.5 * np.sum(effects[:q] ** 2))

    def _curvature(
        self, sd: float, z: Floats, columns: Floats, effects: Floats, q: int
    ) -> tuple[Floats, Floats, Floats]:
        """Diagonal of the columns' block (M,), their coupling to the rest (M, k), the Schur complement of the rest."""
        chance = special.expit(self._linear(sd, z, columns, effects))
        curve = self.n * chance * (1.0 - chance)
        diagonal = sd**2 * curve.sum(axis=0) + 1.0
        coupling = sd * (curve.T @ z)
        rest = z.T @ ((curve @ self.w)[:, None] * z) + np.diag(np.arange(z.shape[1]) < q)
        return diagonal, coupling, rest - coupling.T @ ((self.w / diagonal)[:, None] * coupling)

    def _newton(
        self, sd: float, z: Floats, columns: Floats, effects: Floats, q: int, free: int
    ) -> tuple[Floats, Floats]:
        diagonal, coupling, schur = self._curvature(sd, z, columns, effects, q)
        missing = self.y - self.n * special.expit(self._linear(sd, z, columns, effects))
        slope_columns = sd * missing.sum(axis=0) - columns
        slope = z.T @ (missing @ self.w) - np.where(np.arange(z.shape[1]) < q, effects, 0.0)
        reduced = slope - coupling.T @ (self.w * slope_columns / diagonal)
        step = np.zeros(effects.size)
        if free:
            step[:free] = np.linalg.solve(schur[:free, :free], reduced[:free])
        return (slope_columns - coupling @ step) / diagonal, step
