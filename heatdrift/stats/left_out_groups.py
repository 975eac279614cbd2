"""Monotone prediction from a few signals, with an interval that is honest for a group that was never seen.

Each signal has one isotonic fit (Barlow et al. 1972), linear between its knots; the prediction is their mean. Groups
weigh the same. The interval is the hierarchical jackknife+ (Lee, Barber and Willett 2023, of Barber et al. 2021): every
group is predicted by the fit of the others, and a new observation is put next to each of these fits and their errors.
It covers an observation of a new exchangeable group with probability 1 - 2 alpha whatever the fit, where G groups allow
alpha >= 1 / (G + 1): observations of a group are no independent evidence. Groups of which the others can say little
do not calibrate: what can be said of them is their easiest part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
LEVELS: Final = (0.95, 0.9, 0.8, 0.75, 0.6, 0.5)
MOSTLY: Final = 0.5  # share of a group that the others must be able to predict for it to calibrate


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

    `predicted` is NaN where the observation lies outside of what the other groups have seen. `fits` has the fit of the
    others by the code of the group that it leaves out; None where there are no others.
    """

    predicted: Floats
    error: Floats
    group: Ints
    fits: tuple[Monotone | None, ...]

    @property
    def calibrating(self) -> tuple[int, ...]:
        """Groups at least half of whose observations lie within what the others saw."""
        known = ~np.isnan(self.error)
        codes = range(len(self.fits))
        return tuple(c for c in codes if (mine := self.group == c).any() and known[mine].mean() >= MOSTLY)

    @property
    def n_groups(self) -> int:
        """Groups that calibrate an interval."""
        return len(self.calibrating)


def leave_groups_out(x: Floats, y: Floats, group: Ints, orientation: Sequence[int]) -> LeftOut:
    """Predict every group (codes from 0) from the others."""
    predicted = np.full(len(y), np.nan)
    fits: list[Monotone | None] = []
    for code in range(int(group.max()) + 1 if len(group) else 0):
        mine = group == code
        if mine.all() or not mine.any():
            fits.append(None)
            continue
        rest = np.unique(group[~mine], return_inverse=True)[1]
        fit = fit_monotone(x[~mine], y[~mine], rest, orientation)
        known = ~fit.outside(x[mine]).any(axis=1)
        predicted[mine] = np.where(known, fit.predict(x[mine]), np.nan)
        fits.append(fit)
    return LeftOut(predicted, predicted - y, group, tuple(fits))


def supported_level(n_groups: int, asked: float = LEVELS[0]) -> float | None:
    """Largest of :data:`LEVELS` up to `asked` that so many calibrating groups guarantee; None below one half."""
    return next((v for v in LEVELS if v <= asked and v <= 1 - 2 / (n_groups + 1) + 1e-12), None)


def interval(left_out: LeftOut, x: Floats, level: float) -> tuple[Floats, Floats]:
    """Low and high end at each row of `x` (n, signals), covering a new group's observation with at least `level`.

    Each calibrating group has mass 1 / (G + 1), spread over its observations; the rest lies at infinity.
    """
    alpha, lows, highs, masses = (1 - level) / 2, [], [], []
    known = ~np.isnan(left_out.error)
    for code in left_out.calibrating:
        fit = left_out.fits[code]
        assert fit is not None
        size = np.abs(left_out.error[known & (left_out.group == code)])
        middle = fit.predict(x)[:, None]
        lows.append(middle - size)
        highs.append(middle + size)
        masses.append(np.full(len(size), 1 / (len(size) * (left_out.n_groups + 1))))
    if not masses:
        return np.full(len(x), -np.inf), np.full(len(x), np.inf)
    mass = np.concatenate(masses)
    return -_quantile(-np.hstack(lows), mass, 1 - alpha), _quantile(np.hstack(highs), mass, 1 - alpha)


def _quantile(values: Floats, mass: Floats, level: float) -> Floats:
    """Smallest value of each row of (n, k) below which a mass of `level` lies; infinite where all of it is less."""
    order = np.argsort(values, axis=1, kind="stable")
    reached = np.cumsum(mass[order], axis=1) >= level - 1e-9
    found = np.take_along_axis(values, order, axis=1)[np.arange(len(values)), np.argmax(reached, axis=1)]
    return np.asarray(np.where(reached.any(axis=1), found, np.inf), dtype=np.float64)
