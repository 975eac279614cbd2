import numpy as np
import polars as pl
import pytest
from scipy import stats

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.correlation.analysis import correlation
from heatdrift.stats.cell_correlation import (
    CellTable,
    bootstrap_interval,
    correlation_within,
    permutation_p,
)
from heatdrift.wording import signed

X, Y = "delta_entropy_pct", "retention_pct"


def residual(values, labels):
    return values - np.array([values[labels == label].mean() for label in labels])


def test_every_level_is_the_plain_formula(make_runs):
    runs = make_runs(method_effect=1.0).sort("dataset", "method", "lr", "seed")
    result = correlation(runs, x=X, y=Y, bootstrap=50)
    x, y = runs[X].to_numpy(), runs[Y].to_numpy()
    group = (runs["dataset"] + "/" + runs["method"]).to_numpy()
    assert result.pooled.pearson == pytest.approx(stats.pearsonr(x, y).statistic, rel=1e-10)
    assert result.pooled.spearman == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-10)
    assert set(result.by_group) == set(group)
    for name, found in result.by_group.items():
        assert found.pearson == pytest.approx(stats.pearsonr(x[group == name], y[group == name]).statistic, rel=1e-9)
        assert found.spearman == pytest.approx(stats.spearmanr(x[group == name], y[group == name]).statistic, rel=1e-9)
    rm = stats.pearsonr(residual(x, group), residual(y, group)).statistic
    assert result.rmcorr.pearson == pytest.approx(rm, rel=1e-9)
    lr = runs["lr"].to_numpy()
    partial = stats.pearsonr(residual(x, lr), residual(y, lr)).statistic
    assert result.partial.pearson == pytest.approx(partial, rel=1e-9)
    assert (result.pooled.n, result.pooled.n_cells) == (80, 16)


def simpson(make_runs, slopes, gap):
    """x rises with lr in every group; y = slope of the group x x + a group offset that follows x's offset."""
    runs = make_runs(seed_sd=0.0, noise=0.02)
    slope = pl.concat_str("dataset", "method", separator="/").replace_strict(slopes, return_dtype=pl.Float64)
    offset = pl.concat_str("dataset", "method", separator="/").replace_strict(
        dict(zip(slopes, range(len(slopes)), strict=True)), return_dtype=pl.Float64
    )
    return runs.with_columns((slope * pl.col(X) + gap * offset).alias(Y), (pl.col(X) + gap * offset).alias(X))


GROUPS = ("eurosat/full_ft", "eurosat/lora_r8", "pets/full_ft", "pets/lora_r8")


def test_a_reversal_is_flagged_and_the_sentence_warns(make_runs):
    runs = simpson(make_runs, dict(zip(GROUPS, (-1.0, -1.0, -1.0, -1.0), strict=True)), gap=5.0)
    result = correlation(runs, x=X, y=Y, bootstrap=200)
    assert result.pooled.pearson > 0.5
    assert result.rmcorr.pearson < -0.9
    assert result.sign_reversal
    (note,) = result.notes
    assert "Read the groups, not the pooled value." in note
    shown = result.by_group["pets/lora_r8"].pearson
    assert f"{signed(shown)} with LoRA r=8 on pets" in note
    assert "lora_r8" not in " ".join((*result.findings, note))
    assert any(s.startswith("Within groups") and "lower zero-shot retention" in s for s in result.findings)


def test_one_group_against_the_others_is_a_reversal_too(make_runs):
    runs = simpson(make_runs, dict(zip(GROUPS, (1.0, -1.0, 1.0, 1.0), strict=True)), gap=0.0)
    assert correlation(runs, x=X, y=Y, bootstrap=50).sign_reversal


def test_the_same_sign_everywhere_is_no_reversal(make_runs):
    runs = simpson(make_runs, dict.fromkeys(GROUPS, 1.0), gap=1.0)
    result = correlation(runs, x=X, y=Y, bootstrap=200)
    assert not result.sign_reversal
    assert result.findings[0].startswith("Pooled over 4 groups")
    assert "mixes differences between groups" in result.findings[0]
    assert result.rmcorr.permutation == "exact: all 331776 arrangements of whole cells within groups"


def test_degenerate_groups_are_nan_not_an_error(make_runs):
    runs = make_runs().with_columns(pl.when(pl.col("method") == "full_ft").then(1.0).otherwise(X).alias(X))
    result = correlation(runs, x=X, y=Y, bootstrap=50)
    flat = result.by_group["pets/full_ft"]
    assert np.isnan([flat.pearson, flat.spearman, flat.ci_low, flat.ci_high, flat.p_permutation]).all()
    assert flat.n == 20
    assert not np.isnan(result.by_group["pets/lora_r8"].pearson)


def test_one_cell_has_a_correlation_but_no_resampling(make_runs):
    result = correlation(make_runs(datasets=("pets",), methods=("full_ft",), lrs=(1e-5,)), x=X, y=Y)
    assert result.pooled.n_cells == 1
    assert not np.isnan(result.pooled.pearson)
    assert np.isnan([result.pooled.ci_low, result.pooled.p_permutation]).all()
    assert result.rmcorr is None
    assert result.partial is None


def test_two_runs_have_no_correlation(make_runs):
    result = correlation(make_runs(datasets=("pets",), methods=("full_ft",), lrs=(1e-5,), seeds=(1, 2)), x=X, y=Y)
    assert np.isnan(result.pooled.pearson)


def test_dropped_runs_are_counted(make_runs):
    runs = make_runs().with_row_index("i")
    runs = runs.with_columns(pl.when(pl.col("i") < 3).then(None).otherwise(Y).alias(Y)).drop("i")
    result = correlation(runs, x=X, y=Y, bootstrap=50)
    assert (result.n_runs, result.n_dropped) == (77, 3)
    assert result.left_out == ("3 runs without retention_pct",)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"y": X}, StatsError),
        ({"x": "entropi"}, UnknownNameError),
        ({"bootstrap": 0}, StatsError),
        ({"conf_level": 1.0}, StatsError),
    ],
)
def test_wrong_options_are_refused(make_runs, options, error):
    with pytest.raises(error):
        correlation(make_runs(), **({"x": X, "y": Y} | options))


def table(x, y, cell, seed, group, lr):
    codes = (np.asarray(a, dtype=np.intp) for a in (cell, seed, group, lr))
    return CellTable(np.asarray(x, float), np.asarray(y, float), *codes)


def test_exact_permutation_is_the_enumeration_by_hand():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    cells = table(x.ravel(), y.ravel(), np.repeat(range(3), 2), [0, 1] * 3, [0, 0, 0], [0, 1, 2])
    one = np.zeros(3, dtype=np.intp)
    found, how = permutation_p(cells, one, cells.group, draws=10, rng=rng)
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    all_r = [abs(np.corrcoef(x.ravel(), y[o].ravel())[0, 1]) for o in orders]
    assert found == pytest.approx(np.mean([r >= all_r[0] - 1e-12 for r in all_r]))
    assert how.startswith("exact: all 6")


def test_random_permutation_agrees_with_the_exact_one(monkeypatch):
    rng = np.random.default_rng(4)
    n = 12
    x = rng.normal(size=(n, 3))
    y = x + 2.0 * rng.normal(size=(n, 3))
    group = np.repeat([0, 1, 2], 4)
    cells = table(x.ravel(), y.ravel(), np.repeat(range(n), 3), [0, 1, 2] * n, group, np.tile(range(4), 3))
    one = np.zeros(n, dtype=np.intp)
    exact, _ = permutation_p(cells, one, cells.group, draws=1, rng=rng)
    monkeypatch.setattr("heatdrift.stats.cell_correlation.ENUMERATION_LIMIT", 0)
    random, how = permutation_p(cells, one, cells.group, draws=20_000, rng=rng)
    assert how.startswith("20000 random")
    assert random == pytest.approx(exact, abs=0.01)


def test_bootstrap_keeps_the_cells_of_each_group():
    """With identical runs in a cell and one cell per group, every resample is the data: the interval has no width."""
    cells = table([0, 1, 2, 3], [0, 1, 2, 2.5], [0, 1, 2, 3], [0] * 4, [0, 1, 2, 3], [0, 0, 0, 0])
    low, high, _ = bootstrap_interval(
        cells, np.zeros(4, dtype=np.intp), draws=20, level=0.95, rng=np.random.default_rng(0)
    )
    assert np.isnan([low, high]).all()  # no group has two cells: nothing to resample
    pairs = table([0, 1, 2, 3], [0, 1, 2, 2.5], [0, 1, 2, 3], [0] * 4, [0, 0, 1, 1], [0, 1, 0, 1])
    low, high, defined = bootstrap_interval(
        pairs, np.zeros(4, dtype=np.intp), draws=500, level=0.95, rng=np.random.default_rng(0)
    )
    assert low <= correlation_within(pairs, np.zeros(4, dtype=np.intp)) <= high
    assert defined == 500


def test_a_metric_that_is_the_same_everywhere_is_refused(make_runs):
    runs = make_runs().with_columns(pl.lit(3.0).alias("cka"))
    with pytest.raises(StatsError, match="cka is 3 in all 80 runs") as found:
        correlation(runs, x="cka", y="retention_pct")
    assert found.value.hint == "choose another --x"


def test_the_seed_level_p_of_every_level_is_a_field(make_runs):
    """What a sentence rests on can be read from the result: t over seeds of the correlation within a seed."""
    runs = make_runs(seeds=(7, 11, 19, 42))
    result = correlation(runs, x="delta_entropy_pct", y="retention_pct", bootstrap=100)
    of_seeds = [
        stats.pearsonr(part["delta_entropy_pct"], part["retention_pct"]).statistic
        for part in runs.partition_by("seed", maintain_order=True)
    ]
    assert result.pooled.seed_level_p == pytest.approx(stats.ttest_1samp(of_seeds, 0.0).pvalue, rel=1e-6)
    levels = [result.pooled, result.rmcorr, result.partial, *result.by_group.values(), *result.by_dataset.values()]
    assert all(0.0 <= level.seed_level_p <= 1.0 for level in levels)
    alone = correlation(runs.filter(pl.col("seed") == 7), x="delta_entropy_pct", y="retention_pct", bootstrap=100)
    assert np.isnan(alone.pooled.seed_level_p)
