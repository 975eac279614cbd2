import numpy as np
import pytest

from heatdrift.stats.left_out_groups import LeftOut, fit_monotone, half_width, leave_groups_out, supported_level


def test_the_fit_is_monotone_in_its_orientation_and_knows_its_range():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 2))
    y = 100 - 80 * x[:, 0] + rng.normal(scale=10, size=60)
    fit = fit_monotone(x, y, np.arange(60) % 3, (-1, 1))
    line = np.column_stack([np.linspace(0, 1, 30), np.full(30, 0.5)])
    assert (np.diff(fit.predict(line)) <= 1e-9).all()
    assert fit.outside(np.array([[0.5, 2.0]])).tolist() == [[False, True]]


def test_groups_weigh_the_same_however_many_observations_they_have():
    x = np.zeros((11, 1))
    y = np.array([0.0] * 10 + [100.0])
    fit = fit_monotone(x, y, np.array([0] * 10 + [1]), (1,))
    assert fit.predict(np.zeros((1, 1)))[0] == pytest.approx(50)


def test_a_group_outside_of_what_the_others_saw_is_refused():
    x = np.array([[0.1], [0.5], [0.2], [0.4], [7.0], [8.0]])
    found = leave_groups_out(x, x[:, 0], np.array([0, 0, 1, 1, 2, 2]), (1,))
    assert np.isnan(found.predicted[4:]).all()
    assert not np.isnan(found.predicted[2:4]).any()
    assert found.n_groups == 2


def test_few_groups_support_no_high_level():
    assert supported_level(1) == 0.5
    assert supported_level(4) == 0.8
    assert supported_level(19) == 0.95
    assert supported_level(19, 0.9) == 0.9
    assert supported_level(0) is None
    errors = LeftOut(np.zeros(4), np.arange(4.0), np.arange(4))
    assert half_width(errors, 0.8) == 3
    assert half_width(errors, 0.95) == np.inf


def test_the_interval_covers_new_groups_as_often_as_it_says():
    """Groups with an offset of their own: the truth of 400 simulated studies is never shown to the fit."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        x = rng.uniform(size=(6, 15, 1))
        y = 100 - 60 * x[..., 0] + rng.normal(scale=12, size=(6, 1)) + rng.normal(scale=2, size=(6, 15))
        group = np.repeat(np.arange(5), 15)
        known_x, known_y = x[:5].reshape(-1, 1), y[:5].ravel()
        fit = fit_monotone(known_x, known_y, group, (-1,))
        width = half_width(leave_groups_out(known_x, known_y, group, (-1,)), 0.8)
        answered = ~fit.outside(x[5]).any(axis=1)
        error = np.abs(fit.predict(x[5]) - y[5])[answered]
        covered.append((error <= width).mean())
    assert np.mean(covered) > 0.8 - 2.5 * np.std(covered) / 20
    assert np.mean(covered) < 0.97
