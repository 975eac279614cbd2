"""Accuracies as counts: log odds, logarithms, and an overdispersed binomial next to the linear model."""

import numpy as np
import polars as pl
import pytest
from simulated_study import simulated_study

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.interaction.analysis import interaction

IMAGES = 4000


@pytest.fixture(scope="module")
def runs():
    """Accuracies that are equal in log odds but for data set and a method effect: a constant odds ratio of 3."""
    rng = np.random.default_rng(4)
    frame = simulated_study().runs
    odds = np.where(frame["dataset"] == "pets", -2.5, 0.5) + np.log(3.0) * (frame["method"] == "lora_r8").to_numpy()
    seeds = {seed: 0.05 * rng.normal() for seed in frame["seed"].unique().sort()}
    odds = odds + np.array([seeds[s] for s in frame["seed"]]) + 0.05 * rng.normal(size=frame.height)
    right = rng.binomial(IMAGES, 1 / (1 + np.exp(-odds)))
    return frame.with_columns(test_acc_pct=pl.Series(100.0 * right / IMAGES), n_test=pl.lit(IMAGES))


def p_of(result, term):
    return next(t.p_box for t in result.tests if (t.term, t.method) == (term, "strata"))


def test_an_interaction_of_the_scale_goes_away_on_the_scale_of_the_effect(runs):
    raw = interaction(runs, metric="test_acc_pct")
    logit = interaction(runs, metric="test_acc_pct", scale="logit")
    assert p_of(raw, "method:dataset") < 0.05 <= p_of(logit, "method:dataset")
    effect = logit.method_effects[0].estimate
    assert effect == pytest.approx(np.log(3.0), abs=0.15)
    assert logit.unit == "log odds"
    assert logit.formula.startswith("logit(test_acc_pct) ~ ")
    assert any(f"(odds ratio {np.exp(effect):.3g})" in text for text in logit.findings)


def test_the_empirical_logit_is_the_textbooks(runs):
    bound = runs.with_columns(test_acc_pct=pl.when(pl.int_range(pl.len()) == 0).then(100.0).otherwise("test_acc_pct"))
    result = interaction(bound, metric="test_acc_pct", scale="logit")
    assert np.isfinite(result.reml_loglik)
    plain = interaction(runs.drop("n_test"), metric="test_acc_pct", scale="logit")
    assert plain.method_effects[0].estimate == pytest.approx(
        interaction(runs, metric="test_acc_pct", scale="logit").method_effects[0].estimate, abs=0.01
    )
    with pytest.raises(StatsError, match="infinite"):
        interaction(bound.drop("n_test"), metric="test_acc_pct", scale="logit")


def test_a_logarithm_turns_differences_into_ratios(runs):
    log = interaction(runs, metric="retention_pct", scale="log")
    means = runs.with_columns(pl.col("retention_pct").log()).group_by("method").agg(pl.mean("retention_pct"))
    by = dict(means.iter_rows())
    assert log.method_effects[0].estimate == pytest.approx(by["lora_r8"] - by["full_ft"])
    assert log.formula.startswith("log(retention_pct) ~ ")


@pytest.mark.parametrize(
    ("metric", "scale", "said"),
    [("retention_pct", "logit", "no share of images"), ("delta_entropy_pct", "log", "no logarithm")],
)
def test_a_scale_that_does_not_fit_the_metric_is_refused(runs, metric, scale, said):
    with pytest.raises(StatsError, match=said):
        interaction(runs, metric=metric, scale=scale)


def test_an_unknown_scale_names_the_nearest(runs):
    with pytest.raises(UnknownNameError):
        interaction(runs, metric="test_acc_pct", scale="logits")


def test_the_binomial_check_sees_overdispersion_and_says_where_scales_disagree(runs):
    result = interaction(runs, metric="test_acc_pct")
    (check,) = (c for c in result.checks if c.name == "binomial")
    assert check.flag
    assert "method:dataset" in check.sentence
    assert 1.0 < check.values["dispersion"] < 9.0


def test_the_binomial_check_is_a_quasi_binomial_regression(runs):
    """Its p is that of the same model written as iteratively reweighted least squares by hand."""
    result = interaction(runs, metric="test_acc_pct")
    (check,) = (c for c in result.checks if c.name == "binomial")
    x, y = _design(runs), runs["test_acc_pct"].to_numpy() / 100.0
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        mu = 1 / (1 + np.exp(-x @ beta))
        w = IMAGES * mu * (1 - mu)
        beta = beta + np.linalg.solve((x.T * w) @ x, x.T @ (IMAGES * (y - mu)))
    mu = 1 / (1 + np.exp(-x @ beta))
    dispersion = np.sum(IMAGES * (y - mu) ** 2 / (mu * (1 - mu))) / (y.size - x.shape[1])
    assert check.values["dispersion"] == pytest.approx(dispersion, rel=1e-6)


def _design(runs):
    """Cells and seeds as indicators, the last seed left out."""
    cell = runs.select(pl.struct("lr", "method", "dataset").rank("dense"))["lr"].to_numpy() - 1
    seed = runs["seed"].rank("dense").to_numpy() - 1
    return np.hstack([np.eye(cell.max() + 1)[cell], np.eye(seed.max() + 1)[seed][:, 1:]])


def test_without_numbers_of_images_there_is_no_such_check(runs):
    result = interaction(runs.drop("n_test"), metric="test_acc_pct")
    assert "binomial" not in {c.name for c in result.checks}
    assert "binomial" not in {c.name for c in interaction(runs, metric="retention_pct").checks}


def test_where_a_cell_is_all_right_no_wald_test_of_log_odds_speaks(runs):
    """There a Wald p is 1 whatever the effect (Hauck and Donner 1977): a check that says so would be false."""
    one = (pl.col("method") == "lora_r8") & (pl.col("lr") == runs["lr"].max())
    for where in (one, pl.col("method") == "lora_r8"):
        for value in (0.0, 100.0):
            ends = runs.with_columns(test_acc_pct=pl.when(where).then(value).otherwise("test_acc_pct"))
            (check,) = (c for c in interaction(ends, metric="test_acc_pct").checks if c.name == "binomial")
            assert check.flag
            assert check.values == {}
            assert "cannot be fitted" in check.sentence


def test_the_binomial_check_compares_only_terms_that_seeds_can_test(runs):
    lora = pl.col("method") == "lora_r8"
    own = runs.with_columns(seed=pl.when(lora).then(pl.col("seed") + 100).otherwise("seed"))
    (check,) = (c for c in interaction(own, metric="test_acc_pct").checks if c.name == "binomial")
    assert "Not compared: method, which no seed can tell apart." in check.sentence
    assert "method p" not in check.values
    assert "lr:method p" in check.values


def test_a_seed_for_every_run_leaves_no_error_term(runs):
    fresh = runs.with_columns(seed=pl.int_range(pl.len()))
    with pytest.raises(StatsError, match=r"has a seed of its own") as refused:
        interaction(fresh, metric="test_acc_pct")
    assert "heatdrift stats paired" in refused.value.hint
