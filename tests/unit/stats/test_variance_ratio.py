import numpy as np
import pytest

from heatdrift.stats.deviance import Grouping, profiled_deviance
from heatdrift.stats.mixed_model import fit_many
from heatdrift.stats.variance_ratio import spectrum

GROUPS = np.repeat(np.arange(4), [3, 7, 5, 9])
X = np.column_stack([np.ones(GROUPS.size), np.linspace(-1, 1, GROUPS.size)])


def test_squares_are_those_of_the_residuals_and_the_interval_covers():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(600):
        y = rng.normal(size=4)[GROUPS] + rng.normal(size=GROUPS.size)
        form = spectrum(y, X, Grouping("g", GROUPS))
        low, high = form.interval(0.9)
        inside += low <= 1.0 <= high
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert form.squares.sum() + form.rss == pytest.approx(left @ left)
    assert form.df == GROUPS.size - 2 - int(form.counts.sum())
    assert 0.9 - 0.04 < inside / 600 < 0.9 + 0.04


def test_no_group_difference_at_all_gives_an_interval_at_zero():
    y = np.tile([1.0, -1.0], 6)
    low, high = spectrum(y, np.ones((12, 1)), Grouping("g", np.repeat(np.arange(3), 4))).interval(0.95)
    assert low == high == 0.0


def test_simulated_null_is_that_of_refitting():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(20_000, GROUPS.size))
    grouping = Grouping("g", GROUPS)
    moments = profiled_deviance(X, [grouping], reml=True)
    u, yy = moments.project(y)
    none = -0.5 * (moments.deviance(np.zeros((y.shape[0], 1)), u, yy)[0] + moments.constant)
    rlrt = 2.0 * (fit_many(y, X, [grouping]).loglik - none)
    form = spectrum(y[0], X, grouping)
    for level in (0.2, 0.1, 0.05, 0.01):
        p, draws = form.null_p(float(np.quantile(rlrt, 1 - level)))
        assert draws == 10_000
        assert p == pytest.approx(level, abs=4 * np.sqrt(1.5 * level / 10_000))


def test_balanced_groups_give_the_f_test_in_closed_form():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(5), 4)
    y = 0.8 * rng.normal(size=5)[groups] + rng.normal(size=20)
    grouping = Grouping("g", groups)
    x = np.ones((20, 1))
    moments = profiled_deviance(x, [grouping], reml=True)
    u, yy = moments.project(y[None, :])
    none = -0.5 * float(moments.deviance(np.zeros((1, 1)), u, yy)[0][0] + moments.constant)
    rlrt = 2.0 * (float(fit_many(y[None, :], x, [grouping]).loglik[0]) - none)
    form = spectrum(y, x, grouping)
    table = y.reshape(5, 4)
    f = 4 * table.mean(axis=1).var(ddof=1) / table.var(axis=1, ddof=1).mean()
    from scipy import stats

    assert f > 1
    assert form.null_p(rlrt) == (pytest.approx(stats.f.sf(f, 4, 15), rel=1e-6), 0)
    assert form.null_p(0.0) == (1.0, 0)


def test_nothing_left_for_the_residual_gives_nan():
    y = np.array([1.0, 2.0, 4.0])
    form = spectrum(y, np.ones((3, 1)), Grouping("g", np.arange(3)))
    assert np.isnan(form.interval(0.95)).all()
    assert np.isnan(form.null_p(1.0)[0])
