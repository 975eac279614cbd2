import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.intervals import mean_interval, percentile_interval, sd_interval, t_interval

NAN = float("nan")


def test_a_mean_has_the_one_sample_t_interval_of_the_values_that_are_there():
    values = np.array([1.0, NAN, 2.5, 4.0, 3.5])
    expected = stats.ttest_1samp(values[[0, 2, 3, 4]], 0.0).confidence_interval(0.9)
    assert mean_interval(values, 0.9) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert np.isnan(mean_interval(np.array([1.0, NAN]), 0.9)).all()


def test_t_intervals_of_many_estimates_share_their_df():
    low, high = t_interval(np.array([0.0, 10.0]), np.array([1.0, NAN]), 3.0, 0.95)
    assert (low[0], high[0]) == pytest.approx(stats.t.interval(0.95, 3.0))
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(t_interval(1.0, 1.0, NAN, 0.95)).all()


def test_percentiles_are_over_the_draws_that_are_defined_and_need_half_of_them():
    draws = np.random.default_rng(0).normal(size=(500, 3))
    expected = np.quantile(draws, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(percentile_interval(draws, 0.9), expected, rtol=1e-12)
    draws[:250, 1], draws[:251, 2] = NAN, NAN
    low, high = percentile_interval(draws, 0.9)
    assert (low[0], high[0]) == pytest.approx(tuple(expected[:, 0]))
    assert (low[1], high[1]) == pytest.approx(tuple(np.quantile(draws[250:, 1], [0.05, 0.95])))
    assert np.isnan([low[2], high[2]]).all()
    one = percentile_interval(draws[:, 1], 0.9)
    assert (float(one[0]), float(one[1])) == (low[1], high[1])
    assert np.isnan(percentile_interval(np.full(9, NAN), 0.9)).all()


def test_the_sd_interval_covers():
    rng = np.random.default_rng(1)
    sds = rng.normal(size=(4000, 4)).std(axis=1, ddof=1)
    low, high = zip(*(sd_interval(s, 3, 0.9) for s in sds), strict=True)
    assert np.mean((np.array(low) < 1) & (np.array(high) > 1)) == pytest.approx(0.9, abs=0.02)
