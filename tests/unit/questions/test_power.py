import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats
from simulated_study import simulated_study
from statsmodels.stats.power import TTestPower

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.power.analysis import power
from heatdrift.stats.detectable import detectable_effect


@pytest.fixture(scope="module")
def runs():
    return simulated_study().runs


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 40])
@pytest.mark.parametrize(("alpha", "target"), [(0.05, 0.8), (0.01, 0.9)])
def test_the_detectable_effect_has_the_power_asked_for(seeds, alpha, target):
    """Truth: the t statistic given the chi-distributed SD is normal; integrate over the SD."""
    effect = detectable_effect(2.0, seeds, alpha=alpha, target=target)
    df, critical = seeds - 1, stats.t.ppf(1 - alpha / 2, seeds - 1)
    shift = effect / 2.0 * np.sqrt(seeds)

    def rejected(u):
        tails = stats.norm.sf(critical * u - shift) + stats.norm.cdf(-critical * u - shift)
        return tails * stats.chi.pdf(u * np.sqrt(df), df) * np.sqrt(df)

    assert integrate.quad(rejected, 0, 12, limit=400)[0] == pytest.approx(target, abs=1e-7)
    by_statsmodels = TTestPower().power(effect / 2.0, seeds, alpha)
    if not np.isnan(by_statsmodels):  # it is NaN for three seeds at 1 %: scipy's nct fails in the far tail
        assert by_statsmodels == pytest.approx(target, abs=1e-6)


def test_the_test_it_plans_does_find_that_effect():
    rng = np.random.default_rng(0)
    effect = detectable_effect(1.0, 5)
    p = stats.ttest_1samp(rng.normal(effect, 1.0, size=(20_000, 5)), 0.0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.012)


def test_rows_use_the_sd_between_seeds_of_each_contrast(runs):
    result = power(runs, metric="retention_pct", seeds=6)
    wide = runs.pivot(on="method", index=["dataset", "lr", "seed"], values="retention_pct")
    wide = wide.with_columns((pl.col("lora_r8") - pl.col("full_ft")).alias("d"))
    assert result.seeds_observed == 4
    for row in result.rows:
        part = wide if row.dataset is None else wide.filter(pl.col("dataset") == row.dataset)
        part = part if row.lr is None else part.filter(pl.col("lr") == row.lr)
        sd = part.group_by("seed").agg(pl.col("d").mean())["d"].std()
        assert row.sd == pytest.approx(sd)
        assert row.sd_df == 3
        assert row.detectable == pytest.approx(detectable_effect(sd, row.n_seeds))
        assert row.ci_low < row.detectable < row.ci_high
    assert {row.n_seeds for row in result.rows} == {3, 5, 6, 8, 10, 15, 20}
    assert {(r.dataset, r.lr) for r in result.rows} >= {(None, None), ("pets", None), ("pets", 1e-5)}
    detectable = [r.detectable for r in result.rows if (r.dataset, r.lr) == (None, None)]
    assert detectable == sorted(detectable, reverse=True)
    assert "With 6 seeds" in result.findings[0]
    assert "3 degrees of freedom" in result.findings[-1]


def test_one_data_set_is_null(runs):
    result = power(runs.filter(pl.col("dataset") == "pets"), metric="cka", seeds=3)
    assert {r.dataset for r in result.rows} == {None}
    assert {r.lr for r in result.rows} == {None, 1e-6, 1e-5, 1e-4}


def test_seeds_needed_for_a_difference_are_those_whose_detectable_difference_is_it(runs):
    result = power(runs, metric="retention_pct", seeds=4, difference=-1.5)
    assert len(result.needed) == len({(r.dataset, r.lr) for r in result.rows})
    for row in result.needed:
        for n, sd in ((row.n_seeds, row.sd), (row.n_seeds_low, row.sd_ci_low), (row.n_seeds_high, row.sd_ci_high)):
            assert detectable_effect(sd, n) <= 1.5
            assert n == 2 or detectable_effect(sd, n - 1) > 1.5
    whole = result.needed[0]
    assert f"A difference of 1.50 points needs {whole.n_seeds} seeds" in result.findings[-1]
    assert power(runs, metric="retention_pct", seeds=4, difference=1e-5).needed[0].n_seeds is None
    assert power(runs, metric="retention_pct", seeds=4).needed == ()


def test_seeds_of_each_method_alone_plan_the_two_sample_test(runs):
    own = runs.with_columns(pl.col("seed") + pl.when(pl.col("method") == "lora_r8").then(100).otherwise(0))
    result = power(own, metric="retention_pct", seeds=6)
    means = own.group_by("method", "seed").agg(pl.col("retention_pct").mean())
    v = [means.filter(pl.col("method") == m)["retention_pct"].var() for m in ("lora_r8", "full_ft")]
    row = next(r for r in result.rows if (r.dataset, r.lr, r.n_seeds) == (None, None, 6))
    ratio = sum(v) ** 2 / (v[0] ** 2 + v[1] ** 2)
    assert row.sd == pytest.approx(np.sqrt(sum(v)))
    assert row.detectable == pytest.approx(detectable_effect(np.sqrt(sum(v)), 6, df_per_seed=ratio))
    assert result.seed_test == "independent"
    assert "With 6 seeds of each method" in result.findings[0]
    assert any("do not share their seeds" in text for text in result.caveats)
    fresh = power(runs.with_columns(pl.int_range(pl.len()).alias("seed")), metric="retention_pct", seeds=6)
    assert "each of its own seed" in fresh.findings[0]


def test_what_the_seeds_at_hand_leave_open_is_said(runs):
    noise = pl.Series("noise", np.random.default_rng(1).normal(size=runs.height))
    result = power(runs.with_columns(noise.alias("cka")), metric="cka", seeds=4)
    (said,) = result.descriptions
    detectable = next(r.detectable for r in result.rows if (r.dataset, r.lr, r.n_seeds) == (None, None, 5))
    assert "Undecided: these seeds cannot tell apart differences below" in said
    assert detectable > 0
    assert power(runs, metric="retention_pct", seeds=4).descriptions == ()
    assert result.claims == ()


def test_bad_questions(runs):
    with pytest.raises(StatsError, match="no number of seeds finds a difference of 0"):
        power(runs, metric="retention_pct", seeds=3, difference=0.0)
    with pytest.raises(StatsError, match="at least 2 seeds"):
        power(runs, metric="retention_pct", seeds=1)
    with pytest.raises(StatsError, match="spread between seeds is unknown"):
        power(runs.filter(pl.col("seed") == 7), metric="retention_pct", seeds=3)
    with pytest.raises(StatsError, match="does not vary"):
        power(runs.with_columns(pl.col("lr").alias("cka")), metric="cka", seeds=3)
    with pytest.raises(UnknownNameError, match="unknown metric"):
        power(runs, metric="loss", seeds=3)
    with pytest.raises(UnknownNameError, match="unknown method"):
        power(runs, metric="cka", seeds=3, method_a="lora")
    with pytest.raises(StatsError, match="all usable runs have method full_ft: there are no two methods"):
        power(runs.filter(pl.col("method") == "full_ft"), metric="cka", seeds=3)
