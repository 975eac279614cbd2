import numpy as np
import pandas as pd
import pytest
from scipy import stats

from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.deviance import Grouping
from heatdrift.stats.kenward_roger import kenward_roger
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.satterthwaite import satterthwaite

DESIGN = full_factorial(
    [categorical("lr", [1e-6, 1e-5, 1e-4]), categorical("method", ["a", "b"]), categorical("dataset", ["x", "y"])]
)
CELLS, SEEDS = np.repeat(np.arange(12), 5), np.tile(np.arange(5), 12)
METHOD = DESIGN.level_codes("method")[CELLS]


def f_test(y, x, seeds, rows):
    return cluster_contrast(WithinClusters(x, seeds), rows).f_test(y)


def response(rng_seed=0):
    rng = np.random.default_rng(rng_seed)
    return (
        rng.normal(size=12)[CELLS]
        + rng.normal(size=5)[SEEDS]
        + 0.8 * rng.normal(size=(5, 2))[SEEDS, METHOD]
        + 0.3 * rng.normal(size=60)
    )


def test_balanced_one_df_term_is_the_t_test_of_per_seed_contrasts():
    y = response()
    test = f_test(y, DESIGN.grid[CELLS], SEEDS, DESIGN.hypotheses["method"])
    gaps = np.array([y[(s == SEEDS) & (METHOD == 1)].mean() - y[(s == SEEDS) & (METHOD == 0)].mean() for s in range(5)])
    expected = stats.ttest_1samp(gaps, 0.0)
    assert (test.df_num, test.n_clusters) == (1.0, 5)
    assert test.df_den == pytest.approx(4.0, rel=1e-10)
    assert test.estimate == pytest.approx(gaps.mean(), rel=1e-10)
    assert test.f == pytest.approx(expected.statistic**2, rel=1e-9)
    assert test.p == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval(0.9)
    assert test.interval(0.9) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_balanced_terms_are_the_repeated_measures_anova():
    from statsmodels.stats.anova import AnovaRM

    y = response(1)
    frame = pd.DataFrame({"y": y, "seed": SEEDS} | {f.name: DESIGN.level_codes(f.name)[CELLS] for f in DESIGN.factors})
    table = AnovaRM(frame, "y", "seed", within=["lr", "method", "dataset"]).fit().anova_table
    fit = WithinClusters(DESIGN.grid[CELLS], SEEDS)
    for term, rows in DESIGN.hypotheses.items():
        test = cluster_contrast(fit, rows).f_test(y)
        row = table.loc[term]
        assert test.f == pytest.approx(row["F Value"], rel=1e-8)
        assert (test.df_num, test.df_den) == pytest.approx((row["Num DF"], row["Den DF"]), rel=1e-8)
        assert test.p == pytest.approx(row["Pr > F"], rel=1e-7)


def test_one_seed_alone_is_no_test_and_no_rounding_becomes_one():
    """Only seed 0 has the two higher learning rates: an F of 1e32 here was a finding once."""
    lr = DESIGN.level_codes("lr")[CELLS]
    kept = (SEEDS == 0) | ((SEEDS == 1) & (lr == 0))
    test = f_test(response()[kept], DESIGN.grid[CELLS[kept]], SEEDS[kept], DESIGN.hypotheses["lr"])
    assert np.isnan(test.f)
    assert np.isnan(test.p)
    assert test.n_clusters == 0


def test_a_cell_with_one_run_does_not_make_its_contrast_too_easy():
    """One cell seen once: CR2 alone sees a fifth of that contrast's variance and rejected 3 of 10 true nulls."""
    alone = int(
        np.flatnonzero((DESIGN.level_codes("lr") == 2) & (METHOD[::5] == 0) & (DESIGN.level_codes("dataset") == 0))[0]
    )
    kept = (alone != CELLS) | (SEEDS == 0)
    high = {"lr": 1e-4, "dataset": "x"}
    row = DESIGN.marginal({**high, "method": "b"}) - DESIGN.marginal({**high, "method": "a"})
    hypothesis = cluster_contrast(WithinClusters(DESIGN.grid[CELLS[kept]], SEEDS[kept]), row[None, :])
    y = np.random.default_rng(3).normal(size=(4000, int(kept.sum())))
    f, _ = hypothesis.statistics(y)
    assert float(np.mean(stats.f.sf(f, 1, hypothesis.df) < 0.05)) < 0.07
    assert float(np.sum(hypothesis.scores(np.eye(int(kept.sum()))) ** 2)) == pytest.approx(
        1.0
    )  # unbiased under equal variances


def test_split_plot_identity_with_the_matching_mixed_model():
    y = response(2)
    x = DESIGN.grid[CELLS]
    fit = fit_mixed(y, x, [Grouping("seed", SEEDS), Grouping("seed:method", 2 * SEEDS + METHOD)])
    assert not fit.singular
    ours = f_test(y, x, SEEDS, DESIGN.hypotheses["method"])
    for inference in (satterthwaite(fit), kenward_roger(fit)):
        f, _, df = inference.term(DESIGN.hypotheses["method"])
        assert f == pytest.approx(ours.f, rel=1e-6)
        assert df == pytest.approx(4.0, rel=1e-5)


def test_greenhouse_geisser_epsilon_is_the_one_of_the_contrast_covariance():
    y = response(3)
    test = f_test(y, DESIGN.grid[CELLS], SEEDS, DESIGN.hypotheses["lr"])
    lr = DESIGN.level_codes("lr")[CELLS]
    means = np.array([[y[(s == SEEDS) & (lr == level)].mean() for level in range(3)] for s in range(5)])
    basis = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    cov = np.cov(basis @ means.T)
    assert test.epsilon == pytest.approx(np.trace(cov) ** 2 / (2 * np.sum(cov**2)), rel=1e-9)
    assert test.p_gg >= test.p


def test_missing_cells_lose_df_but_keep_the_test():
    y = response(4)
    kept = np.random.default_rng(0).permutation(60)[:52]
    test = f_test(y[kept], DESIGN.grid[CELLS][kept], SEEDS[kept], DESIGN.hypotheses["method"])
    assert 3.0 < test.df_den < 4.0
    assert test.n_clusters == 5


def test_a_seed_without_one_method_does_not_count():
    y = response(5)
    kept = ~((SEEDS == 4) & (METHOD == 1))
    only = full_factorial([categorical("method", ["a", "b"])])
    x = only.grid[METHOD]
    test = f_test(y[kept], x[kept], SEEDS[kept], only.hypotheses["method"])
    assert test.n_clusters == 4
    assert test.df_den == pytest.approx(3.0, rel=1e-9)


def test_a_term_confounded_with_seeds_is_not_a_silent_number():
    y = response(6)
    kept = np.where(SEEDS < 3, METHOD == 0, METHOD == 1)
    only = full_factorial([categorical("method", ["a", "b"])])
    test = f_test(y[kept], only.grid[METHOD][kept], SEEDS[kept], only.hypotheses["method"])
    assert np.isnan([test.f, test.p, test.df_den, test.estimate]).all()
    assert test.n_clusters == 0


def test_one_cluster_tests_nothing():
    fit = WithinClusters(np.column_stack([np.ones(4), np.arange(4.0)]), np.zeros(4, dtype=np.intp))
    test = cluster_contrast(fit, np.array([[0.0, 1.0]])).f_test(np.array([1.0, 2.0, 4.0, 3.0]))
    assert np.isnan([test.f, test.p]).all()


def test_a_response_without_variation_is_no_infinite_f():
    """An exact effect of lr in every cell: what is left is rounding, and 1e30 times it was an F."""
    y = 50.0 + DESIGN.level_codes("lr")[CELLS] / 3.0
    for term in ("lr", "method"):
        test = f_test(y, DESIGN.grid[CELLS], SEEDS, DESIGN.hypotheses[term])
        assert np.isnan([test.f, test.p, test.p_gg]).all()
