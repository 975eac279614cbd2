import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.stats.study_compare import compare_studies

NAMES = ("first", "second")
RETENTION = ["retention_pct"]


@pytest.fixture(scope="module")
def runs():
    return simulated_study().runs


def shifted(runs, by, **changes):
    noise = pl.Series(np.random.default_rng(3).normal(0, 0.3, runs.height))
    return runs.with_columns(retention_pct=pl.col("retention_pct") + by + noise).with_columns(**changes)


def compared(a, b, **options):
    return compare_studies(a, b, names=NAMES, metrics=RETENTION, **options)


def test_a_cell_is_a_paired_t_interval_over_common_seeds(runs):
    other = shifted(runs, -2.0)
    result = compared(runs, other)
    row = result.rows[0]
    here = [pl.col(k) == getattr(row, k) for k in ("dataset", "method", "lr")]
    a, b = (r.filter(here).sort("seed")["retention_pct"].to_numpy() for r in (runs, other))
    test = stats.ttest_rel(a, b)
    low, high = test.confidence_interval(0.95)
    assert (row.how, row.n_seeds, row.n_a, row.n_b) == ("paired", 4, 4, 4)
    assert row.difference == pytest.approx(np.mean(a - b))
    assert (row.t, row.p, row.df) == pytest.approx((test.statistic, test.pvalue, 3))
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high))


def test_the_average_of_balanced_cells_is_a_t_test_on_one_mean_per_seed(runs):
    other = shifted(runs, -2.0)
    (average,) = (row for row in compared(runs, other).rows if row.dataset is None)
    joined = runs.join(other, on=["dataset", "method", "lr", "seed"], suffix="_b")
    means = (
        joined.with_columns(d=pl.col("retention_pct") - pl.col("retention_pct_b")).group_by("seed").agg(pl.mean("d"))
    )
    test = stats.ttest_1samp(means["d"].to_numpy(), 0.0)
    assert average.n_cells == 12
    assert (average.t, average.p, average.df) == pytest.approx((test.statistic, test.pvalue, 3))
    assert average.difference == pytest.approx(2.0, abs=0.3)


def test_without_common_seeds_two_means_are_compared_by_welch(runs):
    other = shifted(runs, -2.0, seed=pl.col("seed") + 1000)
    result = compared(runs, other)
    row = result.rows[0]
    here = [pl.col(k) == getattr(row, k) for k in ("dataset", "method", "lr")]
    a, b = (r.filter(here)["retention_pct"].to_numpy() for r in (runs, other))
    test = stats.ttest_ind(a, b, equal_var=False)
    assert row.how == "unpaired"
    assert (row.t, row.p, row.df) == pytest.approx((test.statistic, test.pvalue, test.df))
    assert result.n_pairs == 0
    assert "seed" not in result.matched_on
    assert any("no two seeds agree" in text for text in result.caveats)


def test_the_same_runs_are_the_same_and_nothing_is_tested(runs):
    result = compared(runs, runs)
    assert {row.difference for row in result.rows} == {0.0}
    assert all(np.isnan(row.p) for row in result.rows)
    assert result.findings == ("zero-shot retention is the same in first and second, averaged over 12 common cells.",)


def test_one_common_seed_has_a_difference_and_no_interval(runs):
    result = compared(runs, shifted(runs, -2.0).filter(pl.col("seed") == 7))
    assert {row.how for row in result.rows} == {"single"}
    assert all(np.isnan(row.ci_low) for row in result.rows)
    assert "too few runs" in result.findings[0]


def test_cells_on_one_side_only_are_named_and_not_compared(runs):
    result = compared(runs.filter(pl.col("lr") < 5e-5), runs.filter(pl.col("dataset") == "pets"))
    assert result.n_cells == 4
    assert {(c.dataset, c.lr) for c in result.missing_a} == {("pets", 1e-4)}
    assert {c.dataset for c in result.missing_b} == {"eurosat"}
    assert {row.dataset for row in result.rows} == {"pets", None}


def test_what_decides_results_and_differs_is_a_caveat(runs):
    first = runs.with_columns(select_on=pl.lit("val"), epochs=pl.lit(5), python=pl.lit("3.11"))
    second = runs.with_columns(select_on=pl.lit("test"), epochs=pl.lit(5), python=pl.lit("3.12"))
    result = compare_studies(first, second, names=NAMES, metrics=["test_acc_pct"])
    facts = {fact.name: fact for fact in result.facts}
    assert facts["epochs"].same is True
    assert facts["select_on"].same is False
    assert facts["python"].same is False
    assert any("select" in text and "Not like with like" in text for text in result.caveats)
    assert any("Test accuracies are not comparable" in text for text in result.caveats)
    assert not any("python" in text for text in result.caveats)


def test_what_one_side_does_not_say_is_not_called_equal(runs):
    result = compared(runs.with_columns(precision=pl.lit("float32")), runs.with_columns(precision=pl.lit(None)))
    assert next(fact for fact in result.facts if fact.name == "precision").same is None
    assert any("Not known on one side" in text and "precision" in text for text in result.caveats)


def test_other_backbones_are_matched_without_it_and_that_is_said(runs):
    result = compared(runs, runs.with_columns(backbone=pl.lit("another")))
    assert "backbone" not in result.matched_on
    assert "No backbone is common" in result.caveats[0]


def test_holm_adjusts_cells_and_averages_apart(runs):
    result = compare_studies(runs, shifted(runs, -2.0), names=NAMES, metrics=RETENTION)
    average = result.rows[-1]
    assert average.dataset is None
    assert average.p_holm == pytest.approx(average.p)
    assert all(row.p_holm >= row.p for row in result.rows[:-1])


def test_what_cannot_be_compared_is_an_error(runs):
    with pytest.raises(StatsError, match="no common cell"):
        compared(runs, runs.with_columns(dataset="other-" + pl.col("dataset")))
    with pytest.raises(StatsError, match="second has no finished run"):
        compared(runs, runs.with_columns(status=pl.lit("failed")))
    with pytest.raises(StatsError, match="several runs"):
        compared(runs, pl.concat([runs, runs]))
    with pytest.raises(StatsError, match="was not measured in second"):
        compared(runs, runs.with_columns(retention_pct=pl.lit(None, dtype=pl.Float64)))
    with pytest.raises(UnknownNameError):
        compare_studies(runs, runs, names=NAMES, metrics=["retention"])
