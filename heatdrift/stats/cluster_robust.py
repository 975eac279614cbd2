"""Cluster-robust (CR2) inference about least-squares coefficients when the rows of a cluster depend on each other.

A cluster is the unit that was drawn at random (a seed with all its runs); rows of one cluster may depend on each other
in any way. An estimate A y splits into one part A_s y_s per cluster, and its error is the spread of these parts over
clusters. Residuals are smaller than errors, so each cluster's are corrected for their leverage: with R the residual
maker of the fit, the corrected part is A_s R_ss^(-1/2) e_s (CR2: Bell and McCaffrey 2002; the pseudo-inverse where a
cluster's residuals are fewer than its rows: Pustejovsky and Tipton 2018). Under equal variances the covariance of the
parts is W, and Satterthwaite's df are (tr W)^2 / tr W^2. Two things follow for every test made of the parts:

- A row alone in its cell has no residual, so CR2 cannot see its variance. The error is divided by the share of the
  variance that residuals do show, tr W / tr AA' (1 in balanced data): without that a contrast with such a cell is
  rejected several times too often. Below LEAST_RESIDUAL_SHARE there is no error term, only rounding, and no test.
- A standard error below NO_SPREAD of the response's size is rounding: nothing varies, and the test is not defined.

No n x n matrix is formed: of R only its blocks per cluster, and of W what its Gram form needs.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from heatdrift.stats.group_means import group_means, group_rows

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

LEAST_RESIDUAL_SHARE: Final = 0.05
NO_SPREAD: Final = 1e-12


class Fit(Protocol):
    """A least-squares fit with clusters: R = D - UU', D block-diagonal over clusters, U orthonormal.

    ``clusters`` are the 0-based codes (n,) of the rows, each present.
    """

    clusters: Codes

    def parts(self, rows: Floats) -> Floats | None:
        """A (q, n) with A y = rows @ coefficients; None where the design cannot estimate them."""

    def residuals(self, y: Floats) -> Floats:
        """R y of responses (B, n)."""

    def corrected(self, parts: Floats) -> "CorrectedParts":
        """Corrected contributions A_s R_ss^(-1/2) of every cluster."""


class WithinClusters:
    """Regression with clusters as fixed effects: what compares rows within clusters.

    Parameters
    ----------
    x : (n, p) design; an intercept is absorbed by the clusters. clusters : (n,) 0-based cluster of each row.
    """

    def __init__(self, x: Floats, clusters: Codes) -> None:
        self.clusters = clusters
        self._members = group_rows(clusters)
        self._x = x - group_means(x, clusters)
        self._x[np.abs(self._x) < 1e-12 * np.abs(x).max()] = 0.0  # a column constant within clusters is no column
        left, sizes, right = np.linalg.svd(self._x, full_matrices=False)
        kept = sizes > 1e-10 * sizes[0]
        self._basis = left[:, kept]
        self._inverse = (right[kept].T / sizes[kept]) @ left[:, kept].T

    def parts(self, rows: Floats) -> Floats | None:
        """Least-squares contributions of the rows; clusters that compare nothing contribute nothing."""
        parts = rows @ self._inverse
        estimable = np.allclose(parts @ self._x, rows, rtol=0.0, atol=1e-8 * np.abs(rows).max())
        return parts if estimable else None

    def residuals(self, y: Floats) -> Floats:
        """Responses (B, n) without the means of clusters and without the design."""
        free = y - group_means(y.T, self.clusters).T
        return np.asarray(free - (free @ self._basis) @ self._basis.T)

    @cached_property
    def _roots(self) -> list[Floats]:
        """R_ss^(-1/2) of each cluster, formed once for clusters with the same rows of the design."""
        known: dict[bytes, Floats] = {}
        roots = []
        for members in self._members:
            key = self._x[members].tobytes()
            if key not in known:
                own = self._basis[members]
                known[key] = _inverse_root(np.eye(members.size) - 1.0 / members.size - own @ own.T)
            roots.append(known[key])
        return roots

    def corrected(self, parts: Floats) -> "CorrectedParts":
        """CR2 by an eigendecomposition per cluster."""
        weights = np.empty_like(parts)
        for members, root in zip(self._members, self._roots, strict=True):
            weights[:, members] = parts[:, members] @ root
        free = [weights[:, m] - weights[:, m].mean(axis=1, keepdims=True) for m in self._members]
        return CorrectedParts(
            corrected_weights=weights,
            own=np.stack([part @ part.T for part in free]),
            crossed=np.stack([weights[:, m] @ self._basis[m] for m in self._members]),
            wanted=np.stack([np.sum(parts[:, m] ** 2) for m in self._members]),
        )


class CellMeans:
    """Means of cells, whatever clusters their rows come from: the fit of one column per cell, in closed form.

    With m rows in a cell, k of them of one cluster, R_ss is I - 11'/m on these k: the deviations from their mean are
    kept and the mean is divided by sqrt(1 - k/m); a cluster alone in a cell has no mean to correct.

    Parameters
    ----------
    cells, clusters : (n,) 0-based codes of each row, each code present.
    """

    def __init__(self, cells: Codes, clusters: Codes) -> None:
        self.cells, self.clusters = cells, clusters
        self.sizes = np.bincount(cells)

    @property
    def mean(self) -> Floats:
        """The hypothesis (1, cells) that the mean over cells, each with equal weight, is 0."""
        return np.full((1, self.sizes.size), 1.0 / self.sizes.size)

    def parts(self, rows: Floats) -> Floats:
        """Weights of the rows in combinations (q, cells) of cell means."""
        return np.asarray((rows / self.sizes)[:, self.cells])

    def residuals(self, y: Floats) -> Floats:
        """Responses (B, n) without the means of cells."""
        return y - group_means(y.T, self.cells).T

    def corrected(self, parts: Floats) -> "CorrectedParts":
        """CR2 of sums over the rows that a cluster has in a cell."""
        q, n_cells, n_clusters = parts.shape[0], self.sizes.size, int(self.clusters.max()) + 1
        both = self.clusters * n_cells + self.cells
        count, size = np.bincount(both)[both], self.sizes[self.cells]
        root = np.where(count < size, 1.0 / np.sqrt(1.0 - count / np.maximum(size, count + 1)), 0.0)
        weights = parts + (root - 1.0) * group_means(parts.T, both).T
        sums = np.stack([np.bincount(both, weights=row, minlength=n_clusters * n_cells) for row in weights], axis=1)
        crossed = sums.reshape(n_clusters, n_cells, q).transpose(0, 2, 1) / np.sqrt(self.sizes)
        pairs = [[np.bincount(self.clusters, weights=a * b) for b in weights] for a in weights]
        return CorrectedParts(
            corrected_weights=weights,
            own=np.moveaxis(np.array(pairs), -1, 0),
            crossed=crossed,
            wanted=np.bincount(self.clusters, weights=np.sum(parts**2, axis=0)).astype(float),
        )


@dataclass(frozen=True, slots=True)
class CorrectedParts:
    """Leverage-corrected contributions of clusters to q contrasts.

    Attributes
    ----------
    corrected_weights : (q, n) C_s = A_s R_ss^(-1/2) of all clusters, side by side: times the residuals of a cluster its
        corrected part.
    own, crossed : (S, q, q) C_s D_s C_s' and (S, q, rank) C_s U_s; block s, t of W is own_s where s = t, less
        crossed_s crossed_t'.
    wanted : (S,) tr A_s A_s', the variance of each cluster's part under equal variances.
    """

    corrected_weights: Floats
    own: Floats
    crossed: Floats
    wanted: Floats

    def residual_share_and_df(self, clusters: npt.NDArray[np.bool_] | None = None) -> tuple[float, float]:
        """Share of the variance that residuals show, and Satterthwaite's df, over all clusters or those marked.

        The df are NaN where next to nothing shows. The sum over pairs of clusters is that of all less the diagonal, in
        the smaller of two Gram forms.
        """
        chosen = slice(None) if clusters is None else clusters
        own, crossed = self.own[chosen], self.crossed[chosen]
        inner = crossed @ crossed.transpose(0, 2, 1)
        stacked = crossed.reshape(-1, crossed.shape[2])
        gram = stacked @ stacked.T if stacked.shape[0] <= stacked.shape[1] else stacked.T @ stacked
        trace = float(np.trace(own - inner, axis1=1, axis2=2).sum())
        squares = float(np.sum((own - inner) ** 2) - np.sum(inner**2) + np.sum(gram**2))
        share = trace / float(self.wanted[chosen].sum())
        return share, rounded_df(trace**2 / squares) if share >= LEAST_RESIDUAL_SHARE else float("nan")


def rounded_df(df: float) -> float:
    """Df without the rounding of a whole number: balanced data have S - 1 exactly, for those who compare."""
    return float(np.rint(df)) if abs(df - np.rint(df)) < 1e-9 else df


def cell_indicators(codes: Codes) -> Floats:
    """One column per cell, (n, cells); a contrast is then a combination of cell means."""
    return np.asarray(np.eye(int(codes.max()) + 1)[codes])


def _inverse_root(block: Floats) -> Floats:
    """Pseudo-inverse square root of a symmetric block of the residual maker."""
    values, vectors = np.linalg.eigh(block)
    kept = values > 1e-8
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T)
