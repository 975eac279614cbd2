"""Profile-likelihood intervals of variances, of fixed effects and contrasts, and of the ICC.

An interval holds the values whose profiled deviance is at most the chi-square(1) quantile above the optimum. A variance
component is profiled by its standard deviation, 0 included. Which likelihood:

- fixed effects and contrasts by ML, as lme4's ``confint`` does (REML deviances of different fixed parts do not
  compare);
- variances by REML, because ML takes no account of the fixed effects (16 coefficients on 80 runs) and is biased
  towards 0. ``confint(lmer)`` refits by ML first; `variance_interval` with ``reml=False`` gives its numbers.

Both refer to a chi-square, which knows nothing of few seeds: see the coverage in docs/calibration.md.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.stats.deviance import Grouping, ProfiledDeviance, profiled_deviance
from heatdrift.stats.mixed_model import MixedFit, fit_many, fit_mixed

Floats = npt.NDArray[np.float64]

_WIDEST: Final = 60  # doublings of a bracket before an end point counts as infinite
_SHARES: Final = np.linspace(0.0, 1.0, 41)


def _cutoff(level: float) -> float:
    """Chi-square(1) quantile at `level`."""
    return float(special.ndtri(0.5 + level / 2.0)) ** 2


def variance_interval(fit: MixedFit, component: int, level: float, *, reml: bool = True) -> tuple[float, float]:
    """Interval of the variance of random intercept `component` (0-based; the number of intercepts = the residual).

    The lower end of a random intercept is 0 where the deviance at 0 is within the cutoff.
    """
    if fit.reml != reml:
        fit = fit_mixed(fit.y, fit.x, fit.groupings, reml=reml)
    scale = fit.residual_variance
    moments = profiled_deviance(fit.x, fit.groupings, reml=reml)
    u, yy = moments.project(fit.y[None, :] / np.sqrt(scale))
    k = len(fit.groupings)
    estimate = np.append(fit.ratios, 1.0)
    best = _fixed_at(moments, u, yy, component, float(np.sqrt(estimate[component])), estimate)
    target = best + _cutoff(level)

    def excess(sd: float) -> float:
        return _fixed_at(moments, u, yy, component, sd, estimate) - target

    centre = float(np.sqrt(estimate[component]))
    low = 0.0
    if component == k or excess(0.0) > 0.0:
        below = centre / 2.0
        while excess(below) < 0.0:
            below /= 2.0
        low = _root(excess, below, centre)
    above = max(2.0 * centre, 0.5)
    for _ in range(_WIDEST):
        if excess(above) > 0.0:
            return low**2 * scale, _root(excess, centre, above) ** 2 * scale
        above *= 2.0
    return low**2 * scale, float("inf")


def _fixed_at(moments: ProfiledDeviance, u: Floats, yy: Floats, component: int, sd: float, start: Floats) -> float:
    """Deviance minimised over all variances but `component`, which is sd ** 2."""
    from scipy.optimize import minimize

    k = moments.member.shape[1]
    free = [i for i in range(k) if i != component]

    def objective(parameters: Floats) -> tuple[float, Floats]:
        variances = np.zeros(k)
        variances[free] = parameters[: len(free)]
        residual = sd**2
        if component < k:
            variances[component] = sd**2
            residual = float(np.exp(parameters[-1]))
        value, slopes, in_residual = moments.absolute(variances[None, :], np.array([residual]), u, yy)
        gradient = slopes[0][free]
        return float(value[0]), np.append(gradient, in_residual[0]) if component < k else gradient

    begin = np.append(start[free], 0.0) if component < k else start[free]
    bounds = [(0.0, None)] * len(free) + ([(-30.0, 30.0)] if component < k else [])
    if begin.size == 0:
        return objective(begin)[0]
    tight = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500}
    return float(minimize(objective, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=tight).fun)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-10, rtol=1e-10))


def contrast_intervals(
    y: Floats, x: Floats, groupings: Sequence[Grouping], rows: Floats, level: float
) -> tuple[Floats, Floats]:
    """ML profile intervals of the contrasts `rows` (m, p) of the fixed effects: lower and upper ends, each (m,).

    A contrast held at d leaves a smaller design and the response y - d x c / (c'c), so both ends are refitted together.
    """
    full = fit_mixed(y, x, groupings, reml=False)
    goal = np.sqrt(_cutoff(level))
    ends = np.empty((rows.shape[0], 2))
    for i, row in enumerate(rows):
        direction = x @ row / (row @ row)
        smaller = x @ np.linalg.svd(row[None, :])[2][1:].T
        estimate = float(row @ full.beta)
        se = float(np.sqrt(row @ full.cov_beta @ row))
        steps = goal * se * np.array([-1.0, 1.0])
        previous, known = np.zeros(2), np.zeros(2)
        for _ in range(40):
            fits = fit_many(y - (estimate + steps)[:, None] * direction, smaller, groupings, reml=False)
            zeta = np.sqrt(np.maximum(2.0 * (full.loglik - fits.loglik), 0.0))
            missing = goal - zeta
            if np.max(np.abs(missing)) < 1e-9:
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = (zeta - known) / (steps - previous)  # the signed root of the deviance is nearly a line
                moved = steps + missing / slope
            usable = np.isfinite(moved) & (moved * steps > 0)
            previous, known, steps = steps, zeta, np.where(usable, moved, 2.0 * steps)
        ends[i] = estimate + steps
    return ends[:, 0], ends[:, 1]


def icc_interval(fit: MixedFit, level: float) -> tuple[float, float]:
    """REML profile interval of the ICC: the share of all random intercepts in the variance; 0 allowed."""
    moments = profiled_deviance(fit.x, fit.groupings, reml=True)
    u, yy = moments.project(fit.y[None, :])
    k = len(fit.groupings)
    shares = np.ones((1, 1)) if k == 1 else np.column_stack([_SHARES, 1.0 - _SHARES])
    many_u, many_yy = (np.broadcast_to(a, (shares.shape[0], *a.shape[1:])) for a in (u, yy))
    best = -2.0 * fit.loglik - moments.constant
    total = float(np.sum(fit.ratios))

    def excess(log_ratio: float) -> float:
        deviance = moments.deviance(np.expm1(log_ratio) * shares, many_u, many_yy)[0]
        return float(np.min(deviance)) - best - _cutoff(level)

    centre, low, high = float(np.log1p(total)), 0.0, float("inf")
    if excess(0.0) > 0.0:
        low = _root(excess, 0.0, centre)
    above = centre + 1.0
    while excess(above) < 0.0 and above < _WIDEST:
        above += 1.0
    if above < _WIDEST:
        high = _root(excess, centre, above)
    return -float(np.expm1(-low)), -float(np.expm1(-high))
