"""Box's correction of a several-df test for unequal variances, from variances pooled over the whole table of runs.

An F over q contrasts assumes that they have equal variances and no correlation. When runs at a high learning rate
scatter ten times as much as at a low one, they do not, and a nominal 5 % becomes 10 to 15 %. Box (1954, Ann. Math.
Stat. 25, 484-498) multiplies both df by epsilon = (tr C)^2 / (q tr C^2), C the covariance of the contrasts (1 when they
are spherical, 1 / q at worst). Greenhouse and Geisser estimate C from the seeds' own contrasts: with three seeds from
two df, so the correction is very cautious. Here C is built from one variance per level of the term's factors with more
than two levels (with two levels only the sum of both variances enters), estimated from the residuals of all runs after
removing cells, seeds and every seed x other-factor effect. That is MINQUE (Rao 1971): s = H v, s the sums of squared
residuals per level and H the sums of squared entries of the residual maker. Products of these variances are corrected
for their sampling error, so that equal variances give an epsilon near 1.

It supposes that the variances of seed x term and of the other seed interactions with these factors follow the same
pattern over the levels. A seed x lr variance that is equal for all learning rates hides an unequal residual variance.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.stats.group_means import group_means

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_LOWEST_COVARIANCE = -0.5  # relative; keeps the correction of a product of two variances finite


@dataclass(frozen=True, slots=True)
class LevelVariances:
    """Linear estimator of one variance per level; build it with `level_variances`."""

    crossed: Codes  # (n,) seed x remaining factors, whose means are removed
    basis: Floats  # (n, rank) of the design with these means removed
    membership: Floats  # (n, levels)
    inverse: Floats  # (levels, levels), pseudo-inverse of H

    def estimate(self, y: Floats) -> Floats:
        """Variances (B, levels), >= 0, of responses (B, n)."""
        free = y - group_means(y.T, self.crossed).T
        squares = (free - (free @ self.basis) @ self.basis.T) ** 2 @ self.membership
        return np.asarray(np.maximum(squares @ self.inverse, 0.0))

    def epsilon(self, y: Floats, orthonormal: Floats) -> Floats:
        """Box's epsilon (B,) of contrasts in their orthonormal form (q, n) of responses (B, n)."""
        q = orthonormal.shape[0]
        variances = self.estimate(y)
        levels = [orthonormal[:, of_level > 0.0] for of_level in self.membership.T]
        parts = np.stack([own @ own.T for own in levels], axis=-1)
        traces = np.einsum("aak->k", parts)
        flat = parts.reshape(q * q, -1)
        # E[v_k v_l] = (1 + r_kl) s_k s_l with r the covariance of the estimates relative to the variances
        relative = np.maximum(2.0 * self.inverse, _LOWEST_COVARIANCE)
        unbiased = 1.0 / (1.0 + relative)
        squared_trace = np.einsum("bk,kl,bl->b", variances, unbiased * np.outer(traces, traces), variances)
        trace_of_square = np.einsum("bk,kl,bl->b", variances, unbiased * (flat.T @ flat), variances)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(trace_of_square > 0.0, squared_trace / (q * trace_of_square), 1.0)
        return np.asarray(np.clip(ratio, 1.0 / q, 1.0))


def level_variances(x: Floats, seeds: Codes, levels: Codes, others: Codes) -> LevelVariances | None:
    """Prepare the estimator; None when no residual is left.

    Parameters
    ----------
    x : (n, p) fixed-effects design. seeds, levels, others : (n,) codes of seed, level whose variance is estimated, and
        combination of the remaining factors (a constant where there is none).
    """
    crossed = np.unique(np.column_stack([seeds, others]), axis=0, return_inverse=True)[1].ravel()
    free = x - group_means(x, crossed)
    left, sizes, _ = np.linalg.svd(free, full_matrices=False)
    basis = left[:, sizes > 1e-9 * np.linalg.norm(x, ord="fro")]
    if basis.shape[1] + int(crossed.max()) + 1 >= x.shape[0]:
        return None
    codes = np.unique(levels, return_inverse=True)[1].ravel()
    membership = np.eye(int(codes.max()) + 1)[codes]
    squares = _squared_entries(basis, crossed, codes)
    inverse = np.linalg.pinv(squares, rcond=1e-6, hermitian=True)
    return LevelVariances(crossed=crossed, basis=basis, membership=membership, inverse=np.asarray(inverse))


def _squared_entries(basis: Floats, crossed: Codes, codes: Codes) -> Floats:
    """H (levels, levels): sums of the squared entries of the residual maker I - P - UU', which is (n, n), by parts.

    P averages over `crossed`, U is `basis`. The entries of I - P and of UU' are summed squared and multiplied, each
    from sums over the runs that share a level and a crossed code.
    """
    n_levels, n_crossed, rank = int(codes.max()) + 1, int(crossed.max()) + 1, basis.shape[1]
    pair = codes * n_crossed + crossed
    counts = np.bincount(pair, minlength=n_levels * n_crossed).reshape(n_levels, n_crossed).astype(float)
    sizes = counts.sum(axis=0)
    shares = counts / sizes
    sums = np.zeros((n_levels * n_crossed, rank))
    np.add.at(sums, pair, basis)
    sums = sums.reshape(n_levels, n_crossed * rank)
    weighted = (sums.reshape(n_levels, n_crossed, rank) / sizes[:, None]).reshape(n_levels, -1)
    grams = np.stack([(own.T @ own).ravel() for own in (basis[codes == k] for k in range(n_levels))])
    means = np.diag(np.sum(counts * (1.0 - 2.0 / sizes), axis=1)) + shares @ shares.T
    both = np.diag(np.bincount(codes, weights=np.sum(basis**2, axis=1), minlength=n_levels)) - sums @ weighted.T
    return np.asarray(means - 2.0 * both + grams @ grams.T)
