"""Effect sizes, sign flips, detectable differences and averages over cells: small functions of few seeds."""

import itertools

import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.cell_average import cell_average
from heatdrift.stats.cluster_robust import CellMeans
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.detectable import detectable_effect, seeds_needed
from heatdrift.stats.effect_sizes import noncentrality_interval, share_interval, standardised
from heatdrift.stats.sign_flip import least_p, sign_flip_p
from heatdrift.stats.two_samples import sample_difference
from heatdrift.stats.welch import components


@pytest.mark.parametrize("n", [1, 3, 7])
def test_sign_flips_are_all_patterns(n):
    values = np.random.default_rng(n).normal(1.0, size=n)
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((1, -1), repeat=n)]
    assert sign_flip_p(values) == pytest.approx(np.mean(np.array(sums) >= abs(values.sum()) - 1e-12))
    assert sign_flip_p(np.abs(values)) == pytest.approx(least_p(n))


def test_many_sign_flips_are_drawn():
    values = np.random.default_rng(0).normal(0.4, size=25)
    ours = sign_flip_p(values)
    theirs = stats.permutation_test((values,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
                                    n_resamples=50_000, rng=1).pvalue  # fmt: skip
    assert ours == pytest.approx(theirs, abs=0.005)
    assert ours == sign_flip_p(values)


def test_no_values_and_zeros_have_no_evidence():
    assert np.isnan(sign_flip_p(np.empty(0)))
    assert sign_flip_p(np.zeros(4)) == 1.0
    assert np.isnan(share_interval(0, 0, 0.95)).all()
    assert np.isnan(standardised(np.nan, 4.0, 5, 0.95)).all()


def test_a_large_t_keeps_its_interval():
    low, high = noncentrality_interval(72.2, 4.0, 0.95)
    assert stats.nct.sf(72.2, 4, low) == pytest.approx(0.025, rel=1e-6)
    assert stats.nct.cdf(72.2, 4, high) == pytest.approx(0.025, rel=1e-6)


def test_the_standardised_interval_covers():
    rng = np.random.default_rng(4)
    covered = 0
    for y in rng.normal(1.5, 1.0, size=(1000, 4)):
        t = y.mean() / y.std(ddof=1) * 2.0
        _, low, high = standardised(t, 3.0, 4, 0.95)
        covered += low <= 1.5 <= high
    assert 0.93 < covered / 1000 < 0.97


def test_needed_seeds_are_the_first_that_can_find_it():
    for difference in (0.4, 1.0, 3.0, 30.0):
        n = seeds_needed(1.0, difference)
        assert detectable_effect(1.0, n) <= difference
        assert n == 2 or detectable_effect(1.0, n - 1) > difference
    assert seeds_needed(1.0, 1e-4) is None


def test_the_average_over_cells_is_the_cluster_contrast_with_missing_rows():
    rng = np.random.default_rng(5)
    cell, seed = (part.ravel() for part in np.indices((4, 5)))
    kept = np.ones(20, dtype=bool)
    kept[[2, 9, 13]] = False
    y, cell, seed = rng.normal(size=17), cell[kept], seed[kept]
    fit = CellMeans(cell, seed)
    test = cluster_contrast(fit, fit.mean).t_tests(y)
    found = cell_average(y, cell, seed)
    assert (found.mean, found.se, found.df) == pytest.approx((float(test.estimate), float(test.se), test.df))
    assert found.n_clusters == 5


def test_the_average_of_independent_rows_is_welch_over_cells():
    """Each cell has runs of its own seeds: a variance of its own, put together by Welch and Satterthwaite."""
    y, cell = np.random.default_rng(6).normal(size=9) * np.repeat([1.0, 10.0, 0.1], 3), np.repeat(np.arange(3), 3)
    v = y.reshape(3, 3).var(axis=1, ddof=1) / 3
    found = cell_average(y, cell, np.arange(9))
    assert (found.se, found.df) == pytest.approx((np.sqrt(v.sum()) / 3, v.sum() ** 2 / np.sum(v**2 / 2)))


def test_too_few_or_equal_values_have_no_error():
    assert np.isnan(cell_average(np.array([1.0, 2.0]), np.array([0, 1]), np.array([0, 1])).se)
    assert np.isnan(cell_average(np.array([1.0, 2.0]), np.array([0, 1]), np.array([0, 0])).df)
    assert np.isnan(cell_average(np.full(6, 80.1), np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)).se)


def test_seeds_of_each_cell_alone_keep_a_variance_of_their_own():
    """A cell that varies a hundred times more does not borrow the degrees of freedom of the others."""
    rng = np.random.default_rng(7)
    sample, cell = np.repeat([0, 1], 12), np.tile(np.repeat(np.arange(4), 3), 2)
    y = rng.normal(size=24) * np.where(cell == 3, 100.0, 1.0)
    found = sample_difference(y, sample, cell, np.arange(24))
    v = np.array([y[(sample == s) & (cell == c)].var(ddof=1) / 3 for s in (0, 1) for c in range(4)])
    assert (found.se, found.df) == pytest.approx((np.sqrt(v.sum()) / 4, v.sum() ** 2 / np.sum(v**2 / 2)))
    assert found.df < 4.5


def test_chains_of_cells_join_seeds():
    cells, clusters = np.array([0, 1, 1, 2, 3]), np.array([0, 0, 1, 1, 2])
    assert components(cells, clusters).tolist() == [0, 0, 2]
