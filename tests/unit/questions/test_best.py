"""stats best: selection inside each seed, the difference at what was selected, and what it must not do."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.best.analysis import best


def grid(make_runs, **options) -> pl.DataFrame:
    """Runs with a validation and a test accuracy whose best learning rate differs between methods and seeds."""
    runs = make_runs(**options)
    rng = np.random.default_rng(5)
    peak = pl.when(pl.col("method") == "full_ft").then(-5.3).otherwise(-4.6)
    height = (
        80.0
        - 3.0 * (pl.col("lr").log10() - peak) ** 2
        + pl.when(pl.col("method") == "full_ft").then(0.0).otherwise(2.0)
    )
    noise = pl.Series(rng.normal(scale=0.8, size=(runs.height, 2)), dtype=pl.Array(pl.Float64, 2))
    return runs.with_columns(
        val_acc_pct=height + noise.arr.get(0), test_acc_pct=height + noise.arr.get(1) + pl.col("seed") % 3
    )


def plain(runs: pl.DataFrame, metric: str, method: str, dataset: str) -> dict[int, float]:
    """Seed -> metric at the run of highest validation accuracy, by a loop."""
    found = {}
    for seed in sorted(set(runs["seed"])):
        rows = [
            r for r in runs.iter_rows(named=True) if (r["method"], r["dataset"], r["seed"]) == (method, dataset, seed)
        ]
        if rows:
            top = max(r["val_acc_pct"] for r in rows)
            found[seed] = min((r for r in rows if r["val_acc_pct"] == top), key=lambda r: r["lr"])[metric]
    return found


def test_shared_seeds_give_the_paired_t_test_of_values_chosen_inside_each_seed(make_runs):
    runs = grid(make_runs)
    result = best(runs, metrics=["test_acc_pct"])
    for row in result.rows:
        datasets = [row.dataset] if row.dataset else ["eurosat", "pets"]
        d = np.mean(
            [
                np.subtract(*(list(plain(runs, "test_acc_pct", m, dataset).values()) for m in ("lora_r8", "full_ft")))
                for dataset in datasets
            ],
            axis=0,
        )
        reference = stats.ttest_1samp(d, 0.0)
        assert (row.difference, row.t, row.p) == pytest.approx((d.mean(), reference.statistic, reference.pvalue))
        assert (row.df, row.n_linked, row.n_only_a) == (4.0, 5, 0)
        assert (row.ci_low, row.ci_high) == pytest.approx(tuple(reference.confidence_interval()))


def test_seeds_of_one_method_alone_give_welchs_test(make_runs):
    runs = grid(make_runs, datasets=("eurosat",), seeds=(1, 2, 3, 4, 5, 6, 7))
    runs = runs.filter(pl.when(pl.col("method") == "full_ft").then(pl.col("seed") <= 3).otherwise(pl.col("seed") > 3))
    (row,) = best(runs, metrics=["test_acc_pct"]).rows
    a, b = (list(plain(runs, "test_acc_pct", m, "eurosat").values()) for m in ("lora_r8", "full_ft"))
    reference = stats.ttest_ind(a, b, equal_var=False)
    assert (row.t, row.df, row.p) == pytest.approx((reference.statistic, reference.df, reference.pvalue))
    assert (row.n_linked, row.n_only_a, row.n_only_b) == (0, 4, 3)


def test_learning_rates_that_methods_do_not_share_are_no_hindrance(make_runs):
    runs = grid(make_runs)
    apart = runs.with_columns(lr=pl.when(pl.col("method") == "lora_r8").then(pl.col("lr") * 10).otherwise("lr"))
    assert best(apart).rows == best(runs).rows
    assert best(apart).choices[1].lr_by_mean == pytest.approx(10 * best(runs).choices[1].lr_by_mean)


def test_of_equal_validation_accuracies_the_lowest_learning_rate_is_chosen(make_runs):
    runs = grid(make_runs, datasets=("eurosat",)).with_columns(val_acc_pct=pl.lit(70.0))
    result = best(runs, metrics=["test_acc_pct"])
    assert [choice.chosen for choice in result.choices] == [{"1e-6": 5}, {"1e-6": 5}]
    assert [choice.lr_by_mean for choice in result.choices] == [1e-6, 1e-6]
    assert "lowest or highest learning rate of the grid for Full FT on eurosat (5 of 5 seeds)" in result.caveats[-1]


def test_a_sentence_says_what_was_chosen_and_holm_runs_over_all_rows(make_runs):
    result = best(grid(make_runs), metrics=["test_acc_pct", "retention_pct"])
    assert len(result.rows) == 6
    sentence = next(s for s in result.findings if "test accuracy" in s and "on eurosat" in s)
    assert "Holm over 6 tests by metric and data set" in sentence
    assert "chosen in seeds: LoRA r=8 " in sentence
    assert all(row.p_holm >= row.p for row in result.rows)


def test_the_usual_metrics_are_the_accuracy_that_there_is_and_retention(make_runs):
    runs = grid(make_runs)
    assert {row.metric for row in best(runs).rows} == {"test_acc_pct", "retention_pct"}
    without = best(runs.with_columns(test_acc_pct=pl.lit(None, pl.Float64), protocol=pl.lit("preprint")))
    assert {row.metric for row in without.rows} == {"val_acc_pct", "retention_pct"}
    assert any("no run has test_acc_pct" in text for text in without.left_out)
    assert any("optimistic" in text for text in without.caveats)


def test_what_cannot_be_answered_is_refused(make_runs):
    runs = grid(make_runs)
    with pytest.raises(StatsError, match="one method"):
        best(runs.filter(pl.col("method") == "full_ft"))
    with pytest.raises(UnknownNameError):
        best(runs, metrics=["tets_acc_pct"])
    with pytest.raises(StatsError, match="val_acc_pct"):
        best(runs.with_columns(val_acc_pct=pl.lit(None, pl.Float64)))


def test_one_seed_has_a_difference_and_no_test(make_runs):
    (row, *_) = best(grid(make_runs, datasets=("eurosat",), seeds=(7,)), metrics=["test_acc_pct"]).rows
    assert np.isfinite(row.difference)
    assert np.isnan(row.p)


def zero_shot(runs: pl.DataFrame) -> pl.DataFrame:
    """Add a base, its chance and what is left of it, 60 % + 5 per seed."""
    kept = 60.0 + 5.0 * (pl.col("seed") % 3) + pl.when(pl.col("method") == "lora_r8").then(20.0).otherwise(0.0)
    return runs.with_columns(
        zero_shot_base_pct=pl.lit(50.0), chance_pct=pl.lit(1.0), retention_pct=kept, zero_shot_pct=kept / 2
    )


def test_a_decision_is_what_validation_ranks_first_and_how_it_compares_with_the_second(make_runs):
    runs = zero_shot(grid(make_runs))
    result = best(runs, metrics=["test_acc_pct"], margin=1.5)
    rows = {row.dataset: row for row in result.decisions}
    assert set(rows) == {"eurosat", "pets"}
    p = []
    for dataset, row in rows.items():
        accuracy = {m: plain(runs, "test_acc_pct", m, dataset) for m in ("lora_r8", "full_ft")}
        validation = {m: np.mean(list(plain(runs, "val_acc_pct", m, dataset).values())) for m in accuracy}
        first, second = sorted(validation, key=lambda m: -validation[m])
        d = np.subtract(list(accuracy[first].values()), list(accuracy[second].values()))
        p.append(stats.ttest_1samp(d, 0.0).pvalue)
        assert (row.method, row.runner_up, row.margin) == (first, second, 1.5)
        assert (row.mean, row.difference) == pytest.approx((np.mean(list(accuracy[first].values())), d.mean()))
        assert row.zero_shot_pct == pytest.approx(np.mean(list(plain(runs, "zero_shot_pct", first, dataset).values())))
        assert (row.zero_shot_base_pct, row.zero_shot_chance_pct) == (50.0, 1.0)
    assert sorted(row.p for row in rows.values()) == pytest.approx(sorted(p))
    assert max(row.p_holm for row in rows.values()) >= max(p)


@pytest.mark.parametrize(
    ("shift", "margin", "verdict"),
    [(5.0, 2.0, "real"), (1.0, 4.0, "real, within the margin"), (0.02, 4.0, "equivalent"), (0.02, 0.05, "undecided")],
)
def test_a_verdict_says_real_equivalent_or_undecided(make_runs, shift, margin, verdict):
    rng = np.random.default_rng(3)
    runs = make_runs(datasets=("eurosat",), lrs=(1e-5,), seeds=range(8))
    noise = pl.Series(rng.normal(scale=0.3, size=runs.height))
    high = pl.when(pl.col("method") == "lora_r8").then(shift).otherwise(0.0)
    runs = runs.with_columns(val_acc_pct=70.0 + high, test_acc_pct=70.0 + high + noise)
    (row,) = best(runs, metrics=["test_acc_pct"], margin=margin).decisions
    assert (row.method, row.verdict) == ("lora_r8", verdict)
    assert row.seeds_to_settle is not None
    assert (row.seeds_to_settle > 8) == (verdict == "undecided")


def test_most_retention_is_looked_for_among_cells_that_validate_about_as_well(make_runs):
    runs = make_runs(datasets=("eurosat",), methods=("full_ft", "lora_r8"), lrs=(1e-6, 1e-5, 1e-4), seeds=(1, 2))
    validation = {1e-6: 50.0, 1e-5: 79.0, 1e-4: 80.0}
    kept = {1e-6: 99.0, 1e-5: 80.0, 1e-4: 40.0}
    runs = runs.with_columns(
        val_acc_pct=pl.col("lr").replace_strict(validation),
        test_acc_pct=pl.col("lr").replace_strict(validation) - 1.0,
        retention_pct=pl.col("lr").replace_strict(kept) + pl.when(pl.col("method") == "lora_r8").then(3.0).otherwise(0),
    )
    (row,) = best(runs, margin=2.0).decisions
    assert row.lr == 1e-4
    assert row.kept_most is not None
    found = row.kept_most
    assert (found.method, found.lr, found.n_close, found.mean, found.retention_pct) == ("lora_r8", 1e-5, 4, 78.0, 83.0)
    strict = best(runs, margin=0.5).decisions[0].kept_most
    assert strict is not None
    assert (strict.lr, strict.n_close) == (1e-4, 2)


def test_a_decision_without_zero_shot_values_says_so_and_one_seed_tests_nothing(make_runs):
    runs = grid(make_runs, datasets=("eurosat",), seeds=(7,)).with_columns(retention_pct=pl.lit(None, pl.Float64))
    (row,) = best(runs).decisions
    assert (row.verdict, row.seeds_to_settle, row.kept_most) == ("not tested", None, None)
    assert np.isnan(row.zero_shot_base_pct)
    with pytest.raises(StatsError, match="margin"):
        best(runs, margin=-1.0)
