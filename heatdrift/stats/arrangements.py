"""Arrangements of cells (or labels) within blocks: how many there are, all of them, or some drawn at random.

A permutation test compares what was observed with what it would be had the members of each block changed places. An
arrangement is a row of indices: place i receives the member `row[i]`, which is of the same block.
"""

from collections.abc import Sequence
from itertools import permutations
from math import factorial, prod

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]


def n_arrangements(blocks: Sequence[Codes]) -> int:
    """Count the arrangements within `blocks`, each given by the indices of its members."""
    return prod(factorial(block.size) for block in blocks)


def orders(size: int) -> Codes:
    """All orders of `size` things in lexicographic order, (size!, size); the first leaves all in their places."""
    return np.array(list(permutations(range(size))), dtype=np.intp)


def all_arrangements(blocks: Sequence[Codes]) -> Codes:
    """Every arrangement within `blocks`, which divide 0..n-1 among them: (arrangements, n)."""
    found = np.zeros((1, sum(block.size for block in blocks)), dtype=np.intp)
    for block in blocks:
        own = block[orders(block.size)]
        before = len(found)
        found = np.repeat(found, len(own), axis=0)
        found[:, block] = np.tile(own, (before, 1))
    return found


def random_arrangements(blocks: Sequence[Codes], draws: int, rng: np.random.Generator) -> Codes:
    """Draw arrangements within `blocks`, which divide 0..n-1 among them, each as likely: (draws, n)."""
    found = np.empty((draws, sum(block.size for block in blocks)), dtype=np.intp)
    for block in blocks:
        found[:, block] = block[np.argsort(rng.random((draws, block.size)), axis=1)]
    return found
