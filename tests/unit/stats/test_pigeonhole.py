"""The crossed bootstrap: what is resampled together, and the variance it gives."""

import numpy as np
import pytest

from heatdrift.stats.pigeonhole import cell_means, image_resamples, seed_resamples


def test_all_runs_of_a_draw_see_the_same_images():
    rng = np.random.default_rng(0)
    first = (rng.random(500) < 0.6).astype(np.float32)
    hits = np.stack([first, first, 1 - first, np.ones(500, dtype=np.float32)])
    draws = image_resamples(hits, 300, rng)
    assert draws.shape == (300, 4)
    assert np.array_equal(draws[:, 0], draws[:, 1])
    assert draws[:, 0] + draws[:, 2] == pytest.approx(1.0)
    assert draws[:, 3] == pytest.approx(1.0)
    assert draws[:, 0].std() == pytest.approx(np.sqrt(0.6 * 0.4 / 500), rel=0.2)


def test_many_images_are_resampled_in_parts_of_the_draws():
    hits = np.ones((1, 400_000), dtype=np.float32)
    assert image_resamples(hits, 5, np.random.default_rng(1)).tolist() == [[1.0]] * 5


def test_seeds_of_a_kind_are_resampled_among_themselves():
    counts = seed_resamples(np.array([0, 0, 0, 1, 1]), 500, np.random.default_rng(2))
    assert set(counts[:, :3].sum(axis=1)) == {3.0}
    assert set(counts[:, 3:].sum(axis=1)) == {2.0}
    assert counts[:, 0].var() == pytest.approx(3 * (1 / 3) * (2 / 3), rel=0.2)


def test_means_of_cells_weigh_runs_by_their_seeds():
    values = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    cell, seed = np.array([0, 0, 1]), np.array([0, 1, 1])
    counts = np.array([[1.0, 1.0], [3.0, 1.0], [2.0, 0.0]])
    found = cell_means(values, cell, seed, counts)
    assert found[0].tolist() == [1.5, 4.0]
    assert found[1].tolist() == [1.25, 4.0]
    assert found[2][0] == 1.0
    assert np.isnan(found[2][1])


def test_the_variance_is_the_sum_of_both_samples_parts():
    """Of a mean over seeds x images: (S - 1)/S of the seeds' variance plus the images', within resampling error."""
    rng = np.random.default_rng(3)
    n_seeds, n = 12, 300
    chance = 0.5 + 0.1 * rng.normal(size=(n_seeds, 1)) + 0.15 * rng.normal(size=n)
    hits = (rng.random((n_seeds, n)) < chance).astype(np.float32)
    by_image = image_resamples(hits, 4000, rng)
    counts = seed_resamples(np.zeros(n_seeds, dtype=int), 4000, rng)
    draws = cell_means(by_image, np.zeros(n_seeds, dtype=int), np.arange(n_seeds), counts)[:, 0]
    of_seeds = hits.mean(axis=1).var() / n_seeds
    of_images = hits.mean(axis=0).var() / n
    # Owen (2007): the rest is counted in both, so up to three times what it is
    assert of_seeds + of_images <= draws.var() * 1.1
    assert draws.var() <= 1.25 * (of_seeds + of_images)
