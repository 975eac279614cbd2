"""The engine against the textbook: CR2 with its (n, n) matrices in a few lines, on random unbalanced designs."""

import numpy as np
import pytest

from heatdrift.stats.cluster_robust import LEAST_RESIDUAL_SHARE, CellMeans, WithinClusters, cell_indicators
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.two_samples import sample_difference

DESIGNS = range(60)


def textbook(x, clusters, rows):
    """(S, q, n) makers of the corrected parts of orthonormal contrasts, the contrasts (q, n), and A (q, n)."""
    inverse = np.linalg.pinv(x, rcond=1e-10)
    maker = np.eye(x.shape[0]) - x @ inverse
    parts = rows @ inverse
    orthonormal = np.linalg.inv(np.linalg.cholesky(parts @ parts.T)) @ parts
    makers = []
    for s in range(clusters.max() + 1):
        m = clusters == s
        values, vectors = np.linalg.eigh(maker[np.ix_(m, m)])
        root = vectors[:, values > 1e-8] / np.sqrt(values[values > 1e-8]) @ vectors[:, values > 1e-8].T
        makers.append(orthonormal[:, m] @ root @ maker[m])
    return np.array(makers), orthonormal, parts


def error_of(makers, wanted):
    """Share that residuals show, and Satterthwaite's df, from the covariance of the corrected parts."""
    stacked = makers.reshape(-1, makers.shape[-1])
    working = stacked @ stacked.T
    trace = float(np.trace(working))
    return trace / wanted, trace**2 / float(np.sum(working**2)) if trace > 1e-9 else np.nan


def unbalanced(number):
    """Cells and clusters of a crossing with runs missing and, in every third, cells with several rows of a cluster."""
    rng = np.random.default_rng(number)
    n_clusters, n_cells, again = int(rng.integers(2, 8)), int(rng.integers(2, 8)), 1 + (number % 3 == 0)
    clusters = np.tile(np.repeat(np.arange(n_clusters), n_cells), again)
    cells = np.tile(np.arange(n_cells), n_clusters * again)
    kept = rng.permutation(cells.size)[: int(np.ceil(rng.uniform(0.6, 1.0) * cells.size))]
    clusters, cells = (np.unique(codes[kept], return_inverse=True)[1] for codes in (clusters, cells))
    return rng, clusters, cells


def compare(found, y, x, clusters, rows):
    """Hold a contrast to the textbook; whether there was anything to test."""
    makers, orthonormal, parts = textbook(x, clusters, rows)
    q = rows.shape[0]
    share, df = error_of(makers, q)
    if share < LEAST_RESIDUAL_SHARE or np.unique(clusters[np.abs(orthonormal).max(axis=0) > 1e-9]).size < 2:
        assert not found.testable
        return False
    scores = np.einsum("sqn,bn->bsq", makers, y) / np.sqrt(share)
    f = np.sum((y @ orthonormal.T) ** 2, axis=1) / np.sum(scores**2, axis=(1, 2))
    assert found.df == pytest.approx(df, rel=1e-10)
    np.testing.assert_allclose(found.scores(y), scores, atol=1e-10)
    np.testing.assert_allclose(found.scores(y[:1]), scores[:1], atol=1e-10)  # few responses take the other way
    np.testing.assert_allclose(found.statistics(y)[0], f, rtol=1e-9)
    assert found.f_test(y[0]).f == pytest.approx(f[0], rel=1e-9)
    if q == 1:
        tests = found.t_tests(y)
        np.testing.assert_allclose(tests.estimate, y @ parts[0], atol=1e-10)
        np.testing.assert_allclose(tests.se, np.sqrt(np.sum(scores**2, axis=(1, 2))) * np.linalg.norm(parts[0]))
        np.testing.assert_allclose(tests.t**2, f, rtol=1e-9)
    return True


def test_contrasts_within_clusters_are_the_textbook_with_one_column_per_cluster():
    tested = 0
    for number in DESIGNS:
        rng, clusters, cells = unbalanced(number)
        x = cell_indicators(cells)
        dummies = np.hstack([x, np.eye(clusters.max() + 1)[clusters]])
        y = rng.normal(size=(40, cells.size))
        for q in (1, x.shape[1] - 1):
            rows = np.hstack([np.ones((q, 1)), -np.eye(q, x.shape[1] - 1)])
            padded = np.hstack([rows, np.zeros((q, dummies.shape[1] - x.shape[1]))])
            found = cluster_contrast(WithinClusters(x, clusters), rows)
            if np.isnan(found.orthonormal).any():  # not estimable: neither in the textbook
                solved = padded @ np.linalg.pinv(dummies) @ dummies
                assert not np.allclose(solved, padded, atol=1e-8)
                continue
            tested += compare(found, y, dummies, clusters, padded)
    assert tested > 80


def test_contrasts_of_cell_means_are_the_textbook_with_one_column_per_cell():
    tested = 0
    for number in DESIGNS:
        rng, clusters, cells = unbalanced(number)
        fit, x = CellMeans(cells, clusters), cell_indicators(cells)
        y = rng.normal(size=(40, cells.size))
        q = x.shape[1]
        for rows in (fit.mean, np.eye(q), rng.normal(size=(1, q))):
            tested += compare(cluster_contrast(fit, rows), y, x, clusters, rows)
    assert tested > 100


def test_two_samples_are_the_textbook_of_one_column_per_cell_and_sample_put_together_by_welch():
    tested = 0
    for number in DESIGNS:
        rng = np.random.default_rng(number)
        n_cells, sizes = int(rng.integers(1, 6)), rng.integers(2, 7, size=2)
        grid = [(s, c, u) for s, n in enumerate(sizes) for c in range(n_cells) for u in range(n)]
        sample, cell, cluster = np.array(grid)[rng.permutation(len(grid))[: int(0.85 * len(grid)) + 1]].T
        cluster = (cluster, cluster + 100 * sample, np.where(cluster < 2, cluster, cluster + 100 * sample))[number % 3]
        cluster = np.unique(cluster, return_inverse=True)[1]
        if not np.bincount(2 * cell + sample, minlength=2 * n_cells).all():
            continue
        y = rng.normal(size=sample.size) * (1 + sample)
        found = sample_difference(y, sample, cell, cluster)
        row = np.tile([1.0, -1.0], n_cells)[None, :] / n_cells
        makers, orthonormal, parts = textbook(cell_indicators(2 * cell + sample), cluster, row)
        assert found.difference == pytest.approx(float(parts[0] @ y), abs=1e-12)
        if np.isnan(found.se):
            continue
        has = [np.bincount(cluster, weights=sample == s) > 0 for s in (0, 1)]
        variances, dfs = [], []
        for kind in (has[0] & has[1], has[0] & ~has[1], has[1] & ~has[0]):
            if kind.any():
                share, df = error_of(makers[kind], np.sum(orthonormal[:, kind[cluster]] ** 2))
                variances.append(np.sum((makers[kind] @ y) ** 2) / share * np.sum(parts**2))
                dfs.append(df)
        assert found.se == pytest.approx(np.sqrt(np.sum(variances)), rel=1e-10)
        assert found.df == pytest.approx(np.sum(variances) ** 2 / np.sum(np.square(variances) / dfs), rel=1e-10)
        tested += 1
    assert tested > 40
