"""Correlation over cells: moments per cell, bootstrap of cells within groups, permutation of whole cells within groups.

The seeds of a cell (dataset x method x lr) are replicates of one point of the grid, so a resampling unit is a cell with
all its runs. Resampling runs instead counts replicates as evidence and turns a null into a finding.

A correlation here is the one left after removing the means of a partition of the cells: one part (plain), groups
(repeated-measures correlation) or learning rates (partial). It is a function of six sums per cell, so B resamples are
one matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.stats.arrangements import n_arrangements, orders, random_arrangements
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.group_means import group_rows
from heatdrift.stats.intervals import percentile_interval
from heatdrift.stats.ranks import average_ranks

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

ENUMERATION_LIMIT: Final = 400_000
# below this share of the total, what is left of a variance is rounding
_NO_VARIANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class CellTable:
    """Runs with their cell, the group and learning rate of each cell, and the seed of each run.

    Attributes
    ----------
    x, y : (n,) finite values. cell : (n,) 0-based cell of each run. seed : (n,) 0-based seed of each run.
    group, lr : (cells,) 0-based group (dataset x method) and learning rate of each cell.
    """

    x: Floats
    y: Floats
    cell: Codes
    seed: Codes
    group: Codes
    lr: Codes

    def subset(self, cells: npt.NDArray[np.bool_]) -> "CellTable":
        """Keep only the marked cells."""
        runs = cells[self.cell]
        renumber = np.cumsum(cells) - 1
        return CellTable(
            x=self.x[runs],
            y=self.y[runs],
            cell=renumber[self.cell[runs]],
            seed=self.seed[runs],
            group=np.unique(self.group[cells], return_inverse=True)[1].astype(np.intp),
            lr=np.unique(self.lr[cells], return_inverse=True)[1].astype(np.intp),
        )

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.group.size

    def centred_ranks(self, parts: Codes) -> "CellTable":
        """Replace values by their average ranks within each part of the runs (Spearman instead of Pearson)."""
        x, y = self.x.copy(), self.y.copy()
        for part in np.unique(parts):
            runs = parts[self.cell] == part
            x[runs], y[runs] = average_ranks(self.x[runs]), average_ranks(self.y[runs])
        return CellTable(x=x, y=y, cell=self.cell, seed=self.seed, group=self.group, lr=self.lr)


def correlation_within(table: CellTable, parts: Codes) -> float:
    """Pearson correlation after removing the mean of each part (0-based code per cell).

    NaN below three runs or without variance.
    """
    return float(_correlate(_moments(table), np.ones((1, table.n_cells)), parts)[0])


def _moments(table: CellTable) -> Floats:
    """(cells, 6): n, sums of x, y, xx, yy, xy; x and y are centred and scaled first, so that nothing cancels."""
    x, y = _standard(table.x), _standard(table.y)
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.column_stack([np.bincount(table.cell, weights=c, minlength=table.n_cells) for c in columns])


def _standard(values: Floats) -> Floats:
    centred = values - values.mean() if values.size else values
    scale = np.abs(centred).max() if values.size else 0.0
    return np.asarray(centred / scale if scale > 0 else centred)


def _correlate(moments: Floats, weights: Floats, parts: Codes) -> Floats:
    """Correlation within `parts` for each row of cell weights (B, cells)."""
    sxx, syy, sxy, total = (np.zeros(weights.shape[0]) for _ in range(4))
    raw_xx, raw_yy = np.zeros_like(sxx), np.zeros_like(sxx)
    for part in range(int(parts.max()) + 1):
        chosen = parts == part
        n, x, y, xx, yy, xy = (weights[:, chosen] @ moments[chosen]).T
        safe = np.where(n > 0, n, 1.0)
        sxx += xx - x * x / safe
        syy += yy - y * y / safe
        sxy += xy - x * y / safe
        raw_xx += xx
        raw_yy += yy
        total += n
    return _ratio(sxy, sxx, syy, raw_xx, raw_yy, total)


def _ratio(sxy: Floats, sxx: Floats, syy: Floats, raw_xx: Floats, raw_yy: Floats, n: Floats) -> Floats:
    defined = (n >= 3) & (sxx > _NO_VARIANCE * raw_xx) & (syy > _NO_VARIANCE * raw_yy) & (sxx > 0) & (syy > 0)
    denominator = np.sqrt(np.where(defined, sxx * syy, 1.0))
    return np.where(defined, np.clip(sxy / denominator, -1.0, 1.0), np.nan)


def bootstrap_interval(
    table: CellTable, parts: Codes, *, draws: int, level: float, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Percentile interval of `correlation_within`, resampling cells with replacement within each group.

    Returns
    -------
    low, high (NaN when fewer than half of the resamples have a correlation, or no group has two cells) and the number
    of resamples in which the correlation is defined.
    """
    weights = np.zeros((draws, table.n_cells))
    sizes = np.bincount(table.group)
    for group in range(sizes.size):
        members = np.flatnonzero(table.group == group)
        weights[:, members] = rng.multinomial(members.size, np.full(members.size, 1.0 / members.size), size=draws)
    values = _correlate(_moments(table), weights, parts)
    defined = int(np.sum(~np.isnan(values)))
    if sizes.max() < 2:
        return float("nan"), float("nan"), defined
    low, high = percentile_interval(values, level)
    return float(low), float(high), defined


def permutation_p(
    table: CellTable, parts: Codes, blocks: Codes, *, draws: int, rng: np.random.Generator
) -> tuple[float, str]:
    """Two-sided p of |correlation within parts| when whole cells of y are permuted among the cells of their block.

    The part means are removed once, before permuting. A permuted cell keeps its seeds: run s of the x cell meets run s
    of the y cell; seeds that only one of the two has are left out of that arrangement. All arrangements are enumerated
    up to ENUMERATION_LIMIT, else `draws` random ones are drawn and the observed one is counted among them.

    Returns
    -------
    p (NaN when no block has two cells or the correlation is not defined) and how it was computed.
    """
    members = group_rows(blocks)
    n_all = n_arrangements(members)
    crossed = _crossed_moments(_residuals(table, parts))
    observed = _from_sums(crossed[np.arange(table.n_cells), np.arange(table.n_cells)].sum(axis=0)[None, :])[0]
    if n_all < 2 or np.isnan(observed):
        return float("nan"), "none: a cell has no other to change places with" if n_all < 2 else "none: no variance"
    exact = n_all <= ENUMERATION_LIMIT
    if exact:
        sums = np.zeros((1, 6))
        for block in members:
            here = crossed[block[None, :], block[orders(block.size)]].sum(axis=1)
            sums = (sums[:, None, :] + here[None, :, :]).reshape(-1, 6)
    else:
        order = random_arrangements(members, draws, rng)
        sums = crossed[np.arange(table.n_cells)[None, :], order].sum(axis=1)
    values = np.abs(_from_sums(sums))
    # an arrangement without a correlation (too few common seeds) counts as extreme: it must not make p smaller
    extreme = int(np.sum(~(values < abs(observed) - 1e-12)))
    if exact:
        return extreme / n_all, f"exact: all {n_all} arrangements of whole cells"
    return (extreme + 1) / (draws + 1), f"{draws} random arrangements of whole cells"


def seed_level_p(table: CellTable, parts: Codes) -> float:
    """Two-sided p of the mean over seeds of the correlation within a seed, by Student's t with S - 1 df.

    The means of each part are removed within each seed, so neither a seed's own offset nor unequal variances of cells
    can make a correlation that seeds agree on. 0 when all seeds have the same one (t is infinite); NaN with fewer than
    two seeds that have a correlation, or when all are 0.
    """
    code = parts[table.cell] * (int(table.seed.max()) + 1) + table.seed
    kept = np.unique(code, return_inverse=True)[1].ravel()
    x, y = (v - (np.bincount(kept, weights=v) / np.bincount(kept))[kept] for v in map(_standard, (table.x, table.y)))
    sxy, sxx, syy = (np.bincount(table.seed, weights=w).astype(float) for w in (x * y, x * x, y * y))
    n = np.bincount(table.seed).astype(float)
    r = _ratio(sxy, sxx, syy, n, n, n)  # values are at most 1 in size
    r = r[~np.isnan(r)]
    if r.size < 2:
        return float("nan")
    if float(np.ptp(r)) < _NO_VARIANCE:  # seeds agree to the last digit: perfect correlations, or ranks of few cells
        return 0.0 if abs(float(r[0])) > _NO_VARIANCE else float("nan")
    return t_p_value(float(r.mean() / r.std(ddof=1) * np.sqrt(r.size)), r.size - 1)


def _residuals(table: CellTable, parts: Codes) -> CellTable:
    x, y = _standard(table.x), _standard(table.y)
    part = parts[table.cell]
    n = np.bincount(part)
    return CellTable(
        x=x - (np.bincount(part, weights=x) / n)[part],
        y=y - (np.bincount(part, weights=y) / n)[part],
        cell=table.cell,
        seed=table.seed,
        group=table.group,
        lr=table.lr,
    )


def _crossed_moments(table: CellTable) -> Floats:
    """(cells, cells, 6): moments when the x of cell i meets the y of cell j, over the seeds that both have."""
    shape = (table.n_cells, int(table.seed.max()) + 1)
    x, y, has = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    x[table.cell, table.seed], y[table.cell, table.seed], has[table.cell, table.seed] = table.x, table.y, 1.0
    pairs: Sequence[Floats] = (has @ has.T, x @ has.T, has @ y.T, x**2 @ has.T, has @ (y**2).T, x @ y.T)
    return np.stack(pairs, axis=-1)


def _from_sums(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = sums.T
    safe = np.where(n > 0, n, 1.0)
    return _ratio(xy - x * y / safe, xx - x * x / safe, yy - y * y / safe, xx, yy, n)
