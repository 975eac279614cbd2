"""Seeds x images: mean squares by the textbook's loops, components that were put in, and limits of the error."""

import math

import numpy as np
import pytest
from scipy import stats

from heatdrift.stats.crossed_means import crossed_error, crossed_parts, predicted_se


def table(rng, n_seeds=4, n_images=7):
    return 0.5 * rng.normal(size=(n_seeds, 1)) + rng.normal(size=n_images) + rng.normal(size=(n_seeds, n_images))


def test_mean_squares_are_those_of_the_two_way_analysis_of_variance():
    d = table(np.random.default_rng(0))
    n_seeds, n_images = d.shape
    rows, columns, mean = d.mean(axis=1), d.mean(axis=0), d.mean()
    of_seeds = sum(n_images * (r - mean) ** 2 for r in rows) / (n_seeds - 1)
    of_images = sum(n_seeds * (c - mean) ** 2 for c in columns) / (n_images - 1)
    rest = sum((d[s, i] - rows[s] - columns[i] + mean) ** 2 for s in range(n_seeds) for i in range(n_images))
    rest /= (n_seeds - 1) * (n_images - 1)
    found = crossed_parts(d)
    assert found.mean[0] == pytest.approx(mean)
    parts = [found.seed[0] * d.size, found.image[0] * d.size, found.rest[0] * d.size]
    assert parts == pytest.approx([of_seeds, of_images, rest])
    components = [float(c[0]) for c in found.components()]
    expected = [max(of_seeds - rest, 0) / n_images, max(of_images - rest, 0) / n_seeds, rest]
    assert components == pytest.approx(expected)


def test_groups_of_images_are_split_as_if_alone():
    rng = np.random.default_rng(1)
    d, group = table(rng, n_images=12), rng.permutation(np.repeat([0, 1, 2], [5, 4, 3]))
    found = crossed_parts(d.astype(np.float32), group)
    for k in range(3):
        alone = crossed_parts(d[:, group == k])
        for name in ("mean", "seed", "image", "rest", "n_images"):
            assert getattr(found, name)[k] == pytest.approx(getattr(alone, name)[0], rel=1e-4), name


def test_components_that_were_put_in_are_found():
    rng = np.random.default_rng(2)
    d = 0.7 * rng.normal(size=(300, 1)) + 1.5 * rng.normal(size=400) + 2.0 * rng.normal(size=(300, 400))
    assert [math.sqrt(c[0]) for c in crossed_parts(d).components()] == pytest.approx([0.7, 1.5, 2.0], rel=0.1)


def test_without_images_of_their_own_the_error_is_the_seeds_t_test():
    """Rest and images add nothing where the mean squares say so: then only seeds are left."""
    d = np.array([1.0, 2.0, 4.0])[:, None] + np.tile([0.5, -0.5], (3, 8))[:, :15] * 0.0
    parts = crossed_parts(d)
    se, df = crossed_error(parts.seed, 2, parts.image, parts.rest, parts.rest_df, parts.n_images)
    reference = stats.ttest_1samp(d.mean(axis=1), 0.0)
    assert parts.mean[0] / se[0] == pytest.approx(reference.statistic)
    assert df[0] == pytest.approx(2.0)


def test_the_error_is_never_below_that_of_seeds_nor_of_the_rest():
    rng = np.random.default_rng(3)
    for _ in range(50):
        parts = crossed_parts(table(rng, n_seeds=3))
        se, df = crossed_error(parts.seed, 2, parts.image, parts.rest, parts.rest_df, parts.n_images)
        assert se[0] ** 2 >= max(parts.seed[0], parts.rest[0]) * (1 - 1e-12)
        assert df[0] >= 2.0 - 1e-9


def test_one_seed_and_no_variation_have_no_error():
    for d in (table(np.random.default_rng(4), n_seeds=1), np.ones((3, 5))):
        parts = crossed_parts(d)
        se, df = crossed_error(parts.seed, 2, parts.image, parts.rest, parts.rest_df, parts.n_images)
        assert np.isnan([se[0], df[0]]).all()


def test_the_prediction_gives_back_what_was_measured_and_falls_with_more():
    d = table(np.random.default_rng(5), n_seeds=6, n_images=40)
    parts = crossed_parts(d)
    seed, image, rest = (float(c[0]) for c in parts.components())
    assert predicted_se(seed, image, rest, 6, 40) ** 2 == pytest.approx(
        float(parts.seed[0] + parts.image[0] - parts.rest[0])
    )
    assert predicted_se(seed, image, rest, math.inf, 40) == pytest.approx(math.sqrt(image / 40))
    assert predicted_se(seed, image, rest, 12, 40) < predicted_se(seed, image, rest, 6, 40)
