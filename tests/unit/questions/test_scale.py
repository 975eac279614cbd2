"""Thousands of runs: the forms without (runs x runs) matrices give the dense answers; nothing hangs or is hidden."""

import time

import numpy as np
import pytest
from simulated_study import simulated_study

from heatdrift.errors import StatsError
from heatdrift.questions.dose.analysis import dose
from heatdrift.questions.interaction.analysis import interaction
from heatdrift.stats.blocked_spearman import LEAST_DRAWS, within_seed_test
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.deviance import Grouping, solve_unit
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.satterthwaite import satterthwaite
from heatdrift.stats.sphericity import level_variances
from heatdrift.stats.variance_ratio import Held

SEEDS, CELLS = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
KEPT = np.random.default_rng(1).permutation(48)[:43]  # runs are missing, in no order


def unbalanced():
    seeds, cells = SEEDS[KEPT], CELLS[KEPT]
    return np.eye(8)[cells], seeds, cells


def dense_covariance(groupings, ratios):
    return np.eye(KEPT.size) + sum(r * g.indicator @ g.indicator.T for g, r in zip(groupings, ratios, strict=True))


def groupings():
    _, seeds, cells = unbalanced()
    both = np.unique(seeds * 2 + cells // 4, return_inverse=True)[1].ravel()
    return Grouping("seed", seeds), Grouping("seed:method", both)


@pytest.mark.parametrize("ratios", [(0.0, 0.0), (0.7, 0.0), (0.3, 2.0), (0.0, 40.0)])
def test_woodbury_solves_the_dense_system(ratios):
    b = np.random.default_rng(2).normal(size=(KEPT.size, 3))
    expected = np.linalg.solve(dense_covariance(groupings(), ratios), b)
    np.testing.assert_allclose(solve_unit(groupings(), np.array(ratios), b), expected, atol=1e-11)
    np.testing.assert_allclose(solve_unit(groupings(), np.array(ratios), b[:, 0]), expected[:, 0], atol=1e-11)


def test_a_held_intercept_is_whitened():
    grouping = groupings()[0]
    root = Held(grouping, 1.7).whiten(np.eye(KEPT.size))
    np.testing.assert_allclose(root @ dense_covariance([grouping], [1.7]) @ root.T, np.eye(KEPT.size), atol=1e-11)


def test_the_information_behind_satterthwaite_is_that_of_the_dense_projector():
    x, seeds, _ = unbalanced()
    rng = np.random.default_rng(3)
    fit = fit_mixed(
        x @ rng.normal(size=8) + 2.0 * rng.normal(size=6)[seeds] + rng.normal(size=KEPT.size), x, groupings()[:1]
    )
    v = np.linalg.inv(fit.residual_variance * dense_covariance(fit.groupings, fit.ratios))
    p = v - v @ x @ np.linalg.inv(x.T @ v @ x) @ x.T @ v
    slopes = [fit.groupings[0].indicator @ fit.groupings[0].indicator.T, np.eye(KEPT.size)]
    dense = [[-np.trace(p @ a @ p @ b) + 2.0 * fit.y @ p @ a @ p @ b @ p @ fit.y for b in slopes] for a in slopes]
    np.testing.assert_allclose(satterthwaite(fit).cov_variances, 2.0 * np.linalg.inv(dense), rtol=1e-7)


def test_a_seed_level_test_of_several_df_is_that_of_the_dense_residual_maker():
    x, seeds, _ = unbalanced()
    rows = np.hstack([np.ones((3, 1)), -np.eye(3), np.zeros((3, 4))])
    found = cluster_contrast(WithinClusters(x, seeds), rows)
    demean = np.eye(43) - (seeds[:, None] == seeds[None, :]) / np.bincount(seeds)[seeds]
    free = demean @ x
    maker = demean - free @ np.linalg.pinv(free, rcond=1e-10)
    orthonormal = (
        np.linalg.inv(np.linalg.cholesky(rows @ np.linalg.pinv(free.T @ free) @ rows.T)) @ rows @ np.linalg.pinv(free)
    )
    parts = []
    for s in range(6):
        m = np.flatnonzero(seeds == s)
        values, vectors = np.linalg.eigh(maker[np.ix_(m, m)])
        kept = values > 1e-8
        parts.append(orthonormal[:, m] @ (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T @ maker[m])
    working = np.concatenate(parts) @ np.concatenate(parts).T
    assert found.df == pytest.approx(np.trace(working) ** 2 / np.sum(working**2))
    y = np.random.default_rng(4).normal(size=(2, 43))
    expected = np.concatenate(parts) / np.sqrt(np.trace(working) / 3) @ y.T
    np.testing.assert_allclose(found.scores(y).reshape(2, -1), expected.T, atol=1e-9)


def test_level_variances_are_those_of_the_dense_residual_maker():
    x, seeds, cells = unbalanced()
    levels, others = cells % 4, cells // 4
    found = level_variances(x, seeds, levels, others)
    nuisance = np.hstack([x, np.eye(12)[seeds * 2 + others]])
    maker = np.eye(43) - nuisance @ np.linalg.pinv(nuisance)
    member = np.eye(4)[levels]
    expected = (maker @ np.arange(43.0) ** 1.5) ** 2 @ member @ np.linalg.pinv(member.T @ maker**2 @ member)
    np.testing.assert_allclose(
        found.estimate((np.arange(43.0) ** 1.5)[None, :])[0], np.maximum(expected, 0.0), rtol=1e-6
    )


def test_the_drawn_trend_agrees_with_the_exact_one(monkeypatch):
    lr, seeds = np.tile(np.arange(4.0), 5), np.repeat(np.arange(5), 4)
    y = np.random.default_rng(6).normal(size=20) + 0.3 * lr
    exact = within_seed_test(lr, y, seeds, draws=1, seed=0)
    assert exact.how == "exact: all 7,962,624 arrangements of learning rates within seeds"
    monkeypatch.setattr("heatdrift.stats.blocked_spearman.LARGEST_WORK", 10)
    drawn = within_seed_test(lr, y, seeds, draws=40_000, seed=0)
    assert drawn.how == "40,000 random arrangements of learning rates within seeds"
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 40_000))


def test_fewer_arrangements_are_drawn_of_very_many_runs_and_it_says_so():
    lr, seeds = np.tile(np.arange(10.0), 300), np.repeat(np.arange(300), 10)
    found = within_seed_test(lr, np.random.default_rng(7).normal(size=3000), seeds, draws=99_999, seed=0)
    assert found.how.startswith(f"{LEAST_DRAWS:,} random")


GRID = {"lrs": tuple(np.geomspace(1e-6, 1e-3, 8).tolist()), "seeds": tuple(range(78))}


@pytest.fixture(scope="module")
def thousands():
    """2 data sets x 2 methods x 8 learning rates x 78 seeds = 2,496 runs."""
    return simulated_study(**GRID).runs


def test_dose_of_thousands_of_runs_takes_seconds(thousands):
    start = time.process_time()
    found = dose(thousands, metrics=["retention_pct"])
    assert time.process_time() - start < 10.0
    assert {row.p_method for row in found.rows} == {"99,999 random arrangements of learning rates within seeds"}
    assert all(row.p_exact == pytest.approx(1e-5) for row in found.rows)


@pytest.mark.slow
def test_interaction_of_thousands_of_runs_takes_seconds(thousands):
    start = time.process_time()
    found = interaction(thousands, metric="retention_pct")
    assert time.process_time() - start < 30.0
    assert next(t for t in found.tests if t.term == "method" and t.method == "strata").df_den == pytest.approx(77.0)


def test_leave_one_seed_out_says_how_many_seeds_it_tried(monkeypatch, thousands):
    few = thousands.filter(thousands["seed"] < 12)
    runs, columns = few.height, 32
    monkeypatch.setattr("heatdrift.questions.interaction.sensitivity.SEED_WORK", 4 * runs * columns**2)
    check = next(c for c in interaction(few, metric="retention_pct").checks if c.name == "leave_one_seed_out")
    assert "Leaving out one seed at a time (4 of 12, evenly spaced)" in check.sentence
    assert [name for name in check.values if name.startswith("p without")] == [
        f"p without seed {s}" for s in (0, 3, 7, 11)
    ]
    monkeypatch.setattr("heatdrift.questions.interaction.sensitivity.SEED_WORK", runs)
    monkeypatch.setattr("heatdrift.questions.interaction.sensitivity.CELL_WORK", runs)
    checks = {c.name: c for c in interaction(few, metric="retention_pct").checks}
    assert checks["leave_one_seed_out"].sentence.startswith("No seed was left out in turn: with 32 coefficients")
    assert checks["leave_one_cell_out"].sentence != ""


def test_a_model_of_too_many_coefficients_is_refused_at_once():
    runs = simulated_study(lrs=tuple(np.geomspace(1e-6, 1e-3, 101).tolist()), seeds=(0, 1)).runs
    start = time.process_time()
    with pytest.raises(StatsError, match="404 coefficients"):
        interaction(runs, metric="retention_pct")
    assert time.process_time() - start < 2.0
    assert interaction(runs, metric="retention_pct", lr_as="linear").n_runs == runs.height
