"""McNemar's test of two classifiers on the same images, exact.

Only images on which the two disagree say anything; under the null each of them falls to either side like a coin. It is
a test of two given models on a population of images: runs of other seeds are other models.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def mcnemar_p(only_a: npt.ArrayLike, only_b: npt.ArrayLike) -> Floats:
    """Two-sided exact binomial p of the counts of images that one of two alone has right (McNemar 1947).

    Without any disagreement p is 1.

    >>> mcnemar_p([59, 0], [6, 0]).round(12).tolist()
    [7.14e-10, 1.0]
    """
    a, b = np.asarray(only_a, dtype=np.int64), np.asarray(only_b, dtype=np.int64)
    return np.asarray(np.minimum(2.0 * special.bdtr(np.minimum(a, b), a + b, 0.5), 1.0))
