"""The profiled deviance of one random intercept in the eigenvectors of Z'SZ, where everything is a sum over groups.

One eigendecomposition takes the place of a q x q solution for every ratio and every response: a bootstrap's thousands
of refits, or a thousand groups, cost next to nothing. ``deviance.py`` says what the quantities are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDING: Final = 8.0  # rounding errors of an eigenvalue, in units of the largest one's


@dataclass(frozen=True, slots=True)
class OneComponent:
    """Z'SZ = Q L Q' of one random intercept; build it with `one_component`.

    Attributes
    ----------
    vectors : (q, q) Q. values : (q,) L >= 0. sizes : (q,) runs of each group, the eigenvalues of Z'Z.
    reml : whether the log-determinant is of Z'SZ (else of Z'Z, ML). size : n - p under REML, n under ML.
    """

    vectors: Floats
    values: Floats
    sizes: Floats
    reml: bool
    size: int

    def weighted(self, ratio: Floats, u: Floats) -> Floats:
        """Return b = (I + g W)^-1 u, (..., q), at ratios g (...)."""
        return np.asarray(self._rotated(ratio, u) @ self.vectors.T)

    def deviance(self, ratio: Floats, u: Floats, yy: Floats) -> tuple[Floats, Floats]:
        """Deviance profiled over s2, without its constant, and y'Py, both (...)."""
        v = u @ self.vectors
        spread = yy - ratio * np.sum(v**2 / (1.0 + ratio[..., None] * self.values), axis=-1)
        return self.logdet(ratio) + self.size * np.log(np.maximum(spread, np.finfo(float).tiny)), spread

    def logdet(self, ratio: Floats) -> Floats:
        """Log-determinant in the deviance, (...)."""
        return np.asarray(np.sum(np.log1p(ratio[..., None] * self._counted), axis=-1))

    def parts(self, ratio: Floats, u: Floats, yy: Floats) -> tuple[Floats, ...]:
        """Return tr T and tr T'T of the log-determinant's T = (I + g W)^-1 W, b'b, b'Ab and y'Py, each (...)."""
        b = self._rotated(ratio, u)
        traces = self._counted / (1.0 + ratio[..., None] * self._counted)
        bent = self.values / (1.0 + ratio[..., None] * self.values)
        spread = yy - ratio * np.sum((u @ self.vectors) * b, axis=-1)
        return traces.sum(-1), np.sum(traces**2, -1), np.sum(b**2, -1), np.sum(b**2 * bent, -1), spread

    @property
    def _counted(self) -> Floats:
        return self.values if self.reml else self.sizes

    def _rotated(self, ratio: Floats, u: Floats) -> Floats:
        return np.asarray((u @ self.vectors) / (1.0 + ratio[..., None] * self.values))


def one_component(w: Floats, sizes: Floats, *, reml: bool, size: int) -> OneComponent:
    """Decompose Z'SZ (q, q) of one random intercept whose groups have `sizes` runs (q,)."""
    values, vectors = np.linalg.eigh(w)
    smallest = _ROUNDING * values.size * np.finfo(float).eps * float(np.abs(values).max(initial=0.0))
    return OneComponent(
        vectors=vectors, values=np.where(values > smallest, values, 0.0), sizes=sizes, reml=reml, size=size
    )
