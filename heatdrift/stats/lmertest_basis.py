"""The basis in which lmerTest writes a type III hypothesis, on which Satterthwaite's df of several df depend.

Every basis of a hypothesis gives one F and, in balanced data, one df. In unbalanced data the eigenvectors of the
contrasts' covariance, whose df are pooled, are others in another basis, so that only the same basis gives R's numbers.

Reference: Kuznetsova, Brockhoff, Christensen (2017), J. Stat. Softw. 82(13), and ``lmerTest:::get_contrasts_type3`` and
``get_contrasts_type1`` of lmerTest 3.1-3.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDING: Final = 1e-7
_SMALLEST_ROW: Final = 1e-6  # lmerTest's own limit for a row that says nothing


def lmertest_basis(
    x: Floats,
    level: Floats,
    owner: npt.NDArray[np.intp],
    hypotheses: Mapping[str, Floats],
    containing: Mapping[str, Sequence[str]],
    *,
    intercept: str,
) -> dict[str, Floats]:
    """Return the same hypotheses in lmerTest's basis.

    Parameters
    ----------
    x : (n, p) fitted design. level : (p, m) T with overparametrised design = x @ T. owner : (m,) the term of each of
        its columns, numbered in the order of `hypotheses`.
    hypotheses : term -> rows (df, p), the intercept's under the name `intercept`. containing : term -> the terms that
        contain it.

    Returns
    -------
    Term -> rows (df, p) of the same span. A design that is not in treatment coding, and a term of which lmerTest's rows
    depend on each other, keep the rows they have.
    """
    names = list(hypotheses)
    p = level.shape[0]
    same = [np.flatnonzero(np.abs(level - np.eye(p)[:, [j]]).max(axis=0) < _ROUNDING) for j in range(p)]
    if not all(one.size for one in same):
        return dict(hypotheses)
    places = np.array([one[0] for one in same], dtype=np.intp)
    own = {name: np.flatnonzero(owner[places] == i) for i, name in enumerate(names)}
    single = [name for name in names if name != intercept]
    made = _alone(x, own, single[0]) if len(single) == 1 else _together(level, places, own, containing)
    return {
        name: made[name] if name in made and made[name].shape == rows.shape else rows
        for name, rows in hypotheses.items()
    }


def _alone(x: Floats, own: Mapping[str, npt.NDArray[np.intp]], name: str) -> dict[str, Floats]:
    """Rows of the only term: those of type I, the unit upper triangle of X'X (Doolittle's factorisation)."""
    triangle = np.linalg.qr(x, mode="r")
    return {name: (triangle / np.diag(triangle)[:, None])[own[name]]}


def _together(
    level: Floats,
    places: npt.NDArray[np.intp],
    own: Mapping[str, npt.NDArray[np.intp]],
    containing: Mapping[str, Sequence[str]],
) -> dict[str, Floats]:
    """Rows of each of several terms.

    In the matrix from coefficients to the overparametrised ones, the columns of a term are made orthogonal to those of
    the terms that contain it, highest orders first; the rows of the fitted design's own columns are kept.
    """
    functions = level.T.copy()
    made = {}
    for name in sorted(own, key=lambda name: len(containing[name])):
        above = [own[other] for other in containing[name]]
        if above and own[name].size:
            higher = functions[:, np.concatenate(above)]
            functions[:, own[name]] -= higher @ np.linalg.lstsq(higher, functions[:, own[name]], rcond=None)[0]
        rows = functions[np.ix_(places, own[name])].T
        made[name] = np.asarray(rows[np.abs(rows).sum(axis=1) > _SMALLEST_ROW])
    return made
