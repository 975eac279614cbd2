"""From runs to one value per seed and image: the mean over conditions, which seeds and images cross."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def seed_weights(cell: Codes, seed: Codes) -> Floats:
    """Return (S, n) weights that make one value per seed of one value per run, conditions with equal weight.

    Where every seed has every condition this is the plain mean. A seed that lacks one gets the mean over the others
    there: what it deviates from other seeds is averaged over the conditions that it has.

    Parameters
    ----------
    cell, seed : (n,) 0-based codes of the runs' conditions and seeds.
    """
    members = np.equal(cell[:, None], np.arange(int(cell.max()) + 1)).astype(float)
    own = np.equal(seed[:, None], np.arange(int(seed.max()) + 1)).astype(float)
    means = members / members.sum(axis=0)  # (n, C): a column makes the mean of a condition
    deviations = np.eye(cell.size) - members @ means.T
    return np.asarray((own / own.sum(axis=0)).T @ deviations + means.mean(axis=1))


def weighted(weights: Floats, rows: Codes, n_rows: int) -> npt.NDArray[np.float32]:
    """Return the weights (S, n) of the chosen rows as weights of all `n_rows`."""
    members = np.equal(rows[:, None], np.arange(n_rows)).astype(float)
    return np.asarray(weights @ members, dtype=np.float32)
