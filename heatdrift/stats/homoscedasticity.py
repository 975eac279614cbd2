"""Do cells, or seeds, differ where the model says they do not? F of extra columns, and spread of runs within cells.

All functions take many responses on one design, (B, n).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.group_means import group_means

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_ROUNDING: Final = 1e-12
_RATIO_DRAWS: Final = 4999
_RATIO_SEED: Final = 0


def extra_f(y: Floats, x: Floats, small: Codes, large: Codes) -> tuple[Floats, int, int]:
    """F (B,) of the groups `large` over the groups `small` next to a design, with its df.

    Parameters
    ----------
    y : (B, n). x : (n, p). small, large : (n,) 0-based codes, each group of `large` within one of `small`. Their means
        are removed instead of adding one column per group, of which there can be thousands.

    Returns
    -------
    NaN when nothing is left to estimate the error.
    """
    rss, rank = [], []
    for codes in (small, large):
        left, sizes, _ = np.linalg.svd(x - group_means(x, codes), full_matrices=False)
        basis = left[:, sizes > 1e-10 * np.linalg.norm(x)]
        free = y - group_means(y.T, codes).T
        rss.append(np.sum((free - (free @ basis) @ basis.T) ** 2, axis=1))
        rank.append(basis.shape[1] + np.unique(codes).size)
    df_num, df_den = rank[1] - rank[0], y.shape[1] - rank[1]
    if df_num <= 0 or df_den <= 0:
        return np.full(y.shape[0], np.nan), df_num, df_den
    with np.errstate(divide="ignore", invalid="ignore"):
        f = (rss[0] - rss[1]) / df_num / (rss[1] / df_den)
    return np.where(rss[1] > 0, f, np.nan), df_num, df_den


@dataclass(frozen=True, slots=True)
class CellSpread:
    """Variances of the cells with three runs or more, compared two ways.

    Attributes
    ----------
    ratio : (B,) largest over smallest variance; infinite where the runs of a cell agree to rounding.
    f : (B,) Brown-Forsythe's F (1974, J. Am. Stat. Assoc. 69, 364-367).
    sizes : runs of each cell.
    """

    ratio: Floats
    f: Floats
    sizes: npt.NDArray[np.int64]

    @property
    def df_num(self) -> int:
        """Numerator df of Brown-Forsythe."""
        return int(self.sizes.size) - 1

    @property
    def df_den(self) -> int:
        """Denominator df of Brown-Forsythe."""
        return int(self.sizes.sum()) - int(self.sizes.size)

    def ratio_p(self) -> Floats:
        """P (B,) of a ratio as large for normal data with equal variances, by simulation from the sizes."""
        df = self.sizes - 1
        draws = np.random.default_rng(_RATIO_SEED).chisquare(df, size=(_RATIO_DRAWS, df.size)) / df
        null = np.sort(draws.max(axis=1) / draws.min(axis=1))
        beyond = _RATIO_DRAWS - np.searchsorted(null, self.ratio, side="left")
        return np.asarray((1.0 + beyond) / (_RATIO_DRAWS + 1.0))


def cell_spread(y: Floats, cells: Codes) -> CellSpread | None:
    """Compare the spread of runs between cells, (n,) codes; None with fewer than two cells of three runs.

    The F is that of ``scipy.stats.levene(center="median")``; here many responses are done at once, and `scipy.stats`
    need not be imported for one.
    """
    members = [m for c in np.unique(cells) if (m := np.flatnonzero(cells == c)).size >= 3]
    if len(members) < 2:
        return None
    sizes = np.array([m.size for m in members])
    variances = np.stack([y[:, m].var(axis=1, ddof=1) for m in members])
    rounding = (_ROUNDING * np.abs(y).max(axis=1)) ** 2  # what equal runs differ by
    variances = np.where(variances > rounding, variances, 0.0)
    distances = [np.abs(y[:, m] - np.median(y[:, m], axis=1, keepdims=True)) for m in members]
    means = np.stack([d.mean(axis=1) for d in distances])
    grand = sizes @ means / sizes.sum()
    within = np.stack([np.sum((d - d.mean(axis=1, keepdims=True)) ** 2, axis=1) for d in distances]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = variances.max(axis=0) / variances.min(axis=0)
        between = sizes @ (means - grand) ** 2 / (sizes.size - 1)
        f = np.where(within > 0, between / (within / (sizes.sum() - sizes.size)), np.nan)
    return CellSpread(ratio=ratio, f=f, sizes=sizes)
