import re

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.errors import StatsError
from heatdrift.questions.frontier.analysis import frontier
from heatdrift.stats.matched_curves import Curves, matched_difference


@pytest.fixture(scope="module")
def runs():
    return simulated_study().runs


def test_cells_are_means_with_t_intervals(runs):
    for cell in frontier(runs, bootstrap=100).cells:
        here = runs.filter(
            (pl.col("dataset") == cell.dataset) & (pl.col("method") == cell.method) & (pl.col("lr") == cell.lr)
        )
        for column, mean, low, high in (
            ("test_acc_pct", cell.test_acc_pct, cell.acc_ci_low, cell.acc_ci_high),
            ("retention_pct", cell.retention_pct, cell.retention_ci_low, cell.retention_ci_high),
        ):
            values = here[column].to_numpy()
            interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
            assert mean == pytest.approx(values.mean())
            assert (low, high) == (pytest.approx(interval.low), pytest.approx(interval.high))
        assert cell.weight_drift == pytest.approx(here["weight_drift"].mean())


def cells(points, seeds=(1, 2)):
    """Runs at given (method, lr): (accuracy, retention), the same for every seed."""
    return pl.DataFrame(
        [
            {"dataset": "d", "method": m, "lr": lr, "seed": s, "status": "done", "test_acc_pct": a, "retention_pct": r}
            for (m, lr), (a, r) in points.items()
            for s in seeds
        ]
    )


def test_the_front_is_what_no_cell_beats():
    points = {
        ("full_ft", 1.0): (90.0, 50.0),
        ("full_ft", 2.0): (90.0, 40.0),  # as accurate as the first, less retention
        ("full_ft", 3.0): (80.0, 50.0),  # as retentive, less accurate
        ("lora_r8", 1.0): (70.0, 90.0),
        ("lora_r8", 2.0): (60.0, 60.0),  # worse in both
        ("lora_r8", 3.0): (70.0, 90.0),  # a tie with the first: neither beats the other
    }
    found = frontier(cells(points), bootstrap=50).cells
    assert [(c.method, c.lr) for c in found if c.on_front] == [("full_ft", 1.0), ("lora_r8", 1.0), ("lora_r8", 3.0)]
    assert {c.dominated_by for c in found if not c.on_front} == {"full_ft lr 1", "lora_r8 lr 1"}
    assert {c.front_share for c in found} == {0.0, 1.0}
    assert all(c.dataset is None for c in found)


def test_cells_that_differ_on_the_front_read_differently():
    points = {
        ("lora_r8", 1.0): (8.105, 99.99),
        ("lora_r8", 2.0): (3.605, 100.095),
        ("full_ft", 1.0): (12.92, 86.134),
    }
    (front, *_) = frontier(cells(points), bootstrap=50).descriptions
    assert front.startswith(
        "On d 3 of 3 cells (2 seeds each) are on the front: no other cell is as good in both test accuracy and "
        "retention and better in one. By falling accuracy: Full FT at lr 1e0 (accuracy 12.9 %, retention 86.1 %, "
    )
    assert "(accuracy 8.1 %, retention 100.0 %, on the front in 100 % of resamples of seeds)" in front
    assert "(accuracy 3.6 %, retention 100.1 %, " in front


def test_shared_ranges_have_their_unit(runs):
    accuracy, drift = (
        next(s for s in frontier(runs, bootstrap=50).findings if s.startswith(f"At equal {title} ("))
        for title in ("test accuracy", "weight drift")
    )
    assert re.match(r"At equal test accuracy \(\d+\.\d to \d+\.\d %\) on ", accuracy)
    assert re.match(r"At equal weight drift \([\d.e-]+ to [\d.e-]+\) on ", drift)


def test_front_share_counts_resamples_of_seeds():
    """Seed 1 prefers one cell, seed 2 the other: of 4 equally likely resamples, 1 + ties decide."""
    rows = [
        ("full_ft", 1, 90.0, 50.0),
        ("full_ft", 2, 90.0, 50.0),
        ("lora_r8", 1, 91.0, 51.0),
        ("lora_r8", 2, 80.0, 45.0),
    ]
    table = pl.DataFrame(rows, schema=["method", "seed", "test_acc_pct", "retention_pct"], orient="row")
    table = table.with_columns(pl.lit("d").alias("dataset"), pl.lit(1.0).alias("lr"), pl.lit("done").alias("status"))
    full, lora = frontier(table, bootstrap=8000).cells
    assert full.front_share == pytest.approx(0.75, abs=0.02)  # beaten only when seed 1 is drawn twice
    assert lora.front_share == pytest.approx(0.25, abs=0.02)


def curve(x, y, seeds=3):
    return Curves(matched=np.tile(np.array(x)[:, None], seeds), outcome=np.tile(np.array(y)[:, None], seeds))


def test_matching_interpolates_on_the_overlap_only():
    a, b = curve([0.0, 10.0], [0.0, 10.0]), curve([5.0, 15.0], [25.0, 35.0])
    found = matched_difference(a, b)
    assert (found.low, found.high) == (5.0, 10.0)
    assert found.difference == pytest.approx(-20.0)  # a - b
    assert found.se == pytest.approx(0.0, abs=1e-12)


def test_matching_uses_the_rising_part_from_the_lowest_learning_rate():
    a, b = curve([1.0, 3.0, 2.0], [9.0, 7.0, 1.0]), curve([1.0, 3.0], [9.0, 7.0])
    found = matched_difference(a, b)
    assert (found.low, found.high, found.difference) == (1.0, 3.0, pytest.approx(0.0))


def test_curves_that_do_not_overlap_are_not_compared():
    found = matched_difference(curve([1.0, 2.0], [0.0, 1.0]), curve([2.5, 3.0], [0.0, 1.0]))
    assert np.isnan([found.difference, found.se, found.low]).all()
    assert found.ranges == ((1.0, 2.0), (2.5, 3.0))


def test_the_jackknife_is_the_seed_level_interval_where_the_statistic_is_linear():
    rng = np.random.default_rng(0)
    x = np.tile(np.array([[0.0], [10.0]]), 5)
    y = [rng.normal(size=(2, 5)) for _ in range(2)]
    found = matched_difference(Curves(x, y[0]), Curves(x, y[1]))
    per_seed = (y[0] - y[1]).mean(axis=0)
    interval = stats.ttest_1samp(per_seed, 0).confidence_interval(0.95)
    assert found.difference == pytest.approx(per_seed.mean())
    assert found.interval(0.95) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_matched_rows_of_the_simulated_study(runs):
    """Weight drift of LoRA is 0.3 of full_ft's at one lr, retention falls with lr: the overlap is in the middle."""
    rows = frontier(runs, bootstrap=100).matched
    assert [(r.dataset, r.matched_on) for r in rows] == [
        (d, m) for d in ("eurosat", "pets") for m in ("test_acc_pct", "weight_drift")
    ]
    drift = rows[1]
    full = runs.filter((pl.col("dataset") == "eurosat") & (pl.col("method") == "full_ft") & (pl.col("lr") == 1e-6))
    lora = runs.filter((pl.col("dataset") == "eurosat") & (pl.col("method") == "lora_r8") & (pl.col("lr") == 1e-4))
    assert drift.overlap_low == pytest.approx(10 ** full["weight_drift"].log10().mean())
    assert drift.overlap_high == pytest.approx(10 ** lora["weight_drift"].log10().mean())
    assert drift.ci_low < drift.difference < drift.ci_high
    assert drift.df == 3


def test_the_eighteen_real_runs_cannot_be_matched(shared):
    """Test accuracy of full_ft and LoRA does not overlap in the reference's table: no number may appear."""
    table = pl.read_csv(shared / "reference" / "r" / "vitb16_18runs.csv").with_columns(
        pl.lit("done").alias("status"),
        pl.col("cifar100_retention").alias("retention_pct"),
        (100 * pl.col("test_acc")).alias("test_acc_pct"),
    )
    found = frontier(table, bootstrap=100)
    means = table.group_by("method", "lr").agg(pl.col("test_acc_pct").mean())
    full, lora = (means.filter(pl.col("method") == m)["test_acc_pct"] for m in ("full_ft", "lora_r8"))
    assert lora.max() < full.min()
    assert all(np.isnan(r.difference) for r in found.matched)
    assert any("compared at equal test accuracy: not possible" in s for s in found.descriptions)


def test_one_seed_has_no_interval(runs):
    found = frontier(runs.filter(pl.col("seed") == 7), bootstrap=50)
    assert all(np.isnan([c.acc_ci_low, c.front_share]).all() for c in found.cells)
    assert all(np.isnan(r.se) for r in found.matched)
    assert all("CI" not in s for s in found.descriptions)


def test_missing_cells_and_drift_are_tolerated(runs):
    found = frontier(runs.drop("weight_drift").slice(3), bootstrap=50)
    assert all(np.isnan(c.weight_drift) for c in found.cells)
    assert {r.note for r in found.matched if r.matched_on == "weight_drift"} == {
        "no seed has weight_drift with both methods"
    }


def test_bad_questions(runs):
    with pytest.raises(StatsError, match="bootstrap"):
        frontier(runs, bootstrap=0)
    with pytest.raises(StatsError, match="test_acc_pct"):
        frontier(runs.drop("test_acc_pct", "val_acc_pct"))
    with pytest.raises(StatsError, match="finite"):
        frontier(runs.with_columns(pl.lit(float("nan")).alias("retention_pct")))


def test_many_fronts_and_matches_are_named_by_the_surest_and_counted():
    rng = np.random.default_rng(3)
    lrs = tuple(10.0 ** (-6 + i / 4) for i in range(12))
    study = simulated_study(datasets=tuple(f"set{i}" for i in range(13)), lrs=lrs, noise=0.5)
    step = pl.col("lr").log10()
    noise = pl.Series(rng.normal(0, 0.01, study.runs.height))
    runs = study.runs.with_columns(test_acc_pct=90 + step + noise, retention_pct=60 - 5 * step - noise)
    result = frontier(runs, bootstrap=100)
    fronts = [text for text in result.descriptions if "on the front: no other" in text]
    assert len(fronts) == 13
    assert all(text.count(" at lr ") == 3 and "more, on it in fewer resamples" in text for text in fronts)
    counts = next(text for text in result.descriptions if text.startswith("Of 26 comparisons"))
    assert result.descriptions.index(counts) == 13
