"""Profiled REML and ML of random-intercept models, the boundary included.

The model is y = X b + sum_k Z_k u_k + e with u_k ~ N(0, v_k I), e ~ N(0, s2 I). The likelihood is profiled over b and
s2, so the optimiser sees only the variance ratios g_k = v_k / s2 >= 0. In terms of the ratios (not of their square
roots, lme4's theta) the deviance is smooth at 0, so a boundary optimum is an ordinary constrained one: g_k = 0 with a
positive slope.

Everything that depends on the ratios is a function of W = Z' S Z (S projects X out), u = Z' S y and y' S y: with
A = (I + W G)^-1 W and b = (I + W G)^-1 u, Z'PZ = A, Z'Py = b, y'Py = y'Sy - u'Gb and log|I + WG| hold exactly. All
functions below take a leading axis of responses, so many responses on one design (layers x heads, bootstrap) cost one
fit.

References: Bates, Maechler, Bolker, Walker (2015), J. Stat. Softw. 67(1), for the profiled criteria, whose values are
lme4's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

# A ratio is called zero below lme4's own limit for singularity: theta < 1e-4, that is v < 1e-8 s2.
SINGULAR_RATIO: Final = 1e-8
_START_RATIOS: Final = (0.0, 1e-2, 0.1, 0.4, 1.5, 6.0, 50.0, 1e3, 1e6)
_MAX_STEPS: Final = 100
_LARGEST_LOG: Final = 30.0  # a ratio of 1e13: beyond it the residual variance is rounding


@dataclass(frozen=True, slots=True)
class Grouping:
    """One random intercept: its name in results and the group (0-based code) of each run."""

    name: str
    codes: Codes

    @property
    def indicator(self) -> Floats:
        """Z_k, shape (runs, groups)."""
        return np.eye(int(self.codes.max()) + 1)[self.codes]


@dataclass(frozen=True, slots=True)
class _Moments:
    """What the criterion needs of a design: inner products of the grouping indicators, raw and with X projected out."""

    w_raw: Floats  # (q, q) Z'Z
    w: Floats  # (q, q) Z'SZ
    member: Floats  # (q, K) which component a column of Z belongs to
    n: int
    p: int
    logdet_xx: float
    reml: bool


@dataclass(frozen=True, slots=True)
class MixedFit:
    """A fitted random-intercept model.

    Attributes
    ----------
    y, x : response (n,) and fixed-effects design (n, p).
    groupings : the random intercepts, in the order asked for.
    reml : whether the criterion was REML (else ML).
    ratios : v_k / s2, each >= 0.
    residual_variance : s2, from the profiled criterion (divisor n - p under REML, n under ML).
    beta, cov_beta : generalised least squares estimates and their covariance at these variances.
    loglik : at the optimum, with lme4's constants.
    """

    y: Floats
    x: Floats
    groupings: tuple[Grouping, ...]
    reml: bool
    ratios: Floats
    residual_variance: float
    beta: Floats
    cov_beta: Floats
    loglik: float

    @property
    def variances(self) -> Floats:
        """v_k of each random intercept."""
        return self.ratios * self.residual_variance

    @property
    def singular(self) -> bool:
        """Whether a variance is zero relative to the residual variance."""
        return bool(np.any(self.ratios < SINGULAR_RATIO))

    @property
    def covariance(self) -> Floats:
        """Covariance of the responses, (n, n)."""
        v = self.residual_variance * np.eye(self.y.size)
        for grouping, variance in zip(self.groupings, self.variances, strict=True):
            v += variance * (grouping.codes[:, None] == grouping.codes[None, :])
        return v


def fit_mixed(y: Floats, x: Floats, groupings: Sequence[Grouping], *, reml: bool = True) -> MixedFit:
    """Fit one response.

    Parameters
    ----------
    y : (n,) finite. x : (n, p), full column rank, p < n. groupings : one or more random intercepts.

    Returns
    -------
    MixedFit at the global optimum of a start grid refined by Newton steps (accurate to about 1e-9 of the residual
    variance).
    """
    fits = fit_many(y[None, :], x, groupings, reml=reml)
    ratios = fits.ratios[0]
    v = np.eye(y.size)
    for grouping, ratio in zip(groupings, ratios, strict=True):
        v += ratio * (grouping.codes[:, None] == grouping.codes[None, :])
    vx = np.linalg.solve(v, x)
    cov_unit = np.linalg.inv(x.T @ vx)
    cov_unit = (cov_unit + cov_unit.T) / 2.0
    s2 = float(fits.residual_variance[0])
    return MixedFit(
        y=y,
        x=x,
        groupings=tuple(groupings),
        reml=reml,
        ratios=ratios,
        residual_variance=s2,
        beta=cov_unit @ (vx.T @ y),
        cov_beta=s2 * cov_unit,
        loglik=float(fits.loglik[0]),
    )


@dataclass(frozen=True, slots=True)
class ManyFits:
    """Variance ratios (B, K), residual variances (B,) and log-likelihoods (B,) of B responses on one design."""

    ratios: Floats
    residual_variance: Floats
    loglik: Floats


def fit_many(y: Floats, x: Floats, groupings: Sequence[Grouping], *, reml: bool = True) -> ManyFits:
    """Fit B responses, y of shape (B, n), that share a design; see `fit_mixed`."""
    n, p = x.shape
    z = np.hstack([g.indicator for g in groupings])
    component = np.repeat(np.arange(len(groupings)), [g.indicator.shape[1] for g in groupings])
    basis, triangle = np.linalg.qr(x)
    z_free = z - basis @ (basis.T @ z)
    y_free = y - (y @ basis) @ basis.T
    moments = _Moments(
        w_raw=z.T @ z,
        w=z_free.T @ z_free,
        member=np.eye(len(groupings))[component],
        n=n,
        p=p,
        logdet_xx=float(2.0 * np.sum(np.log(np.abs(np.diag(triangle))))),
        reml=reml,
    )
    u = y_free @ z_free
    yy = np.sum(y_free**2, axis=1)
    ratios = _newton(moments, u, yy, _best_start(moments, u, yy))
    deviance, spread = _deviance(moments, ratios, u, yy)
    size = n - p if reml else n
    constant = size * (1.0 + np.log(2.0 * np.pi / size)) + (moments.logdet_xx if reml else 0.0)
    return ManyFits(ratios=ratios, residual_variance=spread / size, loglik=-0.5 * (deviance + constant))


def _solve(moments: _Moments, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return A (..., q, q), b (..., q), y'Py (...) and log|I + WG| (...) at `ratios` (..., K)."""
    g = ratios @ moments.member.T
    system = np.eye(moments.w.shape[0]) + moments.w * g[..., None, :]
    solved = np.linalg.solve(
        system, np.concatenate([np.broadcast_to(moments.w, system.shape), u[..., :, None]], axis=-1)
    )
    b = solved[..., -1]
    return solved[..., :-1], b, yy - np.sum(u * g * b, axis=-1), np.linalg.slogdet(system)[1]


def _logdet_raw(moments: _Moments, ratios: Floats) -> Floats:
    g = ratios @ moments.member.T
    return np.asarray(np.linalg.slogdet(np.eye(g.shape[-1]) + moments.w_raw * g[..., None, :])[1])


def _deviance(moments: _Moments, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats]:
    """Profiled deviance without its constants, and y'Py."""
    _, _, spread, logdet = _solve(moments, ratios, u, yy)
    if moments.reml:
        return logdet + (moments.n - moments.p) * np.log(spread), spread
    return _logdet_raw(moments, ratios) + moments.n * np.log(spread), spread


def _derivatives(moments: _Moments, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats]:
    """Gradient (..., K) and Hessian (..., K, K) of the profiled deviance in the ratios."""
    a, b, spread, _ = _solve(moments, ratios, u, yy)
    e = moments.member
    size = moments.n - moments.p if moments.reml else moments.n
    trace_matrix = a
    if not moments.reml:
        g = ratios @ e.T
        trace_matrix = np.asarray(np.linalg.solve(np.eye(g.shape[-1]) + moments.w_raw * g[..., None, :], moments.w_raw))
    slope = (b**2) @ e / spread[..., None]
    gradient = np.diagonal(trace_matrix, axis1=-2, axis2=-1) @ e - size * slope
    curvature = e.T @ (b[..., :, None] * a * b[..., None, :]) @ e / spread[..., None, None]
    traces = e.T @ (trace_matrix * np.swapaxes(trace_matrix, -1, -2)) @ e
    return gradient, -traces + size * (2.0 * curvature - slope[..., :, None] * slope[..., None, :])


def _best_start(moments: _Moments, u: Floats, yy: Floats) -> Floats:
    """Per response the best point of a grid that includes every boundary, so that no basin is missed."""
    best = np.full(yy.shape, np.inf)
    start = np.zeros((*yy.shape, moments.member.shape[1]))
    for point in product(_START_RATIOS, repeat=moments.member.shape[1]):
        ratios = np.array(point)
        g = moments.member @ ratios
        system = np.eye(g.size) + moments.w * g
        logdet = np.linalg.slogdet(system)[1] if moments.reml else _logdet_raw(moments, ratios)
        spread = yy - np.sum(u * np.linalg.solve(system, u.T).T * g, axis=-1)
        size = moments.n - moments.p if moments.reml else moments.n
        deviance = logdet + size * np.log(np.maximum(spread, np.finfo(float).tiny))
        better = deviance < best
        best = np.where(better, deviance, best)
        start[better] = ratios
    return start


def _newton(moments: _Moments, u: Floats, yy: Floats, start: Floats) -> Floats:
    """Projected Newton with backtracking from `start` (B, K); components at 0 with a positive slope are held there.

    The steps are taken in log(1 + ratio): the ratio itself near the boundary, its logarithm where it is large.
    """
    ratios = start.copy()
    active = np.arange(yy.size)
    k = start.shape[1]
    for _ in range(_MAX_STEPS):
        now, uu, ss = ratios[active], u[active], yy[active]
        gradient, hessian = _derivatives(moments, now, uu, ss)
        gradient = gradient * (1.0 + now)
        hessian = hessian * (1.0 + now)[:, :, None] * (1.0 + now)[:, None, :] + gradient[:, :, None] * np.eye(k)
        held = (now <= 0.0) & (gradient > 0.0)
        gradient = np.where(held, 0.0, gradient)
        free = ~held[:, :, None] & ~held[:, None, :]
        values, vectors = np.linalg.eigh(np.where(free, hessian, np.eye(k)))
        # |eigenvalue| turns a saddle into a descent direction and leaves a minimum untouched
        values = np.maximum(np.abs(values), 1e-12)
        step = -np.einsum("bij,bj,bkj,bk->bi", vectors, 1.0 / values, vectors, gradient)
        base = _deviance(moments, now, uu, ss)[0]
        logs = np.log1p(now)
        moved = np.expm1(np.clip(logs + step, 0.0, _LARGEST_LOG))
        length = np.ones(active.size)
        for _ in range(40):
            worse = ~(_deviance(moments, moved, uu, ss)[0] <= base + 1e-13 * np.abs(base))
            if not worse.any():
                break
            length[worse] /= 2.0
            shorter = np.expm1(np.clip(logs + length[:, None] * step, 0.0, _LARGEST_LOG))
            moved = np.where(worse[:, None], shorter, moved)
        change = np.max(np.abs(moved - now) / (1e-3 + now), axis=1)
        ratios[active] = moved
        active = active[change > 1e-11]
        if active.size == 0:
            break
    return ratios
