"""The one engine gives the numbers of the three it replaces, on random unbalanced designs."""

from dataclasses import astuple

import numpy as np

from heatdrift.stats.cluster_robust import CellMeans, WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.clustered import seed_contrast
from heatdrift.stats.strata import SeedStrata
from heatdrift.stats.two_samples import sample_difference
from heatdrift.stats.two_sides import side_difference


def designs():
    for number in range(300):
        rng = np.random.default_rng(number)
        n_clusters, n_cells = rng.integers(2, 9, size=2)
        kept = rng.random(n_clusters * n_cells) < rng.uniform(0.5, 1.0)
        clusters, cells = np.divmod(np.flatnonzero(kept), n_cells)
        if len(set(clusters)) > 1 and len(set(cells)) > 1:
            yield rng, *(np.unique(codes, return_inverse=True)[1] for codes in (clusters, cells))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_hypotheses_and_contrasts_are_those_of_strata_and_clustered():
    for rng, clusters, cells in designs():
        x, y = cell_indicators(cells), rng.normal(size=(7, cells.size))
        q, p = int(rng.integers(1, x.shape[1])), x.shape[1]
        rows = np.hstack([np.ones((q, 1)), -np.eye(q), np.zeros((q, p - 1 - q))])
        fit = WithinClusters(x, clusters)
        old, new = SeedStrata(y[0], x, clusters).test(rows), cluster_contrast(fit, rows).f_test(y[0])
        close(
            np.array(astuple(new)) / np.maximum(1.0, np.abs(astuple(old))),
            astuple(old) / np.maximum(1.0, np.abs(astuple(old))),
        )
        for other, within, row in ((fit, True, rows[0]), (CellMeans(cells, clusters), False, np.full(p, 1.0 / p))):
            old_t, new_t = (
                seed_contrast(x, clusters, row, within=within).test(y),
                cluster_contrast(other, row[None]).t_tests(y),
            )
            for name in ("estimate", "se", "p", "df"):
                close(getattr(new_t, name), getattr(old_t, name))
            assert new_t.n_clusters == old_t.n_seeds


def test_two_samples_are_two_sides():
    for number in range(300):
        rng = np.random.default_rng(number)
        n_cells, sizes = int(rng.integers(1, 7)), rng.integers(2, 7, size=2)
        grid = [(s, c, u) for s, n in enumerate(sizes) for c in range(n_cells) for u in range(n)]
        side, cell, unit = np.array(grid)[rng.random(len(grid)) < 0.8].T
        unit = (unit, unit + 100 * side, np.where(unit < 2, unit, unit + 100 * side))[number % 3]
        unit = np.unique(unit, return_inverse=True)[1]
        if np.bincount(2 * cell + side, minlength=2 * n_cells).all():
            y = rng.normal(size=side.size)
            close(astuple(sample_difference(y, side, cell, unit)), astuple(side_difference(y, side, cell, unit)))
