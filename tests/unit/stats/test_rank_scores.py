"""The adjusted permutation and the seeds behind `stats predictors`, against brute force and on nulls."""

from itertools import permutations, product

import numpy as np
import polars as pl
import pytest
from scipy import stats
from simulated_study import simulated_study

from heatdrift.questions.predictors.analysis import predictors
from heatdrift.stats.rank_scores import adjusted_p, seed_agreement_p

DATASET = np.repeat([0, 1], 6)
GROUP = np.repeat([0, 1, 2, 3], 3)


def score(x, y):
    return np.array(
        [np.mean([stats.spearmanr(column[d == DATASET], y[d == DATASET]).statistic for d in (0, 1)]) for column in x.T]
    )


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 4))
    return x, rng.normal(size=12) + x[:, 1]


def test_adjusted_p_is_the_share_of_arrangements_whose_largest_score_is_as_large(cells):
    x, y = cells
    blocks = [list(permutations(np.flatnonzero(g == GROUP))) for g in range(4)]
    largest = np.array([score(x, y[np.concatenate(order)]).max() for order in product(*blocks)])
    expected = [(largest >= s - 1e-9).mean() for s in score(x, y)]
    p, how = adjusted_p(x, y, DATASET, GROUP, draws=9999, rng=np.random.default_rng(0))
    assert p == pytest.approx(expected)
    assert how.startswith("all 1296 ")
    p, how = adjusted_p(x, y, DATASET, GROUP, draws=999, rng=np.random.default_rng(0))
    assert how.startswith("random: 999 ")
    assert p == pytest.approx(expected, abs=0.06)


def test_what_only_separates_groups_is_no_evidence(cells):
    gap = np.where(GROUP % 2 == 1, 5.0, 0.0)
    _, y = cells
    p, _ = adjusted_p(gap[:, None], y + 10 * gap, DATASET, GROUP, draws=9999, rng=np.random.default_rng(0))
    assert p[0] == 1.0


def test_a_constant_signal_and_single_cells_have_no_p(cells):
    x, y = cells
    p, _ = adjusted_p(
        np.column_stack([x[:, 0], np.ones(12)]), y, DATASET, GROUP, draws=99, rng=np.random.default_rng(0)
    )
    assert np.isnan(p[1])
    assert not np.isnan(p[0])
    alone = np.arange(12)
    assert np.isnan(adjusted_p(x, y, DATASET, alone, draws=99, rng=np.random.default_rng(0))[0]).all()


def test_seeds_that_agree_and_one_wild_run():
    cell, seed = np.repeat(np.arange(12), 4), np.tile(np.arange(4), 12)
    rng = np.random.default_rng(1)
    level = rng.normal(size=12)[cell]
    assert seed_agreement_p(level, level + 0.1 * rng.normal(size=48), cell, GROUP, seed) < 0.01
    wild = np.where((seed == 0) & (cell % 3 == 2), 50.0, 0.0)  # one seed diverges at the highest learning rate, in both
    x, y = (wild + rng.normal(size=48) for _ in range(2))
    means = [np.bincount(cell, v) / 4 for v in (x, y)]
    assert np.corrcoef(means)[0, 1] > 0.9
    assert seed_agreement_p(x, y, cell, GROUP, seed) > 0.05


def test_signals_without_a_link_are_not_said_to_rank():
    """Of nulls, four of ten or more got a sentence from the interval of the best score alone."""
    claims = 0
    for rng_seed in range(12):
        rng = np.random.default_rng(rng_seed)
        study = simulated_study(rng_seed=rng_seed)
        names = [c for c in study.runs.columns if c.startswith(("delta_", "cka", "weight", "train"))]
        noise = {name: rng.normal(size=study.runs.height) for name in [*names, "retention_pct"]}
        runs = study.runs.with_columns(**{name: pl.Series(values) for name, values in noise.items()})
        found = predictors(runs, study.epochs.clear(), bootstrap=200).findings
        claims += any("retention best" in sentence for sentence in found)
    assert claims <= 2


def test_the_p_values_of_a_sentence_are_fields():
    study = simulated_study(noise=0.2)
    result = predictors(study.runs, study.epochs, bootstrap=200)
    best = max((r for r in result.rows if r.when == "final" and not r.reference), key=lambda r: r.score)
    assert best.p_adjusted < 0.05
    assert best.seed_level_p < 0.05
    assert "adjusted for" in result.findings[0]
    assert all(np.isnan(r.p_adjusted) and np.isnan(r.seed_level_p) for r in result.rows if r.reference)
