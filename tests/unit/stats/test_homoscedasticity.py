import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.homoscedasticity import cell_spread, extra_f


def test_brown_forsythe_is_scipys_levene_around_medians():
    rng = np.random.default_rng(1)
    cells = np.repeat(np.arange(4), [5, 3, 6, 2])
    y = rng.normal(size=(3, cells.size))
    spread = cell_spread(y, cells)
    assert spread.sizes.tolist() == [5, 3, 6]  # two runs have no spread to speak of
    for row, f in zip(y, spread.f, strict=True):
        levene = stats.levene(*(row[cells == c] for c in range(3)), center="median")
        assert f == pytest.approx(levene.statistic)
        assert stats.f.sf(f, spread.df_num, spread.df_den) == pytest.approx(levene.pvalue)
    assert cell_spread(y, np.arange(cells.size)) is None


def test_ratio_p_is_large_for_equal_and_small_for_unequal_variances():
    rng = np.random.default_rng(2)
    cells = np.repeat(np.arange(8), 5)
    equal = rng.normal(size=(400, 40))
    assert np.mean(cell_spread(equal, cells).ratio_p() < 0.05) == pytest.approx(0.05, abs=0.04)
    unequal = equal * np.where(cells == 0, 20.0, 1.0)
    assert np.mean(cell_spread(unequal, cells).ratio_p() < 0.05) > 0.9


def test_extra_f_is_the_regression_f_and_nan_without_error_df():
    rng = np.random.default_rng(3)
    two, four = np.arange(20) % 2, np.arange(20) % 4
    x = np.column_stack([np.ones(20), rng.normal(size=20), two])  # the means of the groups make one column redundant
    y = rng.normal(size=(1, 20))
    f, df_num, df_den = extra_f(y, x, two, four)
    columns = [np.column_stack([np.eye(int(c.max()) + 1)[c], x[:, 1]]) for c in (two, four)]
    rss = [np.linalg.lstsq(c, y[0], rcond=None)[1] for c in columns]
    assert (df_num, df_den) == (2, 15)
    assert f[0] == pytest.approx(((rss[0] - rss[1]) / 2 / (rss[1] / 15)).item())
    assert np.isnan(extra_f(y, x, two, np.arange(20))[0]).all()
