"""Intervals of proportions against published numbers, statsmodels, and exact coverage by enumeration."""

import math
from itertools import product

import pytest
from scipy.stats import multinomial
from statsmodels.stats.proportion import proportion_confint

from heatdrift.stats.proportions import paired_difference, wilson_interval


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (81, 263), (10, 10), (4190, 10000)])
def test_wilsons_interval_is_that_of_statsmodels(hits, n):
    assert wilson_interval(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)


def test_nothing_is_known_without_an_image():
    assert all(math.isnan(end) for end in (*wilson_interval(0, 0), *paired_difference(0, 0, 0, 0)))


def test_the_difference_turns_its_sign_with_the_order():
    estimate, low, high = paired_difference(36, 12, 2, 0)
    assert (estimate, low, high) == pytest.approx(
        tuple(-v for v in (paired_difference(36, 2, 12, 0)[i] for i in (0, 2, 1)))
    )
    assert estimate == pytest.approx(-0.2)
    assert low < estimate < high


def test_an_interval_has_a_width_where_no_image_changed():
    estimate, low, high = paired_difference(40, 0, 0, 60)
    assert estimate == 0
    assert low < 0 < high


def test_independent_samples_are_the_case_without_correlation():
    """Where phi is 0, method 10 is the square-and-add interval of two independent proportions."""
    _, low, high = paired_difference(4, 4, 4, 4)
    ends = wilson_interval(8, 16)
    half = math.hypot(0.5 - ends[0], ends[1] - 0.5)
    assert (low, high) == pytest.approx((-half, half))


@pytest.mark.parametrize("p", [(0.4, 0.1, 0.05, 0.45), (0.3, 0.02, 0.02, 0.66), (0.5, 0.2, 0.05, 0.25)])
def test_the_interval_covers_the_difference_as_often_as_it_says(p):
    n = 16
    cells = [(a, b, c, n - a - b - c) for a, b, c in product(range(n + 1), repeat=3) if a + b + c <= n]
    chance = multinomial.pmf(cells, n, p)
    ends = [paired_difference(*cell)[1:] for cell in cells]
    covered = sum(weight for weight, (low, high) in zip(chance, ends, strict=True) if low <= p[2] - p[1] <= high)
    assert covered >= 0.94
