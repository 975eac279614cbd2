import numpy as np
import pytest

from heatdrift.stats.left_out_groups import fit_monotone, interval, leave_groups_out, supported_level


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
    assert found.calibrating == (0, 1)


def test_few_groups_support_no_high_level():
    assert supported_level(2) is None
    assert supported_level(3) == 0.5
    assert supported_level(4) == 0.6
    assert supported_level(39) == 0.95
    assert supported_level(39, 0.9) == 0.9
    assert supported_level(0) is None


def test_the_interval_puts_every_left_out_error_next_to_its_own_fit():
    """Three groups at one place: each fit is the mean of the other two, each error the distance from it."""
    x, y = np.zeros((3, 1)), np.array([0.0, 10.0, 50.0])
    found = leave_groups_out(x, y, np.arange(3), (1,))
    np.testing.assert_allclose(found.predicted, [30, 25, 5])
    low, high = interval(found, np.zeros((1, 1)), 0.5)
    assert (low[0], high[0]) == (5 - 45, 30 + 30)
    assert interval(found, np.zeros((1, 1)), 0.6)[1][0] == np.inf


def test_a_group_of_which_the_others_can_say_little_does_not_calibrate():
    rng = np.random.default_rng(0)
    inside = rng.uniform(0.1, 0.9, size=(4, 20, 1))
    far = np.concatenate([rng.uniform(0.1, 0.9, size=(5, 1)), rng.uniform(2, 3, size=(15, 1))])
    x = np.concatenate([*inside, far])
    found = leave_groups_out(x, x[:, 0], np.repeat(np.arange(5), 20), (1,))
    assert 4 not in found.calibrating
    assert found.n_groups == len(found.calibrating) >= 3
    assert not np.isnan(found.predicted[-20:-15]).any()


@pytest.mark.parametrize("spread", ["alike", "half of the groups three times as wide"])
@pytest.mark.parametrize(("n_groups", "level"), [(4, 0.6), (7, 0.75)])
def test_the_interval_covers_new_groups_at_least_as_often_as_it_says(spread, n_groups, level):
    """Groups with an offset of their own: the truth of 300 simulated studies is never shown to the fit."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        x = rng.uniform(size=(n_groups + 1, 15, 1))
        scale = np.full((n_groups + 1, 1), 12.0) if spread == "alike" else rng.choice([6.0, 18.0], (n_groups + 1, 1))
        y = 100 - 60 * x[..., 0] + rng.normal(size=(n_groups + 1, 1)) * scale + rng.normal(scale=2, size=x.shape[:2])
        group = np.repeat(np.arange(n_groups), 15)
        found = leave_groups_out(x[:-1].reshape(-1, 1), y[:-1].ravel(), group, (-1,))
        assert supported_level(found.n_groups) == level
        low, high = interval(found, x[-1], level)
        covered.append(((low <= y[-1]) & (y[-1] <= high)).mean())
    assert np.mean(covered) > level - 2.5 * np.std(covered) / 300**0.5
    assert np.mean(covered) < 1
