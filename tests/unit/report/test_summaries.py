import math

import polars as pl
import pytest
from scipy import stats

from heatdrift.report.summaries import layer_means, line_ends, padded_domain, padded_extent, side_by_side, t_intervals


def test_t_interval_agrees_with_scipy():
    values = [1.0, 2.5, 2.0, 4.0]
    row = t_intervals(pl.DataFrame({"g": ["a"] * 4, "value": values}), by=["g"], conf_level=0.9).row(0, named=True)
    low, high = stats.t.interval(0.9, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert (row["n"], row["mean"]) == (4, 2.375)
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_one_seed_has_a_mean_and_no_interval_and_null_is_not_counted():
    frame = pl.DataFrame({"g": ["a", "a", "b"], "value": [3.0, None, None]})
    rows = t_intervals(frame, by=["g"], conf_level=0.95)
    assert rows.rows(named=True) == [{"g": "a", "n": 1, "mean": 3.0, "sd": None, "low": None, "high": None}]


def test_layer_means_are_taken_at_each_runs_selected_epoch():
    runs = pl.DataFrame(
        {"study": "s", "cell_id": ["a", "b"], "selected_epoch": [1, 2], "place": "p", "method": "m", "lr": 1e-5}
    )
    layers = pl.DataFrame(
        {
            "study": "s", "cell_id": ["a", "a", "b", "b"], "epoch": [1, 2, 1, 2], "layer": 0, "metric": "entropy",
            "delta_pct": [10.0, 99.0, 99.0, 20.0],
        }
    )  # fmt: skip
    assert layer_means(runs, layers, "entropy").row(0, named=True)["delta_pct"] == 15.0


def test_methods_stand_side_by_side_around_their_learning_rate():
    frame = pl.DataFrame({"method": ["x", "y"], "lr": [1e-4, 1e-4]})
    shown = side_by_side(frame, ["x", "y"], [1e-5, 1e-4])["lr_shown"].to_list()
    assert shown[0] < 1e-4 < shown[1]
    assert math.sqrt(shown[0] * shown[1]) == pytest.approx(1e-4)


def test_a_huge_interval_does_not_flatten_the_points_and_the_cut_is_reported():
    rows = pl.DataFrame({"mean": [0.0, 10.0], "low": [-1e6, 9.0], "high": [1e6, 11.0]})
    low, high, cut = padded_domain(rows, point="mean", low="low", high="high", inside=())
    assert cut
    assert -15 < low < -10
    assert 20 < high < 25


def test_the_base_line_is_inside_the_axis():
    rows = pl.DataFrame({"mean": [40.0, 60.0], "low": [39.0, 59.0], "high": [41.0, 61.0]})
    low, high, cut = padded_domain(rows, point="mean", low="low", high="high", inside=[100.0])
    assert not cut
    assert low < 39
    assert high > 100


def test_an_axis_does_not_go_below_what_the_quantity_can_be():
    rows = pl.DataFrame({"mean": [1.0, 60.0], "low": [-4.0, 59.0], "high": [6.0, 61.0]})
    assert padded_domain(rows, point="mean", low="low", high="high", inside=(), floor=0.0)[0] == 0.0
    assert padded_extent(rows["mean"], floor=0.0)[0] == 0.0
    assert padded_extent(rows["mean"])[0] < 0


@pytest.mark.parametrize("points", [[82.881], [82.881, 82.88095]])
def test_one_value_stands_in_the_middle_of_an_axis_that_can_be_read(points):
    rows = pl.DataFrame({"mean": points, "low": [None] * len(points), "high": [None] * len(points)})
    rows = rows.cast(pl.Float64)
    low, high, cut = padded_domain(rows, point="mean", low="low", high="high", inside=(), floor=0.0)
    assert not cut
    assert low == pytest.approx(82.881 - 0.05 * 82.881, rel=1e-3)
    assert high == pytest.approx(82.881 + 0.05 * 82.881, rel=1e-3)
    assert padded_extent(rows["mean"]) == pytest.approx((low, high))


def test_line_ends_lie_on_the_least_squares_line():
    x, y = pl.Series([0.0, 1.0, 2.0, 4.0]), pl.Series([1.0, 3.0, 4.0, 9.0])
    fit = stats.linregress(x, y)
    ends = line_ends(x, y)
    assert ends is not None
    assert ends["y"].to_list() == pytest.approx([fit.intercept, fit.intercept + 4 * fit.slope])


@pytest.mark.parametrize("x", [[1.0, 1.0, 1.0], [1.0, 2.0, None]])
def test_no_line_where_x_does_not_vary_or_points_are_too_few(x):
    assert line_ends(pl.Series(x), pl.Series([1.0, 2.0, 3.0])) is None
