import csv

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import SEEDS, simulated_study

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.paired.analysis import paired

KEY = ["dataset", "lr", "seed"]


@pytest.fixture(scope="module")
def runs():
    return simulated_study().runs


def differences(runs, metric):
    wide = runs.pivot(on="method", index=KEY, values=metric).sort(KEY)
    return wide.with_columns((pl.col("lora_r8") - pl.col("full_ft")).alias("d"))


def test_rows_are_scipy_on_the_pairs_and_on_seed_means(runs):
    result = paired(runs, metrics=["retention_pct", "cka"])
    assert [(r.dataset, r.metric) for r in result.rows] == [
        (d, m) for m in ("retention_pct", "cka") for d in ("eurosat", "pets", None)
    ]
    for row in result.rows:
        wide = differences(runs, row.metric)
        wide = wide if row.dataset is None else wide.filter(pl.col("dataset") == row.dataset)
        d = wide["d"].to_numpy()
        over_pairs = stats.ttest_rel(wide["lora_r8"].to_numpy(), wide["full_ft"].to_numpy())
        per_seed = wide.group_by("seed").agg(pl.col("d").mean())["d"].to_numpy()
        over_seeds = stats.ttest_1samp(per_seed, 0.0)
        interval = over_seeds.confidence_interval(0.95)
        assert row.n == d.size
        assert row.difference == pytest.approx(d.mean())
        assert row.mean_a - row.mean_b == pytest.approx(d.mean())
        assert row.mean_lora_r8 - row.mean_full_ft == pytest.approx(d.mean())
        assert row.dz == pytest.approx(d.mean() / d.std(ddof=1))
        assert (row.t, row.t_p) == (pytest.approx(over_pairs.statistic), pytest.approx(over_pairs.pvalue))
        assert row.wilcoxon_p == pytest.approx(stats.wilcoxon(d).pvalue)
        assert (row.seed_t, row.seed_p) == (pytest.approx(over_seeds.statistic), pytest.approx(over_seeds.pvalue))
        assert (row.seed_df, row.n_seeds) == (len(SEEDS) - 1, len(SEEDS))
        assert (row.ci_low, row.ci_high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_holm_runs_over_all_rows(runs):
    rows = paired(runs, metrics=["retention_pct", "train_loss"]).rows
    ordered = sorted(rows, key=lambda r: r.t_p)
    expected = np.maximum.accumulate([min(r.t_p * (len(rows) - i), 1.0) for i, r in enumerate(ordered)])
    assert [r.t_p_holm for r in ordered] == pytest.approx(expected.tolist())
    ordered = sorted(rows, key=lambda r: r.seed_p)
    expected = np.maximum.accumulate([min(r.seed_p * (len(rows) - i), 1.0) for i, r in enumerate(ordered)])
    assert [r.seed_p_holm for r in ordered] == pytest.approx(expected.tolist())


def test_the_eighteen_real_runs_against_scipy(shared):
    """Pairs by hand from the reference's own table; known values of ../shared/reference/r/vitb16_18runs.csv."""
    with (shared / "reference" / "r" / "vitb16_18runs.csv").open() as file:
        table = list(csv.DictReader(file))
    value = {(r["method"], r["lr"], r["seed"]): float(r["cifar100_retention"]) for r in table}
    keys = sorted({key[1:] for key in value})
    a, b = (np.array([value[m, *key] for key in keys]) for m in ("full_ft", "lora_r8"))
    per_seed = np.array([np.mean((b - a)[[k[1] == s for k in keys]]) for s in ("7", "11", "19")])
    runs = pl.DataFrame(
        [
            {"dataset": r["dataset"], "method": r["method"], "lr": float(r["lr"]), "seed": int(r["seed"])}
            | {"status": "done", "retention_pct": float(r["cifar100_retention"])}
            for r in table
        ]
    )
    (row,) = paired(runs, metrics=["retention_pct"]).rows
    assert (row.dataset, row.n) == (None, 9)  # null: one data set only
    assert row.t == pytest.approx(stats.ttest_rel(b, a).statistic, rel=1e-10)
    assert row.t_p == pytest.approx(stats.ttest_rel(b, a).pvalue, rel=1e-8)
    assert row.wilcoxon_p == pytest.approx(stats.wilcoxon(b - a).pvalue, rel=1e-10)
    assert row.seed_t == pytest.approx(stats.ttest_1samp(per_seed, 0).statistic, rel=1e-9)
    assert row.seed_p == pytest.approx(stats.ttest_1samp(per_seed, 0).pvalue, rel=1e-9)
    assert row.seed_df == 2


def test_a_seed_that_carries_the_difference_is_no_finding_but_a_sentence(runs):
    """One of four seeds reacts strongly: 24 pairs call it significant, four seeds do not."""
    jump = pl.when((pl.col("seed") == 7) & (pl.col("method") == "lora_r8")).then(8.0).otherwise(0.0)
    noise = pl.Series("noise", np.random.default_rng(0).normal(size=runs.height))
    runs = runs.with_columns((jump + noise).alias("cka"))
    result = paired(runs, metrics=["cka"])
    whole = result.rows[-1]
    assert whole.t_p < 0.05 < whole.seed_p
    assert all("disagree at 5 %" in s and "do not claim" in s for s in result.findings)
    assert result.findings


def test_missing_partners_are_counted_and_named(runs):
    kept = runs.filter(~((pl.col("method") == "lora_r8") & (pl.col("seed") == 7) & (pl.col("lr") == 1e-4)))
    extra = runs.filter((pl.col("seed") == 11) & (pl.col("method") == "full_ft"))
    extra = extra.with_columns(pl.lit("linear_probe").alias("method"))
    failed = runs.head(1).with_columns(pl.lit("failed").alias("status"), pl.lit(99, pl.Int64).alias("seed"))
    result = paired(pl.concat([kept, extra, failed]), metrics=["retention_pct"])
    assert result.rows[-1].n == 22
    assert result.n_runs == 44
    assert result.n_dropped == kept.height + extra.height + 1 - 44
    assert result.rows[-1].n_dropped == result.n_dropped
    assert result.left_out == (
        "1 run with status failed",
        "2 runs with retention_pct but without a partner",
        "6 runs of other methods (linear_probe)",
    )
    assert 2 < result.rows[-1].seed_df < 3  # unbalanced: fewer than S - 1


def test_one_seed_keeps_the_published_test_only(runs):
    result = paired(runs.filter(pl.col("seed") == 7), metrics=["retention_pct"])
    row = result.rows[-1]
    assert np.isnan([row.seed_t, row.seed_p, row.ci_low, row.seed_difference]).all()
    assert not np.isnan(row.t_p)
    assert result.findings == ()
    assert any("no seed-level test" in s for s in result.left_out)


def test_a_cell_with_one_pair_has_no_spread_and_is_left_out_of_the_seed_level_test(runs):
    alone = (pl.col("lr") == 1e-4) & (pl.col("seed") != 7) & (pl.col("dataset") == "pets")
    result = paired(runs.filter(~alone), metrics=["retention_pct"])
    assert any("1 pair of retention_pct alone" in s for s in result.left_out)
    assert result.rows[-1].n == 21


def test_identical_methods_give_no_number(runs):
    runs = runs.with_columns(pl.col("lr").alias("cka"))
    row = paired(runs, metrics=["cka"]).rows[-1]
    assert row.difference == 0.0
    assert np.isnan([row.t, row.t_p, row.dz, row.wilcoxon_p, row.seed_p]).all()


def test_other_methods_do_not_borrow_the_names_of_the_default_ones(runs):
    renamed = runs.with_columns(pl.col("method").replace("lora_r8", "last_block"))
    row = paired(renamed, metrics=["retention_pct"], method_a="last_block").rows[-1]
    assert (row.mean_full_ft, row.mean_lora_r8) == (None, None)
    assert row.mean_a - row.mean_b == pytest.approx(row.difference)


def test_default_metrics_are_the_measured_ones(runs):
    result = paired(runs.drop("delta_erf95_pct"))
    assert {r.metric for r in result.rows} == {"delta_entropy_pct", "retention_pct", "test_acc_pct"}
    assert "delta_erf95_pct was not measured in any run" in result.left_out


def test_bad_questions(runs):
    with pytest.raises(UnknownNameError, match="retention'"):
        paired(runs, metrics=["retention"])
    with pytest.raises(UnknownNameError, match="unknown method 'lora'"):
        paired(runs, method_b="lora")
    with pytest.raises(StatsError, match="with itself"):
        paired(runs, method_b="lora_r8")
    with pytest.raises(StatsError, match="no finished runs"):
        paired(runs.with_columns(pl.lit("failed").alias("status")))
    with pytest.raises(StatsError, match="has a partner"):
        paired(runs.with_columns(pl.col("seed") + pl.when(pl.col("method") == "lora_r8").then(100).otherwise(0)))
    with pytest.raises(StatsError, match="differ in backbone"):
        paired(runs.with_columns(pl.Series("backbone", ["a", "b"] * 24)))
    with pytest.raises(StatsError, match="confidence level"):
        paired(runs, conf_level=1.0)


def test_a_difference_whose_sign_turns_is_told_so(runs):
    """LoRA is higher at two learning rates and a little lower at the third."""
    lora = pl.col("method") == "lora_r8"
    turned = pl.when(lora).then(pl.when(pl.col("lr") == 1e-4).then(-0.5).otherwise(5.0)).otherwise(0.0)
    noise = pl.Series("noise", 0.1 * np.random.default_rng(0).normal(size=runs.height))
    result = paired(runs.with_columns((turned + noise).alias("cka")), metrics=["cka"])
    assert not any(row.same_sign for row in result.rows)
    assert all("Its sign is not the same everywhere" in s for s in result.findings)
    assert result.findings


def test_holm_names_its_family(runs):
    both = paired(runs, metrics=["retention_pct", "cka"])
    supported = [s for s in both.findings if "seed-level t(" in s]
    assert supported
    assert all(", Holm over 6 tests by metric and data set p" in s for s in supported)
    one_set = runs.filter(pl.col("dataset") == "pets")
    assert any("Holm over 2 tests by metric p" in s for s in paired(one_set, metrics=["retention_pct", "cka"]).findings)
    alone = paired(one_set, metrics=["retention_pct"]).findings
    assert [s for s in alone if "seed-level t(" in s]
    assert not any("Holm" in s for s in alone)  # one test: nothing to adjust for


def test_a_paired_test_that_takes_the_grid_for_noise_says_where_to_look(runs):
    """The difference grows with the learning rate and is the same in every seed."""
    lora = pl.col("method") == "lora_r8"
    grown = pl.when(lora).then(pl.col("lr").log10() + 5.3).otherwise(0.0)
    noise = pl.Series("noise", 0.01 * np.random.default_rng(0).normal(size=runs.height))
    result = paired(runs.with_columns((grown + noise).alias("cka")), metrics=["cka"])
    told = [s for s in result.findings if "disagree at 5 %" in s]
    assert told
    assert all("counts these changes as noise" in s and s.endswith("at each learning rate.") for s in told)
