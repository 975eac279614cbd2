import csv

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import SEEDS, simulated_study

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.primary import QuestionsSpec
from heatdrift.questions.base import StudyRuns
from heatdrift.questions.paired.analysis import for_page, paired
from heatdrift.stats.detectable import detectable_effect
from heatdrift.wording import number

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


def test_a_seed_that_carries_the_difference_is_no_finding_but_a_note(runs):
    """One of four seeds reacts strongly: 24 pairs call it significant, four seeds do not."""
    jump = pl.when((pl.col("seed") == 7) & (pl.col("method") == "lora_r8")).then(8.0).otherwise(0.0)
    noise = pl.Series("noise", np.random.default_rng(0).normal(size=runs.height))
    runs = runs.with_columns((jump + noise).alias("cka"))
    result = paired(runs, metrics=["cka"])
    whole = result.rows[-1]
    assert whole.t_p < 0.05 < whole.seed_p
    assert result.findings == ()
    assert all("disagree at 5 %" in s and "do not claim" in s for s in result.notes)
    assert result.notes


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
    with pytest.raises(StatsError, match="share no data set and learning rate") as raised:
        paired(runs.with_columns(pl.col("lr") * pl.when(pl.col("method") == "lora_r8").then(3.0).otherwise(1.0)))
    assert raised.value.hint.startswith("heatdrift stats best")
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
    assert len([s for s in result.notes if "does not have the same sign" in s]) == len(result.findings)


def test_holm_names_its_family(runs):
    both = paired(runs, metrics=["retention_pct", "cka"])
    supported = [s for s in both.findings if "seed-level t(" in s]
    assert supported
    assert all("; Holm over 6 tests by metric and data set p" in s for s in supported)
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
    told = [s for s in result.notes if "disagree at 5 %" in s]
    assert told
    assert all("counts these changes as noise" in s and s.endswith("at each learning rate.") for s in told)


def apart(runs, by=100):
    """The same runs, LoRA with seeds of its own."""
    return runs.with_columns(pl.col("seed") + pl.when(pl.col("method") == "lora_r8").then(by).otherwise(0))


def per_seed_means(runs, metric):
    means = runs.group_by("method", "seed").agg(pl.col(metric).mean()).sort("seed")
    return tuple(means.filter(pl.col("method") == name)[metric].to_numpy() for name in ("lora_r8", "full_ft"))


def test_seeds_of_each_method_alone_are_compared_by_welch_on_per_seed_means(runs):
    result = paired(apart(runs), metrics=["retention_pct"])
    row = result.rows[-1]
    a, b = per_seed_means(apart(runs), "retention_pct")
    welch = stats.ttest_ind(a, b, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (row.seed_t, row.seed_df, row.seed_p) == pytest.approx((welch.statistic, welch.df, welch.pvalue))
    assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high))
    assert (row.seed_test, row.n, row.n_seeds, row.n_seeds_a, row.n_seeds_b, row.n_seeds_shared) == (
        "independent", 0, 8, 4, 4, 0,
    )  # fmt: skip
    assert row.mean_a - row.mean_b == pytest.approx(row.seed_difference)
    assert np.isnan([row.t, row.t_p, row.wilcoxon_p, row.difference, row.flip_p, row.prob_above]).all()
    assert (result.n_runs, result.n_dropped, result.left_out) == (48, 0, ())
    assert "Welch's t on one mean per seed" in result.method
    assert any("do not share their seeds" in text for text in result.caveats)
    assert "Welch over 4 and 4 seeds" in result.findings[-1]


def test_a_difference_of_26_points_between_seeds_4_to_6_and_1_to_3_has_a_test():
    """Issue 13: two data sets, four learning rates, no seed in common; `paired` said to train the missing cells."""
    rng = np.random.default_rng(13)
    rows = [
        {"study": "s", "status": "done", "dataset": d, "method": m, "lr": lr, "seed": s,
         "retention_pct": 90.0 - 26.0 * (m == "full_ft") + rng.normal()}
        for d in ("a", "b") for lr in (1e-6, 1e-5, 1e-4, 1e-3)
        for m, seeds in (("full_ft", (1, 2, 3)), ("lora_r8", (4, 5, 6))) for s in seeds
    ]  # fmt: skip
    row = paired(pl.DataFrame(rows), metrics=["retention_pct"]).rows[-1]
    assert row.seed_difference == pytest.approx(26.0, abs=1.0)
    assert row.seed_p < 1e-4


def test_a_seed_for_every_run_is_the_classical_test_of_independent_runs(runs):
    own = runs.with_columns(pl.int_range(pl.len()).alias("seed"))
    result = paired(own, metrics=["retention_pct"])
    row = result.rows[-1]
    cells = own.group_by("method", "dataset", "lr").agg(pl.col("retention_pct").var() / pl.len(), pl.len().alias("n"))
    v = cells["retention_pct"].to_numpy()
    se = np.sqrt(v.sum()) / 6
    assert row.seed_t == pytest.approx(row.seed_difference / se)
    assert row.seed_df == pytest.approx(v.sum() ** 2 / np.sum(v**2 / (cells["n"].to_numpy() - 1)))
    assert "every run has a seed of its own" in result.method
    one_cell = own.filter((pl.col("dataset") == "pets") & (pl.col("lr") == 1e-5))
    row = paired(one_cell, metrics=["retention_pct"]).rows[-1]
    a, b = (one_cell.filter(pl.col("method") == m)["retention_pct"].to_numpy() for m in ("lora_r8", "full_ft"))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert (row.seed_t, row.seed_df) == pytest.approx((welch.statistic, welch.df))


def shifted(runs, seeds):
    """LoRA's seeds in their order replaced by `seeds`."""
    new = pl.col("seed").replace_strict(dict(zip(SEEDS, seeds, strict=True)))
    return runs.with_columns(pl.when(pl.col("method") == "lora_r8").then(new).otherwise(pl.col("seed")))


def test_three_shared_seeds_are_compared_alone_and_fewer_with_the_others(runs):
    three = paired(shifted(runs, (7, 11, 19, 99)), metrics=["retention_pct"])
    row = three.rows[-1]
    assert (row.seed_test, row.n, row.n_seeds, row.seed_df) == ("pairs", 18, 3, 2)
    assert "12 runs with retention_pct but without a partner" in three.left_out
    two = paired(shifted(runs, (7, 11, 98, 99)), metrics=["retention_pct"])
    row = two.rows[-1]
    assert (row.seed_test, row.n_seeds, row.n_seeds_shared) == ("mixed", 6, 2)
    assert two.n_runs == 48
    assert "too few seeds have runs of both methods at one data set and lr" in two.method
    assert np.isnan(row.seed_d)  # no one SD
    assert row.difference == pytest.approx(row.mean_a - row.mean_b)  # of the pairs; the seed level has more runs
    assert row.n == 12
    assert row.seed_difference != pytest.approx(row.difference, abs=0.01)
    all_of_one = paired(runs.filter((pl.col("method") == "full_ft") | pl.col("seed").is_in([7, 11])))
    assert {row.seed_test for row in all_of_one.rows} == {"pairs"}


def test_only_cells_that_both_methods_have_count(runs):
    other = apart(runs).filter(~((pl.col("method") == "lora_r8") & (pl.col("lr") == 1e-4)))
    result = paired(other, metrics=["retention_pct"])
    same = paired(other.filter(pl.col("lr") != 1e-4), metrics=["retention_pct"])
    assert result.rows[-1].seed_difference == pytest.approx(same.rows[-1].seed_difference)
    assert "8 runs with retention_pct but at a data set and lr that the other method lacks" in result.left_out
    assert result.n_runs == 32


def test_one_run_of_a_method_at_each_place_has_no_test(runs):
    one = apart(runs).filter((pl.col("method") == "full_ft") | (pl.col("seed") == 107))
    result = paired(one, metrics=["retention_pct"])
    assert np.isnan(result.rows[-1].seed_p)
    assert any("no seed-level test" in text for text in result.left_out)
    assert result.descriptions == (
        "LoRA r=8 minus Full FT in zero-shot retention over 2 data sets: undecided, these seeds give no seed-level "
        "test.",
    )


def test_the_rounding_of_a_seed_effect_that_cancels_is_no_spread():
    """Cell mean + seed, in decimals that doubles do not hold: the differences of seeds are rounding."""
    rows = [
        {"study": "s", "status": "done", "dataset": "d", "method": m, "lr": lr, "seed": s,
         "test_acc_pct": 80.1 + 0.3 * s + 0.7 * (m == "lora_r8") + 1.3 * i}
        for m in ("full_ft", "lora_r8") for i, lr in enumerate((1e-5, 1e-4)) for s in (1, 2, 3)
    ]  # fmt: skip
    result = paired(pl.DataFrame(rows), metrics=["test_acc_pct"], equivalence=(-1.0, 1.0))
    row = result.rows[-1]
    assert row.seed_difference == pytest.approx(0.7)
    assert np.isnan([row.seed_t, row.seed_p, row.t, row.detectable]).all()
    assert result.findings == ()
    assert [row.decision for row in result.margins] == ["not tested"]
    assert all("no seed-level test" in text for text in result.descriptions)


def test_what_is_not_supported_is_undecided_with_what_the_seeds_could_miss(runs):
    noise = pl.Series("noise", np.random.default_rng(1).normal(size=runs.height))
    result = paired(runs.with_columns(noise.alias("cka")), metrics=["cka"])
    assert result.findings == ()
    (said,) = result.descriptions
    row = result.rows[-1]
    per_seed = differences(runs.with_columns(noise.alias("cka")), "cka").group_by("seed").agg(pl.col("d").mean())["d"]
    assert row.detectable == pytest.approx(detectable_effect(per_seed.std(), 4))
    assert f"Undecided: these seeds cannot tell apart differences below {number(row.detectable)}" in said
    assert "95 % CI" in said
    assert paired(runs, metrics=["retention_pct"]).descriptions == ()  # supported: nothing to add


def test_every_row_is_a_claim_with_its_unadjusted_p(runs):
    result = paired(runs, metrics=["retention_pct", "cka"])
    assert [claim.p for claim in result.claims] == [row.seed_p for row in result.rows]
    assert [claim.key for claim in result.claims[:3]] == [
        f"paired/retention_pct/{place}/lora_r8-full_ft" for place in ("eurosat", "pets", "all")
    ]


def test_effect_sizes_come_from_the_differences_of_seeds(runs):
    row = paired(runs, metrics=["retention_pct"]).rows[-1]
    d = differences(runs, "retention_pct").group_by("seed").agg(pl.col("d").mean())["d"].to_numpy()
    assert row.seed_d == pytest.approx(d.mean() / d.std(ddof=1))
    assert stats.nct.sf(row.seed_t, 3, row.seed_d_low * 2.0) == pytest.approx(0.025, rel=1e-6)
    assert (row.flip_p, row.flip_p_least) == (0.125, 0.125)
    assert (row.prob_above, row.prob_high, row.n_seeds_untied) == (1.0, 1.0, 4)
    assert row.prob_low == pytest.approx(stats.binomtest(4, 4).proportion_ci(method="exact").low)
    assert "flip_p (sign flips of seeds) cannot decide at 5 %" in paired(runs, metrics=["retention_pct"]).method


def test_six_seeds_let_signs_decide():
    six = simulated_study(seeds=(1, 2, 3, 4, 5, 6)).runs
    row = paired(six, metrics=["retention_pct"]).rows[-1]
    assert row.flip_p == row.flip_p_least == pytest.approx(2 / 64)
    assert "cannot decide" not in paired(six, metrics=["retention_pct"]).method


def test_a_margin_gives_two_one_sided_tests_per_row(runs):
    close = runs.with_columns(pl.when(pl.col("method") == "lora_r8").then(0.1).otherwise(0.0).alias("shift"))
    noise = pl.Series("noise", 0.3 * np.random.default_rng(2).normal(size=runs.height))
    close = close.with_columns((80.0 + noise + pl.col("shift")).alias("test_acc_pct"))
    result = paired(close, metrics=["test_acc_pct"], equivalence=(-1.0, 1.0))
    d = differences(close, "test_acc_pct").group_by("seed").agg(pl.col("d").mean())["d"].to_numpy()
    whole = result.margins[-1]
    assert whole.p_low == pytest.approx(stats.ttest_1samp(d, -1.0, alternative="greater").pvalue)
    assert whole.p_high == pytest.approx(stats.ttest_1samp(d, 1.0, alternative="less").pvalue)
    assert whole.decision == "equivalent"
    (said,) = [s for s in result.findings if "over 2 data sets" in s]
    assert said.startswith("LoRA r=8 and Full FT are equivalent within ±1.00 points in test accuracy over 2 data sets")
    assert "“No difference found” (p =" in said
    keys = [claim.key for claim in result.claims[3:]]
    assert keys[-2:] == [
        "paired/test_acc_pct/equivalent/all/lora_r8-full_ft", "paired/test_acc_pct/not_inferior/all/lora_r8-full_ft",
    ]  # fmt: skip
    narrow = paired(close, metrics=["test_acc_pct"], equivalence=(-0.05, 0.05))
    assert {row.decision for row in narrow.margins} == {"undecided"}
    assert (
        len([s for s in narrow.descriptions if "undecided, differences beyond the margin are not ruled out" in s]) == 3
    )


def test_one_side_of_a_margin_is_not_inferior_and_a_difference_beyond_it_is_no_equivalence(runs):
    result = paired(runs, metrics=["retention_pct"], equivalence=(-2.0, 15.1))
    assert result.margins[-1].decision == "not inferior"
    assert any("is not inferior by more than 2.00 points to Full FT" in s for s in result.findings)
    beyond = paired(runs, metrics=["retention_pct"], equivalence=(-2.0, 2.0))
    assert beyond.margins[-1].decision == "superior"
    assert any("not equivalent, the difference is beyond the margin" in s for s in beyond.descriptions)
    drift = paired(runs, metrics=["train_loss"], equivalence=(-5.0, 5.0), method_a="full_ft", method_b="lora_r8")
    words = " ".join(claim.says for claim in drift.claims)
    assert "lower by more than 5.00 nats than LoRA r=8" in words  # more is not better: no word says which way is good


def test_a_margin_serves_metrics_of_one_unit(runs):
    with pytest.raises(StatsError, match="different units"):
        paired(runs, metrics=["retention_pct", "cka"], equivalence=(-1.0, 1.0))
    assert {row.metric for row in paired(runs, equivalence=(-1.0, 1.0)).margins} == {"retention_pct", "test_acc_pct"}
    with pytest.raises(StatsError, match="below its upper end"):
        paired(runs, metrics=["retention_pct"], equivalence=(1.0, -1.0))
    with pytest.raises(StatsError, match="holds 0"):
        paired(runs, metrics=["retention_pct"], equivalence=(1.0, 2.0))


def test_the_rounding_of_equal_means_is_no_difference():
    """Both methods have the same four values, of which the sum differs in the last bit with their order."""
    values = {"full_ft": (80.1, 80.2, 80.6, 80.7), "lora_r8": (80.1, 80.6, 80.2, 80.7)}
    rows = [
        {"study": "s", "status": "done", "dataset": "d", "method": m, "lr": 1e-5, "seed": s, "test_acc_pct": y}
        for m, ys in values.items() for s, y in enumerate(ys)
    ]  # fmt: skip
    row = paired(pl.DataFrame(rows), metrics=["test_acc_pct"]).rows[-1]
    assert (row.difference, row.seed_difference, row.seed_t, row.seed_p) == (0.0, 0.0, 0.0, 1.0)


def test_a_page_tests_the_margin_of_the_study_on_what_more_of_is_better(runs):
    empty = pl.DataFrame()
    views = {"epochs": empty, "layers": empty, "heads": empty}
    ((_, ask),) = for_page(StudyRuns(runs=runs, asked=QuestionsSpec(margin=2.0), **views))
    assert {(row.metric, row.low, row.high) for row in ask().margins} == {
        ("retention_pct", -2.0, 2.0), ("test_acc_pct", -2.0, 2.0),
    }  # fmt: skip
    ((_, ask),) = for_page(StudyRuns(runs=runs, **views))
    assert ask().margins == ()
