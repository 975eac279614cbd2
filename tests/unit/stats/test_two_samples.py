import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.cluster_robust import CellMeans
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.two_samples import sample_difference


def layout(n_cells, seeds_a, seeds_b):
    """Side, cell and number of seed of complete studies."""
    rows = [(s, c, seed) for s, seeds in ((0, seeds_a), (1, seeds_b)) for c in range(n_cells) for seed in seeds]
    return (np.array(column) for column in zip(*rows, strict=True))


def test_pairs_with_missing_runs_are_the_cluster_contrast_of_their_differences():
    rng = np.random.default_rng(1)
    side, cell, seed = layout(6, range(5), range(5))
    y = rng.normal(size=side.size) + np.repeat([0.0, 1.0], side.size // 2)
    gone = [(0, 1), (0, 2), (3, 4), (5, 0)]
    kept = np.array([(c, s) not in gone for c, s in zip(cell, seed, strict=True)])
    found = sample_difference(y[kept], side[kept], cell[kept], seed[kept])
    half = kept[: side.size // 2]
    d = (y[: half.size] - y[half.size :])[half]
    fit = CellMeans(cell[: half.size][half], seed[: half.size][half])
    test = cluster_contrast(fit, fit.mean).t_tests(d)
    assert (found.difference, found.se, found.df) == pytest.approx((float(test.estimate), float(test.se), test.df))
    assert found.n_linked == 5


def test_independent_sides_with_missing_runs_are_two_cluster_contrasts_put_together_by_welch():
    rng = np.random.default_rng(2)
    side, cell, seed = layout(4, range(3), range(6))
    unit = seed + 10 * side
    y = rng.normal(size=side.size) * (1 + 2 * side)
    kept = np.ones(side.size, dtype=bool)
    kept[[1, 20, 27]] = False
    unit = np.unique(unit, return_inverse=True)[1]
    found = sample_difference(y[kept], side[kept], cell[kept], unit[kept])
    tests = []
    for s in (0, 1):
        own = kept & (side == s)
        codes = np.unique(unit[own], return_inverse=True)[1]
        fit = CellMeans(cell[own], codes)
        tests.append(cluster_contrast(fit, fit.mean).t_tests(y[own]))
    variances = np.array([float(test.se) ** 2 for test in tests])
    df = variances.sum() ** 2 / np.sum(variances**2 / [test.df for test in tests])
    assert found.difference == pytest.approx(float(tests[0].estimate - tests[1].estimate))
    assert (found.se, found.df) == pytest.approx((np.sqrt(variances.sum()), df))


def test_one_cell_is_the_paired_t_test_or_welch():
    y = np.array([1.0, 2.5, 2.0, 4.0, 0.5, 1.0, 2.0, 2.0])
    side, cell = np.repeat([0, 1], 4), np.zeros(8, dtype=int)
    pairs = sample_difference(y, side, cell, np.tile(np.arange(4), 2))
    apart = sample_difference(y, side, cell, np.arange(8))
    related, welch = stats.ttest_rel(y[:4], y[4:]), stats.ttest_ind(y[:4], y[4:], equal_var=False)
    assert (pairs.difference / pairs.se, pairs.df) == pytest.approx((related.statistic, 3))
    assert (apart.difference / apart.se, apart.df) == pytest.approx((welch.statistic, welch.df))


def test_too_few_units_have_no_error():
    y = np.array([1.0, 2.0, 4.0, 3.0])
    cell = np.zeros(4, dtype=int)
    assert np.isnan(sample_difference(y, np.array([0, 0, 0, 1]), cell, np.arange(4)).df)
    assert np.isnan(sample_difference(y[[0, 3]], np.array([0, 1]), cell[:2], np.zeros(2, dtype=int)).df)
    alone = sample_difference(y, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4))
    assert np.isnan(alone.se)  # every run alone in its cell: no residual


def test_no_spread_is_no_standard_error():
    found = sample_difference(np.array([1.1, 2.3, 3.7, 2.1, 3.3, 4.7]), np.repeat([0, 1], 3), np.zeros(6, dtype=int),
                            np.tile(np.arange(3), 2))  # fmt: skip
    assert np.isnan(found.se)
    assert found.df == 2


def test_linked_clusters_alone_in_their_cells_have_no_error_beside_others_that_have_one():
    """Cell 0: one linked cluster; cell 1: three of each sample. The linked ones show no residual at all."""
    sample, cell = np.array([0, 1] + [0] * 3 + [1] * 3), np.array([0, 0] + [1] * 6)
    found = sample_difference(np.arange(8.0) ** 2, sample, cell, np.array([0, 0, 1, 2, 3, 4, 5, 6]))
    assert np.isnan([found.se, found.df]).all()
    assert found.n_linked == 1


def test_the_unit_of_the_values_does_not_matter():
    y = np.array([1.0, 2.5, 2.0, 4.0, 0.5, 1.0, 2.0, 2.5])
    side, cell = np.repeat([0, 1], 4), np.zeros(8, dtype=int)
    one, tiny = (sample_difference(y * unit, side, cell, np.arange(8)) for unit in (1.0, 1e-120))
    assert tiny.df == pytest.approx(one.df)
    assert tiny.se / 1e-120 == pytest.approx(one.se)
