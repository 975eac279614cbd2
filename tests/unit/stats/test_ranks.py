import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.ranks import average_ranks, spearman, spearman_p


@pytest.mark.parametrize("shape", [(1,), (7,), (200,), (1, 5), (30, 12), (4, 3, 6)])
def test_average_ranks_are_scipys(shape):
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=shape), rng.integers(0, 4, size=shape).astype(float), np.zeros(shape)):
        np.testing.assert_array_equal(average_ranks(values), stats.rankdata(values, axis=-1))


def test_rho_and_its_p_are_those_of_scipy():
    rng = np.random.default_rng(6)
    x, y = np.round(rng.normal(size=20), 1), rng.normal(size=20)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert spearman_p(spearman(x, y), 20) == pytest.approx(stats.spearmanr(x, y).pvalue, rel=1e-10)
    assert np.isnan(spearman(x, np.ones(20)))
    assert spearman_p(1.0, 5) == 0.0
