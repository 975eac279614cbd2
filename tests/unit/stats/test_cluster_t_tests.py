import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.cluster_robust import CellMeans, WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import cluster_contrast

N_SEEDS, CELLS = 5, 4  # cells 0, 1: method a at two lrs; 2, 3: method b


def design(missing=()):
    """One-hot cells and seeds of a full crossing without the (cell, seed) in `missing`."""
    kept = [(c, s) for c in range(CELLS) for s in range(N_SEEDS) if (c, s) not in missing]
    cells, seeds = (np.array(v) for v in zip(*kept, strict=True))
    return cell_indicators(cells), cells, seeds


METHOD = np.array([[-0.5, -0.5, 0.5, 0.5]])


@pytest.mark.parametrize("missing", [(), ((0, 1), (3, 4), (2, 4))])
def test_a_contrast_within_seeds_is_the_headline_test_for_every_response(missing):
    x, _, seeds = design(missing)
    y = np.random.default_rng(1).normal(size=(6, x.shape[0]))
    found = cluster_contrast(WithinClusters(x, seeds), METHOD).t_tests(y)
    for i in range(6):
        one = cluster_contrast(WithinClusters(x, seeds), METHOD).f_test(y[i])
        assert found.estimate[i] == pytest.approx(one.estimate, rel=1e-9)
        assert found.se[i] == pytest.approx(one.se, rel=1e-9)
        assert found.df == pytest.approx(one.df_den, rel=1e-9)
        assert found.p[i] == pytest.approx(one.p, rel=1e-9)


def test_a_balanced_mean_is_a_one_sample_t_over_seed_means():
    _, cells, seeds = design()
    y = np.random.default_rng(2).normal(1.0, size=cells.size)
    fit = CellMeans(cells, seeds)
    found = cluster_contrast(fit, fit.mean).t_tests(y)
    means = np.array([y[seeds == s].mean() for s in range(N_SEEDS)])
    reference = stats.ttest_1samp(means, 0.0)
    interval = reference.confidence_interval(0.9)
    assert found.df == N_SEEDS - 1  # exactly
    assert found.n_clusters == N_SEEDS
    assert found.t == pytest.approx(reference.statistic, rel=1e-10)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-10)
    assert found.interval(0.9) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_nothing_is_claimed_without_spread_or_without_an_estimate():
    x, cells, seeds = design()
    constant = cluster_contrast(WithinClusters(x, seeds), METHOD).t_tests(np.where(cells > 1, 3.0, 1.0))
    assert constant.estimate == pytest.approx(2.0)
    assert np.isnan([constant.se, constant.t, constant.p]).all()
    confounded = cluster_contrast(WithinClusters(x, seeds), np.eye(CELLS)[:1]).t_tests(np.ones(x.shape[0]))
    assert np.isnan([confounded.estimate, confounded.p, confounded.df]).all()


def test_one_seed_has_no_error_term():
    fit = CellMeans(np.zeros(3, dtype=int), np.zeros(3, dtype=int))
    found = cluster_contrast(fit, fit.mean).t_tests(np.array([1.0, 2.0, 3.0]))
    assert np.isnan(found.p)


@pytest.mark.parametrize("missing", [(), ((0, 1), (3, 4))])
def test_a_true_null_is_rejected_near_five_percent_whatever_seeds_do_to_the_methods(missing):
    x, cells, seeds = design(missing)
    rng = np.random.default_rng(3)
    draws = 8000
    by_seed = rng.normal(size=(draws, N_SEEDS)) + 0.3
    by_method = rng.normal(size=(draws, N_SEEDS, 2))
    y = by_seed[:, seeds] + by_method[:, seeds, (cells > 1).astype(int)] + 0.5 * rng.normal(size=(draws, cells.size))
    p = cluster_contrast(WithinClusters(x, seeds), METHOD).t_tests(y).p
    assert 0.035 < np.mean(p < 0.05) < 0.065
