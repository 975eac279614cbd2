from itertools import permutations

import numpy as np
import pytest

from heatdrift.stats.arrangements import all_arrangements, n_arrangements, orders, random_arrangements

BLOCKS = [np.array([0, 3, 4]), np.array([1, 5]), np.array([2])]


def test_all_arrangements_are_every_combination_of_orders_once():
    found = all_arrangements(BLOCKS)
    expected = {(a[0], b[0], 2, a[1], a[2], b[1]) for a in permutations((0, 3, 4)) for b in permutations((1, 5))}
    assert {tuple(row) for row in found.tolist()} == expected
    assert len(found) == n_arrangements(BLOCKS) == len(expected) == 12
    assert found[0].tolist() == list(range(6))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_orders_are_those_of_the_standard_library(size):
    np.testing.assert_array_equal(orders(size), list(permutations(range(size))))


def test_random_arrangements_stay_within_blocks_and_are_equally_likely():
    draws = 12_000
    rows, counts = np.unique(random_arrangements(BLOCKS, draws, np.random.default_rng(0)), axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, np.unique(all_arrangements(BLOCKS), axis=0))
    expected = draws / len(rows)
    assert np.sum((counts - expected) ** 2 / expected) < 31.3  # chi-square with 11 df exceeds this once in 1,000
