import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.ranks import average_ranks


@pytest.mark.parametrize("shape", [(1,), (7,), (200,), (1, 5), (30, 12), (4, 3, 6)])
def test_average_ranks_are_scipys(shape):
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=shape), rng.integers(0, 4, size=shape).astype(float), np.zeros(shape)):
        np.testing.assert_array_equal(average_ranks(values), stats.rankdata(values, axis=-1))
