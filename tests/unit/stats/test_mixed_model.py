import numpy as np
import pytest

from heatdrift.stats.deviance import Grouping
from heatdrift.stats.mixed_model import fit_many, fit_mixed


def dense_criterion(y, x, groupings, variances, s2, *, reml):
    """Log-likelihood from its definition, with no profiling and no Woodbury."""
    v = s2 * np.eye(y.size) + sum(
        var * g.indicator @ g.indicator.T for g, var in zip(groupings, variances, strict=True)
    )
    vi = np.linalg.inv(v)
    info = x.T @ vi @ x
    r = y - x @ np.linalg.solve(info, x.T @ vi @ y)
    size = y.size - x.shape[1] * reml
    extra = np.linalg.slogdet(info)[1] if reml else 0.0
    return -0.5 * (size * np.log(2 * np.pi) + np.linalg.slogdet(v)[1] + extra + r @ vi @ r)


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    seed, method = np.repeat(np.arange(5), 12), np.tile(np.repeat([0, 1], 6), 5)
    x = np.column_stack([np.ones(60), method, rng.normal(size=60)])
    y = (
        x @ [1.0, 2.0, 0.5]
        + rng.normal(size=5)[seed]
        + 0.7 * rng.normal(size=10)[2 * seed + method]
        + 0.4 * rng.normal(size=60)
    )
    kept = rng.random(60) > 0.15
    groupings = (Grouping("seed", seed[kept]), Grouping("seed:method", (2 * seed + method)[kept]))
    return y[kept], x[kept], groupings


@pytest.mark.parametrize("reml", [True, False])
def test_loglik_is_the_definition_and_no_neighbour_is_better(data, reml):
    y, x, groupings = data
    fit = fit_mixed(y, x, groupings, reml=reml)
    best = dense_criterion(y, x, groupings, fit.variances, fit.residual_variance, reml=reml)
    assert fit.loglik == pytest.approx(best, abs=1e-10)
    for factor in (0.999, 1.001):
        for i in range(3):
            theta = np.array([*fit.variances, fit.residual_variance])
            theta[i] *= factor
            assert dense_criterion(y, x, groupings, theta[:2], theta[2], reml=reml) <= best


def test_one_way_balanced_is_the_anova_estimator():
    rng = np.random.default_rng(5)
    y = (rng.normal(size=6)[:, None] * 2.0 + rng.normal(size=(6, 5))).ravel()
    groups = np.repeat(np.arange(6), 5)
    fit = fit_mixed(y, np.ones((30, 1)), [Grouping("g", groups)])
    table = y.reshape(6, 5)
    within = table.var(axis=1, ddof=1).mean()
    between = 5 * table.mean(axis=1).var(ddof=1)
    assert fit.residual_variance == pytest.approx(within, rel=1e-9)
    assert fit.variances[0] == pytest.approx((between - within) / 5, rel=1e-9)


def test_zero_variance_is_exactly_zero_and_gives_least_squares():
    y = np.array([1.0, 2.0, 3.0, 1.1, 2.2, 2.7, 0.9, 2.0, 3.1])
    fit = fit_mixed(y - np.tile(0, 9), np.ones((9, 1)), [Grouping("g", np.repeat(np.arange(3), 3))])
    assert fit.singular
    assert fit.ratios[0] == 0.0
    assert fit.residual_variance == pytest.approx(y.var(ddof=1), rel=1e-12)


def test_many_responses_are_fitted_as_each_alone(data):
    y, x, groupings = data
    rng = np.random.default_rng(8)
    responses = y + rng.normal(size=(20, y.size)) * np.linspace(0, 3, 20)[:, None]
    together = fit_many(responses, x, groupings)
    for i, response in enumerate(responses):
        alone = fit_mixed(response, x, groupings)
        np.testing.assert_allclose(together.ratios[i], alone.ratios, rtol=1e-7, atol=1e-10)
        assert together.loglik[i] == pytest.approx(alone.loglik, abs=1e-10)


def test_a_seed_variance_far_above_the_residual_is_found():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(4), 8)
    y = 1e3 * rng.normal(size=4)[groups] + rng.normal(size=32)
    fit = fit_mixed(y, np.ones((32, 1)), [Grouping("g", groups)])
    table = y.reshape(4, 8)
    assert fit.residual_variance == pytest.approx(table.var(axis=1, ddof=1).mean(), rel=1e-6)
    assert fit.variances[0] == pytest.approx(table.mean(axis=1).var(ddof=1), rel=1e-5)
