"""Sign-flip test of paired differences: exact under symmetry alone, and unable to decide with few pairs."""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ALL: Final = 16  # up to that many pairs every arrangement of signs is taken
_DRAWS: Final = 99_999
_BATCH: Final = 11_111
_TIE: Final = 1e-12


def least_p(n: int) -> float:
    """Smallest two-sided p that `n` pairs can give: 2 of 2^n arrangements of signs (NaN without pairs).

    >>> least_p(3), least_p(6)
    (0.25, 0.03125)
    """
    return float(2.0 ** (1 - n)) if n else float("nan")


def sign_flip_p(values: Floats) -> float:
    """Two-sided p of the mean of differences (n,) against 0: the share of sign patterns with a mean as far away.

    The null is that each difference is as likely to have either sign (Fisher 1935); nothing about normality or equal
    variances is needed. Every pattern is counted up to 16 differences, above that 99,999 random ones (seed 0) and the
    observed one. NaN without differences, 1 where all are 0.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    n = values.size
    if n == 0:
        return float("nan")
    least = abs(float(values.sum())) - _TIE * float(np.abs(values).sum())
    if n <= _ALL:
        half = np.arange(2 ** (n - 1), dtype=np.int64)  # the first sign fixed: a pattern and its opposite count alike
        signs = 1.0 - 2.0 * ((half[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ values) >= least))
    rng = np.random.default_rng(0)
    reached = 0
    for _ in range(_DRAWS // _BATCH):
        signs = rng.integers(0, 2, size=(_BATCH, n)) * 2.0 - 1.0
        reached += int(np.sum(np.abs(signs @ values) >= least))
    return (reached + 1.0) / (_DRAWS + 1.0)
