"""Bootstrap of two crossed samples: seeds and images are resampled apart, so that each keeps its own dependence.

Owen (2007), "The pigeonhole bootstrap": rows and columns of a table are drawn with replacement independently of each
other; the variance of a mean comes out no smaller than it is, up to the factor (S - 1)/S of few seeds. With three
seeds that factor makes the intervals too narrow, so they are a second reading next to a test on seeds.

An image resample needs one matrix product for all runs; what is made of the runs' accuracies comes after.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

_AT_ONCE: Final = 2**20  # image weights held at the same time


def image_resamples(hits: npt.NDArray[np.float32], draws: int, rng: np.random.Generator) -> Floats:
    """Return (draws, R) means of `hits` (R, N) over resampled images, the same resample for all runs of a draw."""
    n = hits.shape[1]
    size = max(1, min(draws, _AT_ONCE // n))
    found = [_weights(min(size, draws - done), n, rng) @ hits.T for done in range(0, draws, size)]
    return np.asarray(np.concatenate(found).astype(float) / n)


def _weights(draws: int, n: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """How often each image is in each of some resamples of n."""
    picked = rng.integers(0, n, size=(draws, n), dtype=np.uint32).astype(np.intp)
    picked += n * np.arange(draws)[:, None]
    return np.bincount(picked.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float32)


def seed_resamples(kind: Codes, draws: int, rng: np.random.Generator) -> Floats:
    """Return (draws, S) how often each seed is in each resample; a kind (S,) of seeds is resampled by itself."""
    counts = np.empty((draws, kind.size))
    for own in _kinds(kind):
        counts[:, own] = rng.multinomial(own.size, np.full(own.size, 1.0 / own.size), size=draws)
    return counts


def _kinds(kind: Codes) -> Iterator[npt.NDArray[np.intp]]:
    for name in np.unique(kind):
        yield np.flatnonzero(kind == name)


def cell_means(values: Floats, cell: Codes, seed: Codes, counts: Floats) -> Floats:
    """Return (draws, C) means over the resampled seeds of `values` (draws, R); NaN where a cell lost all its seeds."""
    weights = counts[:, seed]
    members = np.equal(cell[:, None], np.arange(int(cell.max()) + 1)).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights * values) @ members / (weights @ members))
