import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.mcnemar import mcnemar_p


def test_p_is_the_two_sided_binomial_test_of_the_disagreements():
    a, b = np.array([0, 1, 7, 12, 350]), np.array([5, 1, 3, 30, 290])
    expected = [stats.binomtest(int(i), int(i + j), 0.5).pvalue for i, j in zip(a, b, strict=True)]
    assert mcnemar_p(a, b) == pytest.approx(expected, rel=1e-9)


def test_without_disagreement_nothing_speaks_against_the_null():
    assert mcnemar_p([0], [0]).tolist() == [1.0]


def test_the_published_example():
    """Approval of the prime minister (Agresti, Categorical Data Analysis, table 10.1): 150 against 86, z^2 = 17.36."""
    assert mcnemar_p([150], [86])[0] == pytest.approx(3.7e-5, rel=0.02)
