from itertools import permutations, product

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.dose.analysis import dose
from heatdrift.stats.blocked_spearman import within_seed_test

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def runs():
    return simulated_study(noise=3.0).runs


def brute_force(lr, y, seeds):
    """Every arrangement of learning rates within seeds, |rho| by scipy."""
    members = [np.flatnonzero(seeds == s) for s in np.unique(seeds)]
    observed = abs(stats.spearmanr(lr, y).statistic)
    values = []
    for orders in product(*(list(permutations(m)) for m in members)):
        shuffled = lr.copy()
        for m, order in zip(members, orders, strict=True):
            shuffled[m] = lr[list(order)]
        values.append(abs(stats.spearmanr(shuffled, y).statistic))
    return np.mean(np.array(values) >= observed - 1e-9), np.mean(np.array(values) >= max(values) - 1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_the_exact_p_is_the_enumeration(ties):
    rng = RNG(4)
    lr, seeds = np.tile([1e-6, 1e-5, 1e-4], 3), np.repeat([0, 1, 2], 3)
    y = rng.normal(size=9) + np.log10(lr)
    y = np.round(y) if ties else y
    found = within_seed_test(lr, y, seeds, draws=10, seed=0)
    p, smallest = brute_force(lr, y, seeds)
    assert found.p == pytest.approx(p, abs=1e-12)
    assert found.smallest == pytest.approx(smallest, abs=1e-12)
    assert found.how == "exact: all 216 arrangements of learning rates within seeds"


def test_random_arrangements_agree_with_the_exact_count(monkeypatch):
    rng = RNG(5)
    lr, seeds = np.tile([1.0, 2.0, 3.0, 4.0], 4), np.repeat(np.arange(4), 4)
    y = rng.normal(size=16) + 0.3 * lr
    exact = within_seed_test(lr, y, seeds, draws=1, seed=0)
    monkeypatch.setattr("heatdrift.stats.blocked_spearman.LARGEST_LIST", 3)
    drawn = within_seed_test(lr, y, seeds, draws=40_000, seed=0)
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 40_000))
    assert drawn.how == "40,000 random arrangements of learning rates within seeds"
    assert within_seed_test(lr, y, seeds, draws=99, seed=0).p >= 0.01  # the observed one counts


def test_eight_learning_rates_and_five_seeds_are_still_exact():
    lr, seeds = np.tile(np.arange(8.0), 5), np.repeat(np.arange(5), 8)
    found = within_seed_test(lr, lr + 0.01 * seeds, seeds, draws=1, seed=0)
    assert found.how.startswith("exact")
    assert found.p == found.smallest == pytest.approx(2 / 40320.0**5, rel=1e-6)


def test_a_true_null_is_rejected_no_more_than_five_percent():
    rng = RNG(7)
    lr, seeds = np.tile([1.0, 2.0, 3.0], 4), np.repeat(np.arange(4), 3)
    effects = rng.normal(size=(600, 4))
    p = [within_seed_test(lr, e[seeds] + rng.normal(size=12), seeds, draws=1, seed=0).p for e in effects]
    assert np.mean(np.array(p) < 0.05) < 0.07


def test_rows_follow_groups_and_metrics(runs):
    result = dose(runs, metrics=["retention_pct", "train_loss"])
    assert [(r.metric, r.dataset, r.method) for r in result.rows] == [
        (m, d, k) for m in ("retention_pct", "train_loss") for d in ("eurosat", "pets") for k in ("full_ft", "lora_r8")
    ]
    for row in result.rows:
        group = runs.filter((pl.col("dataset") == row.dataset) & (pl.col("method") == row.method)).sort("seed", "lr")
        reference = stats.spearmanr(group["lr"], group[row.metric])
        assert (row.n, row.n_lrs, row.n_seeds) == (12, 3, 4)
        assert (row.rho, row.p) == (pytest.approx(reference.statistic), pytest.approx(reference.pvalue))
        slopes = [
            stats.linregress(np.log10(g["lr"].to_numpy()), g[row.metric].to_numpy()).slope
            for _, g in group.group_by("seed", maintain_order=True)
        ]
        assert row.slope == pytest.approx(np.mean(slopes))
        interval = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
        assert (row.ci_low, row.ci_high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_the_eighteen_real_runs_have_the_known_trends(shared):
    table = pl.read_csv(shared / "reference" / "r" / "vitb16_18runs.csv")
    runs = table.with_columns(
        pl.lit("done").alias("status"),
        pl.col("cifar100_retention").alias("retention_pct"),
        pl.col("lr").cast(pl.Float64),
    )
    result = dose(runs, metrics=["retention_pct"])
    for row in result.rows:
        group = table.filter(pl.col("method") == row.method)
        reference = stats.spearmanr(group["lr"], group["cifar100_retention"])
        assert row.dataset is None
        assert row.rho == pytest.approx(reference.statistic, rel=1e-12)
        assert row.p == pytest.approx(reference.pvalue, rel=1e-8)
        expected = brute_force(*(group[c].to_numpy() for c in ("lr", "cifar100_retention", "seed")))
        assert (row.p_exact, row.p_smallest) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert all("falls with the learning rate" in s for s in result.findings)
    assert len(result.findings) == 2


def test_a_family_that_can_never_be_significant_says_so(runs):
    few = runs.filter(pl.col("seed").is_in([7, 11]))
    result = dose(few, metrics=["retention_pct", "train_loss"])
    assert result.findings == ()
    assert "whatever the data" in result.notes[0]
    assert all(row.p_exact_holm >= 0.05 for row in result.rows)


def test_a_curve_is_not_called_monotone(runs):
    curve = pl.when(pl.col("lr") == 1e-5).then(5.0).otherwise(pl.col("lr").log10())
    rows = dose(runs.with_columns(curve.alias("cka")), metrics=["cka"]).rows
    assert not any(row.monotone for row in rows)


def test_what_cannot_be_computed_is_null(runs):
    zero = runs.with_columns(pl.when(pl.col("lr") == 1e-6).then(0.0).otherwise(pl.col("lr")).alias("lr"))
    row = dose(zero, metrics=["retention_pct"]).rows[0]
    assert np.isnan([row.slope, row.ci_low]).all()  # lr 0 has no logarithm
    assert not np.isnan(row.p_exact)
    flat = dose(runs.with_columns(pl.lit(1.0).alias("cka")), metrics=["cka"]).rows[0]
    assert np.isnan([flat.rho, flat.p, flat.p_exact]).all()
    one = dose(runs.filter(pl.col("seed") == 7), metrics=["retention_pct"]).rows[0]
    assert np.isnan([one.ci_low, one.ci_high]).all()
    assert not np.isnan([one.rho, one.slope, one.p_exact]).any()


def test_bad_questions(runs):
    with pytest.raises(StatsError, match="two learning rates"):
        dose(runs.filter(pl.col("lr") == 1e-5))
    with pytest.raises(UnknownNameError):
        dose(runs, metrics=["entropi"])
    with pytest.raises(StatsError, match="permutations"):
        dose(runs, permutations=0)
    with pytest.raises(StatsError, match="finite"):
        dose(runs.with_columns(pl.lit(float("inf")).alias("cka")), metrics=["cka"])


def test_one_metric_is_advised_only_where_it_helps():
    one_seed = simulated_study(seeds=(7,)).runs  # 3 learning rates of one seed: no p below 2 / 6
    (sentence,) = dose(one_seed, metrics=["retention_pct", "cka"]).notes
    assert sentence.endswith(". Train more seeds.")
    assert "--metric" not in sentence


def test_the_seeds_behind_a_finding_are_a_field(runs):
    result = dose(runs, metrics=["retention_pct"])
    for row in result.rows:
        here = runs.filter((pl.col("dataset") == row.dataset) & (pl.col("method") == row.method))
        r = [
            stats.pearsonr(part["lr"].rank().to_numpy(), part["retention_pct"].to_numpy()).statistic
            for part in here.partition_by("seed")
        ]
        assert row.seed_trend_p == pytest.approx(stats.ttest_1samp(r, 0.0).pvalue, rel=1e-6)
    assert "over seeds p" in result.findings[0]
    assert "Holm over 4 tests by data set and method p" in result.findings[0]
    assert all(np.isnan(row.seed_trend_p) for row in dose(runs.filter(pl.col("seed") == 7), metrics=["cka"]).rows)
