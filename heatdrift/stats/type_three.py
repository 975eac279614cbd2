"""Type III hypotheses of any fixed part, empty cells included, and which combinations of coefficients are estimable.

An overparametrised design has one column for every level (and for every combination of levels of an interaction). Type
III hypotheses of a term are the estimable functions that involve no term but it and those that contain it, orthogonal
to the functions of those that contain it (Goodnight 1978, SAS R-101). With all cells present they are the coefficients
in sum coding; with empty cells they are what SAS and R's lmerTest test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.lmertest_basis import lmertest_basis

Floats = npt.NDArray[np.float64]

_RANK: Final = 1e-9


def independent_columns(x: Floats) -> list[int]:
    """Columns of x (n, p) that do not depend on those before them, as R keeps them.

    >>> independent_columns(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]))
    [0, 1]
    """
    basis = np.empty((x.shape[0], 0))
    kept = []
    for i in range(x.shape[1]):
        column = x[:, i]
        size = float(np.linalg.norm(column))
        free = column - basis @ (basis.T @ column)
        free -= basis @ (basis.T @ free)  # twice: once loses digits where columns are nearly parallel
        left = float(np.linalg.norm(free))
        if size > 0.0 and left > _RANK * size:
            kept.append(i)
            basis = np.column_stack([basis, free / left])
    return kept


@dataclass(frozen=True, slots=True)
class Estimable:
    """Which rows of a wider design the coefficients of the design that is fitted can give.

    Attributes
    ----------
    wide : (p, m) T with wide design = fitted design @ T.
    inverse : (m, p) pseudo-inverse of T.
    """

    wide: Floats
    inverse: Floats

    @classmethod
    def of(cls, x: Floats, wide: Floats) -> "Estimable":
        """Compare a fitted design (n, p) of full rank with a wider one (n, m) of the same span."""
        t: Floats = np.asarray(np.linalg.lstsq(x, wide, rcond=None)[0], dtype=float)
        t[np.abs(t) < _RANK * max(1.0, float(np.abs(t).max()))] = 0.0
        return cls(wide=t, inverse=np.asarray(np.linalg.pinv(t), dtype=float))

    def row(self, wanted: Floats) -> Floats | None:
        """Return the combination (p,) of the fitted coefficients for a row (m,) of the wide design, if there is one."""
        row = wanted @ self.inverse
        known = np.allclose(row @ self.wide, wanted, rtol=0.0, atol=1e-7 * max(1.0, float(np.abs(wanted).max())))
        return np.asarray(row) if known else None


def type_three(
    x: Floats, blocks: Mapping[str, Floats], containing: Mapping[str, Sequence[str]], *, intercept: str = "Intercept"
) -> dict[str, Floats]:
    """Return the rows (df, p) of each term's hypothesis rows @ beta = 0, beta of the design x.

    Parameters
    ----------
    x : (n, p) of full rank. blocks : term -> its columns (n, m) in an overparametrised design of the same span, the
        intercept under the name `intercept`. containing : term -> the terms that contain it.

    Returns
    -------
    Rows in lmerTest's basis (``lmertest_basis.py``). A term that cannot be estimated has no rows.
    """
    names = list(blocks)
    owner = np.repeat(np.arange(len(names)), [blocks[name].shape[1] for name in names])
    t = Estimable.of(x, np.hstack([blocks[name] for name in names])).wide
    spaces = {}
    for name in names:
        allowed = np.isin(owner, [names.index(other) for other in (name, *containing[name])])
        spaces[name] = _left_null(t[:, ~allowed])
    found = {}
    for name in names:
        own = spaces[name]
        above = [spaces[other] for other in containing[name]]
        if above and own.shape[1]:
            functions = own.T @ t
            higher = np.hstack(above).T @ t
            own = own @ _left_null(functions @ higher.T)
        found[name] = own.T
    return lmertest_basis(x, t, owner, found, containing, intercept=intercept)


def _left_null(a: Floats) -> Floats:
    """Orthonormal basis (rows, k) of the vectors v with v'a = 0."""
    if a.shape[1] == 0:
        return np.eye(a.shape[0])
    left, sizes, _ = np.linalg.svd(a, full_matrices=True)
    rank = int(np.sum(sizes > 1e-8 * max(float(sizes[0]), 1e-300))) if sizes.size and sizes[0] > 1e-8 else 0
    return np.asarray(left[:, rank:])
