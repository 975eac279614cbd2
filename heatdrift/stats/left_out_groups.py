"""Monotone prediction from a few signals, with an interval that is honest for a group that was never seen.

Each signal has one isotonic fit (Barlow et al. 1972), linear between its knots; the prediction is their mean. Groups
weigh the same. The interval is conformal over left-out groups (Dunn, Wasserman and Ramdas 2022, pooled with equal
weight per group): observations of a group are no independent evidence, so that G groups support at most G / (G + 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
LEVELS: Final = (0.95, 0.9, 0.8, 0.75, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class Monotone:
    """Isotonic fits of one outcome on several signals; `knots` and `values` have one array per signal."""

    knots: tuple[Floats, ...]
    values: tuple[Floats, ...]

    def predict(self, x: Floats) -> Floats:
        """Mean of the fits at `x` (n, signals); constant outside of what was seen: see :meth:`outside`."""
        fits = [np.interp(x[:, i], k, v) for i, (k, v) in enumerate(zip(self.knots, self.values, strict=True))]
        return np.asarray(np.mean(fits, axis=0), dtype=np.float64)

    def outside(self, x: Floats) -> npt.NDArray[np.bool_]:
        """Which signals of `x` (n, signals) lie outside of the range that was seen, (n, signals)."""
        low, high = (np.array([k[i] for k in self.knots]) for i in (0, -1))
        return np.asarray((x < low) | (x > high))


def fit_monotone(x: Floats, y: Floats, group: Ints, orientation: Sequence[int]) -> Monotone:
    """Fit `y` (n,) on every column of `x` (n, signals), rising where its orientation is +1 and falling where -1."""
    from scipy.optimize import isotonic_regression  # slow to import, and only this needs it

    weight = 1.0 / np.bincount(group)[group]
    knots, values = [], []
    for i, sign in enumerate(orientation):
        levels, place = np.unique(x[:, i], return_inverse=True)
        total = np.bincount(place, weight)
        mean = np.bincount(place, weight * y) / total
        knots.append(levels)
        values.append(np.asarray(isotonic_regression(mean, weights=total, increasing=sign > 0).x, dtype=np.float64))
    return Monotone(tuple(knots), tuple(values))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Predictions of each observation by the other groups.

    `predicted` is NaN where the observation lies outside of what the other groups have seen.
    """

    predicted: Floats
    error: Floats
    group: Ints

    @property
    def n_groups(self) -> int:
        """Groups with a prediction at all."""
        return len(set(self.group[~np.isnan(self.error)].tolist()))


def leave_groups_out(x: Floats, y: Floats, group: Ints, orientation: Sequence[int]) -> LeftOut:
    """Predict every group (codes from 0) from the others."""
    predicted = np.full(len(y), np.nan)
    for code in range(int(group.max()) + 1 if len(group) else 0):
        mine = group == code
        if mine.all() or not mine.any():
            continue
        rest = np.unique(group[~mine], return_inverse=True)[1]
        fit = fit_monotone(x[~mine], y[~mine], rest, orientation)
        known = ~fit.outside(x[mine]).any(axis=1)
        predicted[mine] = np.where(known, fit.predict(x[mine]), np.nan)
    return LeftOut(predicted, predicted - y, group)


def supported_level(n_groups: int, asked: float = LEVELS[0]) -> float | None:
    """Largest of :data:`LEVELS` up to `asked` that this many groups support; None below one half."""
    return next((v for v in LEVELS if v <= asked and v <= n_groups / (n_groups + 1) + 1e-12), None)


def half_width(left_out: LeftOut, level: float) -> float:
    """Half-width that covers an observation of a new group with probability `level`, groups being exchangeable.

    Each group has mass 1 / (G + 1), spread over its own absolute errors; the rest lies at infinity.
    """
    known = ~np.isnan(left_out.error)
    size, code = np.abs(left_out.error[known]), left_out.group[known]
    if not size.size:
        return float("inf")
    mass = 1.0 / (np.bincount(code)[code] * (left_out.n_groups + 1))
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(mass[order]) >= level - 1e-9
    return float(size[order][np.argmax(reached)]) if reached.any() else float("inf")
