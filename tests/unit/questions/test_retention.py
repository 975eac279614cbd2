import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import SEEDS, simulated_study

from heatdrift.errors import StatsError
from heatdrift.questions.retention.analysis import retention
from heatdrift.stats.detectable import detectable_effect


@pytest.fixture(scope="module")
def runs():
    return simulated_study().runs


def of(runs, row):
    own = runs.filter(pl.col("method") == row.method)
    own = own if row.dataset is None else own.filter(pl.col("dataset") == row.dataset)
    own = own if row.lr is None else own.filter(pl.col("lr") == row.lr)
    return own.group_by("seed").agg(pl.col("retention_pct").mean())["retention_pct"].to_numpy()


def test_rows_are_one_sample_tests_of_seed_means_against_100(runs):
    result = retention(runs)
    assert len(result.rows) == 2 * 3 + 2 * 2 * 3
    for row in result.rows:
        y = of(runs, row)
        test = stats.ttest_1samp(y, 100.0)
        interval = test.confidence_interval(0.95)
        assert (row.mean, row.difference) == pytest.approx((y.mean(), y.mean() - 100.0))
        assert (row.t, row.df, row.p) == pytest.approx((test.statistic, len(SEEDS) - 1, test.pvalue))
        assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high))
        assert row.detectable == pytest.approx(detectable_effect(y.std(ddof=1), 4))
    averages = [row for row in result.rows if row.lr is None]
    assert [(r.method, r.dataset) for r in averages[:3]] == [("full_ft", d) for d in ("eurosat", "pets", None)]
    assert [claim.p for claim in result.claims] == [row.p for row in averages]
    assert len({claim.key for claim in result.claims}) == len(averages)


def test_holm_runs_over_averages_and_apart_over_cells(runs):
    rows = retention(runs).rows
    for group in ([r for r in rows if r.lr is None], [r for r in rows if r.lr is not None]):
        ordered = sorted(group, key=lambda r: r.p)
        expected = np.maximum.accumulate([min(r.p * (len(group) - i), 1.0) for i, r in enumerate(ordered)])
        assert [r.p_holm for r in ordered] == pytest.approx(expected.tolist())


def test_a_margin_says_what_is_lost_at_most(runs):
    kept = pl.Series("y", 99.5 + 0.2 * np.random.default_rng(0).normal(size=runs.height))
    result = retention(runs.with_columns(kept.alias("retention_pct")), margin=2.0)
    whole = next(row for row in result.margins if row.dataset is None and row.method == "lora_r8")
    y = of(runs.with_columns(kept.alias("retention_pct")), next(r for r in result.rows if r.method == "lora_r8"
                                                              and r.dataset is None and r.lr is None))  # fmt: skip
    assert whole.p_low == pytest.approx(stats.ttest_1samp(y, 98.0, alternative="greater").pvalue)
    assert whole.p_high == pytest.approx(stats.ttest_1samp(y, 102.0, alternative="less").pvalue)
    assert whole.decision == "equivalent"
    assert any(
        s.startswith(
            "Mean zero-shot retention of LoRA r=8 and 100 % are equivalent within ±2.00 points over 2 data sets"
        )
        for s in result.findings
    )
    unsure = retention(runs.with_columns((kept + 5 * kept.shuffle(seed=1) - 497.5).alias("retention_pct")), margin=0.1)
    assert {row.decision for row in unsure.margins} == {"undecided"}
    assert all("undecided" in s.lower() for s in unsure.descriptions)
    assert unsure.findings == ()


def test_a_loss_beyond_the_margin_is_no_equivalence(runs):
    result = retention(runs, margin=1.0)
    assert {row.decision for row in result.margins} <= {"inferior", "undecided"}
    assert any("not equivalent, the difference is beyond the margin" in s for s in result.descriptions)
    assert any("of Full FT over 2 data sets, averaged over its learning rates, is below 100 %" in s
               for s in result.findings)  # fmt: skip


def test_what_is_not_told_from_100_is_undecided(runs):
    noise = pl.Series("y", 100.0 + np.random.default_rng(2).normal(size=runs.height))
    result = retention(runs.with_columns(noise.alias("retention_pct")))
    assert result.findings == ()
    assert len(result.descriptions) == 6
    assert all("Undecided: these seeds cannot tell losses or gains below" in s for s in result.descriptions)


def test_a_probe_that_cannot_forget_has_no_test_and_says_why(runs):
    probe = runs.filter(pl.col("method") == "full_ft").with_columns(
        pl.lit("linear_probe").alias("method"), pl.lit(100.0).alias("retention_pct")
    )
    result = retention(pl.concat([runs, probe]), margin=2.0)
    rows = [row for row in result.rows if row.method == "linear_probe"]
    assert np.isnan([row.p for row in rows]).all()
    assert any("by construction" in text for text in result.caveats)
    assert any("there is no seed-level test" in s for s in result.descriptions)


def test_one_data_set_is_null_and_missing_runs_cost_df(runs):
    one = runs.filter(pl.col("dataset") == "pets")
    result = retention(one.filter(~((pl.col("seed") == 7) & (pl.col("lr") == 1e-4))))
    assert {row.dataset for row in result.rows} == {None}
    assert all(2 < row.df < 3 for row in result.rows if row.lr is None)


def test_bad_questions(runs):
    for margin in (0.0, -2.0):
        with pytest.raises(StatsError, match="must be above 0") as raised:
            retention(runs, margin=margin)
        assert raised.value.hint == "for example --margin 2"
    with pytest.raises(StatsError, match="finite"):
        retention(runs, margin=float("inf"))
    with pytest.raises(StatsError, match="confidence level"):
        retention(runs, conf_level=0.0)
    with pytest.raises(StatsError, match="retention_pct"):
        retention(runs.drop("retention_pct"))
