"""The profiled deviance (REML or ML) of a random-intercept model and its derivatives, for many responses at once.

The model is y = X b + sum_k Z_k u_k + e with u_k ~ N(0, v_k I), e ~ N(0, s2 I). With the ratios g_k = v_k / s2 >= 0
everything that depends on them is a function of W = Z' S Z (S projects X out), u = Z' S y and y' S y: with
A = (I + W G)^-1 W and b = (I + W G)^-1 u, Z'PZ = A, Z'Py = b, y'Py = y'Sy - u'Gb and log|I + WG| hold exactly. All
functions take leading axes of responses or ratios, so many responses on one design cost one fit.

References: Bates, Maechler, Bolker, Walker (2015), J. Stat. Softw. 67(1), for the criteria, whose values are lme4's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import lu_factor, lu_solve

from heatdrift.stats.one_component import OneComponent, one_component

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Grouping:
    """One random intercept: its name in results and the group (0-based code) of each run."""

    name: str
    codes: Codes

    @property
    def size(self) -> int:
        """Number of groups."""
        return int(self.codes.max()) + 1

    @property
    def indicator(self) -> Floats:
        """Z_k, shape (runs, groups)."""
        return np.eye(self.size)[self.codes]

    def sums(self, b: Floats) -> Floats:
        """Z_k'b of b (n,) or (n, m): sums over the runs of a group, without forming Z_k."""
        if b.ndim == 1:
            return np.asarray(np.bincount(self.codes, weights=b, minlength=self.size), dtype=float)
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(self.size))
        return np.asarray(np.add.reduceat(b[order], starts, axis=0))


def grouped_sums(groupings: Sequence[Grouping], b: Floats) -> Floats:
    """Z'b of b (n,) or (n, m), the groupings' sums one below the other."""
    return np.concatenate([grouping.sums(b) for grouping in groupings])


def crossings(groupings: Sequence[Grouping]) -> Floats:
    """Z'Z (q, q): how many runs each pair of groups shares."""
    blocks = [
        [
            np.bincount(a.codes * b.size + b.codes, minlength=a.size * b.size).reshape(a.size, b.size).astype(float)
            for b in groupings
        ]
        for a in groupings
    ]
    return np.block(blocks)


def spread_out(groupings: Sequence[Grouping], u: Floats) -> Floats:
    """Z u of u (q, ...): what the groups of each run add up to, (n, ...)."""
    ends = np.cumsum([grouping.size for grouping in groupings])[:-1]
    return np.asarray(sum(part[g.codes] for g, part in zip(groupings, np.split(u, ends), strict=True)))


def solve_unit(groupings: Sequence[Grouping], ratios: Floats, b: Floats) -> Floats:
    """(I + sum_k g_k Z_k Z_k')^-1 b for b (n, ...), by Woodbury's identity: no n x n or n x q matrix is formed."""
    g = np.repeat(ratios, [grouping.size for grouping in groupings])
    inner = np.linalg.solve(np.eye(g.size) + crossings(groupings) * g, grouped_sums(groupings, b))
    return np.asarray(b - spread_out(groupings, g[:, None] * inner if b.ndim > 1 else g * inner))


@dataclass(frozen=True)
class ProfiledDeviance:
    """What the deviance needs of a design; build it with `profiled_deviance`.

    Attributes
    ----------
    groupings : the random intercepts, Z being their indicators side by side. basis : (n, p) orthonormal basis of X.
    w_raw, w : (q, q) Z'Z and Z'SZ. member : (q, K), which component a column of Z belongs to.
    logdet_xx : log|X'X|. reml : whether it is restricted (else ML).
    """

    groupings: tuple[Grouping, ...]
    basis: Floats
    w_raw: Floats
    w: Floats
    member: Floats
    logdet_xx: float
    reml: bool

    @property
    def size(self) -> int:
        """Degrees of freedom behind the residual variance: n - p under REML, n under ML."""
        n, p = self.basis.shape
        return int(n - p) if self.reml else int(n)

    @property
    def constant(self) -> float:
        """What the profiled deviance lacks of lme4's."""
        size = self.size
        return float(size * (1.0 + np.log(2.0 * np.pi / size)) + (self.logdet_xx if self.reml else 0.0))

    @cached_property
    def alone(self) -> OneComponent | None:
        """The spectral form, where there is one random intercept."""
        if len(self.groupings) > 1:
            return None
        return one_component(self.w, np.diag(self.w_raw), reml=self.reml, size=self.size)

    def project(self, y: Floats) -> tuple[Floats, Floats]:
        """Project X out of responses (B, n): u = Z'Sy (B, q) and y'Sy (B,)."""
        free = y - (y @ self.basis) @ self.basis.T
        free = free - (free @ self.basis) @ self.basis.T  # again: a large mean leaves its rounding in what X explains
        return grouped_sums(self.groupings, free.T).T, np.sum(free**2, axis=1)

    def solve(self, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats, Floats]:
        """Return A (..., q, q), b (..., q) and y'Py (...) at `ratios` (..., K)."""
        g = ratios @ self.member.T
        system = np.eye(self.w.shape[0]) + self.w * g[..., None, :]
        solved = np.linalg.solve(
            system, np.concatenate([np.broadcast_to(self.w, system.shape), u[..., :, None]], axis=-1)
        )
        b = solved[..., -1]
        return solved[..., :-1], b, yy - np.sum(u * g * b, axis=-1)

    def weighted(self, ratios: Floats, u: Floats) -> Floats:
        """Return b (..., q) at `ratios` (..., K)."""
        if self.alone is not None:
            return self.alone.weighted(ratios[..., 0], u)
        system = np.eye(self.w.shape[0]) + self.w * (ratios @ self.member.T)[..., None, :]
        return np.asarray(np.linalg.solve(system, u[..., :, None])[..., 0])

    def logdet(self, ratios: Floats) -> Floats:
        """Log-determinant in the deviance: log|I + WG| under REML, log|I + Z'Z G| under ML."""
        if self.alone is not None:
            return self.alone.logdet(ratios[..., 0])
        g = ratios @ self.member.T
        w = self.w if self.reml else self.w_raw
        return np.asarray(np.linalg.slogdet(np.eye(g.shape[-1]) + w * g[..., None, :])[1])

    def deviance(self, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats]:
        """Deviance profiled over s2, without its constant, and y'Py."""
        if self.alone is not None:
            return self.alone.deviance(ratios[..., 0], u, yy)
        g = ratios @ self.member.T
        system = np.eye(self.w.shape[0]) + self.w * g[..., None, :]
        b, determinant = _solved(system, u)
        spread = yy - np.sum(u * g * b, axis=-1)
        logdet = determinant if self.reml else self.logdet(ratios)
        return logdet + self.size * np.log(spread), spread

    def deviance_at(self, ratios: Floats, u: Floats, yy: Floats) -> Floats:
        """Deviance of many responses (B,) at the same `ratios` (K,)."""
        if self.alone is not None:
            return self.alone.deviance(np.broadcast_to(ratios, yy.shape), u, yy)[0]
        g = self.member @ ratios
        factors = lu_factor(np.eye(g.size) + self.w * g, check_finite=False)
        spread = yy - np.sum(u * lu_solve(factors, u.T, check_finite=False).T * g, axis=-1)
        logdet = np.sum(np.log(np.abs(np.diag(factors[0])))) if self.reml else self.logdet(ratios)
        return np.asarray(logdet + self.size * np.log(np.maximum(spread, np.finfo(float).tiny)))

    def derivatives(self, ratios: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats]:
        """Gradient (..., K) and Hessian (..., K, K) of the profiled deviance in the ratios."""
        if self.alone is not None:
            trace, square, length, bent, spread = self.alone.parts(ratios[..., 0], u, yy)
            slope = length / spread
            bend = -square + self.size * (2.0 * bent / spread - slope**2)
            return (trace - self.size * slope)[..., None], bend[..., None, None]
        a, b, spread = self.solve(ratios, u, yy)
        e = self.member
        traces = a if self.reml else self._raw_traces(ratios)
        slope = (b**2) @ e / spread[..., None]
        gradient = np.diagonal(traces, axis1=-2, axis2=-1) @ e - self.size * slope
        curvature = e.T @ (b[..., :, None] * a * b[..., None, :]) @ e / spread[..., None, None]
        bends = e.T @ (traces * np.swapaxes(traces, -1, -2)) @ e
        return gradient, -bends + self.size * (2.0 * curvature - slope[..., :, None] * slope[..., None, :])

    def absolute(self, variances: Floats, residual: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats, Floats]:
        """Deviance at given variances (..., K) and residual variance (...), lme4's constants included.

        Returns
        -------
        The deviance, its derivatives in the variances (..., K) and in log s2 (...).
        """
        ratios = variances / residual[..., None]
        if self.alone is not None:
            trace, _, length, _, spread = self.alone.parts(ratios[..., 0], u, yy)
            slope = (trace - length / residual)[..., None]
        else:
            a, b, spread = self.solve(ratios, u, yy)
            traces = a if self.reml else self._raw_traces(ratios)
            slope = np.diagonal(traces, axis1=-2, axis2=-1) @ self.member - (b**2) @ self.member / residual[..., None]
        value = self.size * np.log(2.0 * np.pi * residual) + self.logdet(ratios) + spread / residual
        in_residual = self.size - spread / residual - np.sum(slope * ratios, axis=-1)
        return value + (self.logdet_xx if self.reml else 0.0), slope / residual[..., None], in_residual

    def _raw_traces(self, ratios: Floats) -> Floats:
        g = ratios @ self.member.T
        return np.asarray(np.linalg.solve(np.eye(g.shape[-1]) + self.w_raw * g[..., None, :], self.w_raw))


def _solved(system: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Solutions (..., q) of systems (..., q, q), and log-determinants; of one system in one step."""
    if u.size > u.shape[-1]:
        solved: Floats = np.asarray(np.linalg.solve(system, u[..., :, None])[..., 0], dtype=float)
        return solved, np.asarray(np.linalg.slogdet(system)[1], dtype=float)
    factors = lu_factor(system.reshape(u.shape[-1], -1), check_finite=False)
    logdet = np.sum(np.log(np.abs(np.diag(factors[0]))))
    solution = np.asarray(lu_solve(factors, u.ravel(), check_finite=False), dtype=float)
    return solution.reshape(u.shape), np.full(u.shape[:-1], logdet, dtype=float)


def profiled_deviance(x: Floats, groupings: Sequence[Grouping], *, reml: bool) -> ProfiledDeviance:
    """Prepare the deviance of a fixed-effects design (n, p) of full rank and its random intercepts."""
    component = np.repeat(np.arange(len(groupings)), [g.size for g in groupings])
    basis, triangle = np.linalg.qr(x)
    raw, crossed = crossings(groupings), grouped_sums(groupings, basis)
    return ProfiledDeviance(
        groupings=tuple(groupings),
        basis=basis,
        w_raw=raw,
        w=raw - crossed @ crossed.T,
        member=np.eye(len(groupings))[component],
        logdet_xx=float(2.0 * np.sum(np.log(np.abs(np.diag(triangle))))),
        reml=reml,
    )
