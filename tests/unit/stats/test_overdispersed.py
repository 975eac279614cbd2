"""The quasi-binomial regression against statsmodels, a closed form, and where it has no answer."""

import numpy as np
import pytest
from scipy import special

from heatdrift.errors import StatsError
from heatdrift.stats.overdispersed import fit_counts


def counts(seed, n=48, p=5, images=300):
    """Overdispersed counts: the log odds of each run have a normal part of their own."""
    rng = np.random.default_rng(seed)
    design = np.hstack([np.ones((n, 1)), rng.normal(size=(n, p - 1))])
    eta = design @ rng.normal(0, 0.6, p) + rng.normal(0, 0.3, n)
    sizes = rng.integers(images // 2, images, n).astype(float)
    return rng.binomial(sizes.astype(int), special.expit(eta)).astype(float), sizes, design


@pytest.mark.parametrize("seed", range(6))
def test_it_is_statsmodels_glm(seed):
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    right, images, design = counts(seed)
    theirs = GLM(right / images, design, family=Binomial(), var_weights=images).fit(scale="X2", tol=1e-12)
    ours = fit_counts(right, images, design)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-7)
    assert ours.dispersion == pytest.approx(theirs.scale, rel=1e-8)
    assert ours.dispersion > 2
    assert ours.df == theirs.df_resid == 43
    for rows in (np.eye(5)[[1]], np.eye(5)[[1, 2, 4]], np.array([[0, 1.0, -1.0, 0, 0]])):
        expected = theirs.wald_test(rows, use_f=True, scalar=True).pvalue
        assert ours.wald_p(rows) == pytest.approx(float(expected), rel=1e-6)


def test_groups_without_covariates_have_the_log_odds_of_their_sums():
    right, images = np.array([10.0, 14.0, 30.0, 33.0, 50.0, 41.0]), np.array([50.0, 60.0, 60.0, 70.0, 80.0, 60.0])
    group = np.repeat(np.eye(3), 2, axis=0)
    fit = fit_counts(right, images, group)
    sums = np.array([[24.0, 110.0], [63.0, 130.0], [91.0, 140.0]])
    np.testing.assert_allclose(fit.coefficients, special.logit(sums[:, 0] / sums[:, 1]), rtol=1e-9)


def test_counts_drawn_at_random_have_a_dispersion_near_1():
    rng = np.random.default_rng(3)
    n = 2000
    design = np.hstack([np.ones((n, 1)), rng.normal(size=(n, 2))])
    images = np.full(n, 200.0)
    right = rng.binomial(200, special.expit(design @ [0.3, 0.5, -0.2])).astype(float)
    assert fit_counts(right, images, design).dispersion == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("right", "design"),
    [
        ([0, 0, 0, 10, 10, 10], [[1, 0]] * 3 + [[1, 1]] * 3),  # separated: an infinite difference
        ([10, 10, 10, 10, 10, 10], [[1.0]] * 6),  # all right
        ([3, 4, 5, 6, 5, 4], [[1, 1]] * 6),  # two columns that are one
    ],
)
def test_infinite_log_odds_are_refused(right, design):
    with pytest.raises(StatsError, match="does not converge"):
        fit_counts(np.array(right, dtype=float), np.full(6, 10.0), np.array(design, dtype=float))
