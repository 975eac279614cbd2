"""Profiled REML and ML of random-intercept models, the boundary included.

The deviance of ``deviance.py`` is profiled over b and s2, so the optimiser sees only the variance ratios
g_k = v_k / s2 >= 0. In terms of the ratios (not of their square roots, lme4's theta) the deviance is smooth at 0, so a
boundary optimum is an ordinary constrained one: g_k = 0 with a positive slope.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.deviance import Grouping, ProfiledDeviance, crossings, profiled_deviance, solve_unit

Floats = npt.NDArray[np.float64]

# A ratio is called zero below lme4's own limit for singularity: theta < 1e-4, that is v < 1e-8 s2.
SINGULAR_RATIO: Final = 1e-8
_START_RATIOS: Final = (0.0, 1e-2, 0.1, 0.4, 1.5, 6.0, 50.0, 1e3, 1e6)
_FEW_STARTS: Final = (0.0, 0.1, 1.5, 50.0)
_WORK: Final = 2e8  # operations of a start grid beyond which a coarser one is tried
_MOST_STARTS: Final = 1000
_MAX_STEPS: Final = 100
_MOST_NUMBERS: Final = 20_000_000  # of the matrices that responses are fitted with at once: 160 MB
_LARGEST_LOG: Final = 30.0  # a ratio of 1e13: beyond it the residual variance is rounding


@dataclass(frozen=True)
class MixedFit:
    """A fitted random-intercept model.

    Attributes
    ----------
    y, x : response (n,) and fixed-effects design (n, p).
    groupings : the random intercepts, in the order asked for.
    reml : whether the criterion was REML (else ML).
    ratios : v_k / s2, each >= 0.
    residual_variance : s2, from the profiled deviance (divisor n - p under REML, n under ML).
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

    @cached_property
    def groups(self) -> "GroupMoments":
        """What tests need of V^-1 between groups."""
        return _group_moments(self.groupings, self.ratios, self.residual_variance)

    def solve(self, b: Floats) -> Floats:
        """V^-1 b, V the (n, n) covariance of the responses and b (n,) or (n, k)."""
        return solve_unit(self.groupings, self.ratios, b) / self.residual_variance


@dataclass(frozen=True, slots=True)
class GroupMoments:
    """V^-1 seen from the groups, in matrices of q x q alone: V^-1 Z = Z H and M = Z'V^-1 Z = Z'Z H.

    Attributes
    ----------
    weights : H (q, q). between : M (q, q). ends : where the columns of a grouping end, for ``numpy.split``.
    traces, squared_traces : tr Z_k'V^-1 Z_k and tr Z_k'V^-2 Z_k of each grouping.
    """

    weights: Floats
    between: Floats
    ends: list[int]
    traces: Floats
    squared_traces: Floats

    def block(self, i: int, j: int) -> Floats:
        """Z_i'V^-1 Z_j."""
        return np.split(np.split(self.between, self.ends, axis=0)[i], self.ends, axis=1)[j]


def _group_moments(groupings: Sequence[Grouping], ratios: Floats, s2: float) -> GroupMoments:
    sizes = [grouping.size for grouping in groupings]
    ends = np.cumsum(sizes)[:-1].tolist()
    raw = crossings(groupings)
    weights: Floats = (
        np.asarray(np.linalg.inv(np.eye(raw.shape[0]) + np.repeat(ratios, sizes)[:, None] * raw), dtype=float) / s2
    )
    between = raw @ weights
    between = (between + between.T) / 2.0
    squared = np.sum(weights * between, axis=0)
    return GroupMoments(
        weights=weights,
        between=between,
        ends=ends,
        traces=np.array([part.sum() for part in np.split(np.diag(between), ends)]),
        squared_traces=np.array([part.sum() for part in np.split(squared, ends)]),
    )


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
    vx = solve_unit(groupings, ratios, x)
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
    moments = profiled_deviance(x, groupings, reml=reml)
    u, yy = moments.project(y)
    start = _best_start(moments, u, yy)
    many = max(1, _MOST_NUMBERS // u.shape[1] ** 2) if moments.alone is None else yy.size  # matrices of q x q at once
    parts = [slice(i, i + many) for i in range(0, yy.size, many)]
    ratios = np.concatenate([_newton(moments, u[part], yy[part], start[part]) for part in parts])
    deviance, spread = moments.deviance(ratios, u, yy)
    return ManyFits(ratios=ratios, residual_variance=spread / moments.size, loglik=-0.5 * (deviance + moments.constant))


def _best_start(moments: ProfiledDeviance, u: Floats, yy: Floats) -> Floats:
    """Per response the best point of a grid that includes every boundary, so that no basin is missed."""
    best = np.full(yy.shape, np.inf)
    start = np.zeros((*yy.shape, moments.member.shape[1]))
    for point in _starts(*moments.member.shape):
        ratios = np.array(point)
        deviance = moments.deviance_at(ratios, u, yy)
        better = deviance < best
        best = np.where(better, deviance, best)
        start[better] = ratios
    return start


def _starts(q: int, k: int) -> Iterator[tuple[float, ...]]:
    """Points of the start grid for k components with q groups, coarser where a fine one would take long."""
    ratios: tuple[float, ...] = next(
        (r for r in (_START_RATIOS, _FEW_STARTS) if len(r) ** k * q**3 <= _WORK), _FEW_STARTS
    )
    ratios = ratios if len(ratios) ** k <= _MOST_STARTS else (0.0, 1.0)
    yield from product(ratios, repeat=k)


def _newton(moments: ProfiledDeviance, u: Floats, yy: Floats, start: Floats) -> Floats:
    """Projected Newton with backtracking from `start` (B, K); components at 0 with a positive slope are held there.

    The steps are taken in log(1 + ratio): the ratio itself near the boundary, its logarithm where it is large.
    """
    ratios = start.copy()
    active = np.arange(yy.size)
    k = start.shape[1]
    reached = moments.deviance(ratios, u, yy)[0]
    for _ in range(_MAX_STEPS):
        now, uu, ss = ratios[active], u[active], yy[active]
        gradient, hessian = moments.derivatives(now, uu, ss)
        gradient = gradient * (1.0 + now)
        hessian = hessian * (1.0 + now)[:, :, None] * (1.0 + now)[:, None, :] + gradient[:, :, None] * np.eye(k)
        held = (now <= 0.0) & (gradient > 0.0)
        gradient = np.where(held, 0.0, gradient)
        free = ~held[:, :, None] & ~held[:, None, :]
        values, vectors = np.linalg.eigh(np.where(free, hessian, np.eye(k)))
        # |eigenvalue| turns a saddle into a descent direction and leaves a minimum untouched
        values = np.maximum(np.abs(values), 1e-12)
        step = -np.einsum("bij,bj,bkj,bk->bi", vectors, 1.0 / values, vectors, gradient)
        base = reached[active]
        logs = np.log1p(now)
        moved = np.expm1(np.clip(logs + step, 0.0, _LARGEST_LOG))
        length = np.ones(active.size)
        for _ in range(40):
            there = moments.deviance(moved, uu, ss)[0]
            worse = ~(there <= base + 1e-13 * np.abs(base))
            if not worse.any():
                break
            length[worse] /= 2.0
            shorter = np.expm1(np.clip(logs + length[:, None] * step, 0.0, _LARGEST_LOG))
            moved = np.where(worse[:, None], shorter, moved)
        change = np.max(np.abs(moved - now) / (1e-3 + now), axis=1)
        ratios[active], reached[active] = moved, there
        active = active[change > 1e-11]
        if active.size == 0:
            break
    return ratios
