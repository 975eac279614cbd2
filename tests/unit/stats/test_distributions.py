import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.distributions import chi2_p_value, f_p_value, t_p_value, t_quantile


@pytest.mark.parametrize(("t", "df"), [(0.0, 3.0), (2.5, 1.7), (-40.0, 12.0)])
def test_t_agrees_with_scipy(t, df):
    assert t_p_value(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-12)
    assert t_quantile(0.95, df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-12)


def test_f_and_chi_square_agree_with_scipy():
    assert f_p_value(12.3, 3, 11.5) == pytest.approx(stats.f.sf(12.3, 3, 11.5), rel=1e-10)
    assert chi2_p_value(7.5, 3) == pytest.approx(stats.chi2.sf(7.5, 3), rel=1e-12)
    assert chi2_p_value(-1e-12, 1) == 1.0


def test_undefined_df_give_nan():
    assert np.isnan(t_p_value(1.0, float("nan")))
    assert np.isnan(f_p_value(1.0, 2, float("nan")))
    assert np.isnan(t_quantile(0.95, 0.0))
