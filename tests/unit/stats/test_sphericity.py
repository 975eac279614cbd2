import numpy as np
import pytest

from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.sphericity import level_variances

DESIGN = full_factorial([categorical("lr", [1e-6, 5e-6, 1e-5, 5e-5]), categorical("method", ["a", "b"])])
CELLS, SEEDS = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
LR, METHOD = DESIGN.level_codes("lr")[CELLS], DESIGN.level_codes("method")[CELLS]
X = DESIGN.grid[CELLS]


def estimator():
    found = level_variances(X, SEEDS, LR, METHOD)
    assert found is not None
    return found


def test_level_variances_are_unbiased_and_blind_to_seed_by_method_effects():
    rng = np.random.default_rng(1)
    sd = np.array([0.1, 0.3, 1.0, 2.0])
    y = sd[LR] * rng.normal(size=(40_000, LR.size))
    found = estimator().estimate(y).mean(axis=0)
    np.testing.assert_allclose(found[2:], sd[2:] ** 2, rtol=0.03)  # small ones are cut at 0 now and then
    slopes = 5.0 * rng.normal(size=(1, 6, 2))[:, SEEDS, METHOD]
    np.testing.assert_allclose(estimator().estimate(y[:1] + slopes), estimator().estimate(y[:1]), atol=1e-9)


def test_epsilon_is_near_one_for_equal_variances_and_boxs_for_unequal_ones():
    rng = np.random.default_rng(2)
    orthonormal = cluster_contrast(WithinClusters(X, SEEDS), DESIGN.hypotheses["lr"]).orthonormal
    equal = estimator().epsilon(rng.normal(size=(2000, LR.size)), orthonormal)
    assert equal.mean() > 0.93
    assert equal.max() <= 1.0
    sd = np.array([0.1, 0.1, 0.1, 1.0])
    contrasts = np.linalg.qr(np.column_stack([np.ones(4), np.eye(4)[:, :3]]))[0][:, 1:]
    c = contrasts.T @ np.diag(sd**2) @ contrasts
    truth = np.trace(c) ** 2 / (3 * np.trace(c @ c))
    found = estimator().epsilon(sd[LR] * rng.normal(size=(2000, LR.size)), orthonormal)
    assert np.median(found) == pytest.approx(truth, abs=0.04)


def test_no_estimator_where_no_residual_is_left():
    assert level_variances(X[SEEDS == 0], SEEDS[SEEDS == 0], LR[SEEDS == 0], METHOD[SEEDS == 0]) is None
