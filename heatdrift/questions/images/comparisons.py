"""Differences on the same images: two methods, and adapted against base; seeds as the unit, then seeds and images.

The seed-level test asks about these images; that over seeds and images about others of their kind, too. Its variance
parts say which of the two limits the comparison, and what more of each would buy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.images.per_image import PerImage
from heatdrift.questions.images.result import DifferenceRow, PredictedRow, SplitRow
from heatdrift.questions.images.seed_images import seed_weights, weighted
from heatdrift.questions.selection import codes
from heatdrift.stats.cell_average import cell_average
from heatdrift.stats.crossed_means import CrossedParts, crossed_error, crossed_parts, predicted_se
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import percentile_interval, sd_interval, t_interval
from heatdrift.stats.pigeonhole import cell_means, seed_resamples
from heatdrift.stats.two_samples import sample_difference

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Table = npt.NDArray[np.float32]

BASE: Final = "base"
CELL: Final = ("dataset", "lr")
_ROWS: Final = ("row", "row_right")  # of both sides of a join


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared: runs, the sample that each is of (0 = a, 1 = b), its condition and its seed, as codes.

    ``against_base``: one sample, every run minus the base on the same images. ``seed_images`` is (S, N), points per
    seed and image, of the seeds that both samples have; of two samples without common seeds, of each sample one.
    """

    dataset: str | None
    method_a: str
    method_b: str
    rows: Codes
    sample: Codes
    cell: Codes
    seed: Codes
    seed_images: tuple[Table, ...]

    @property
    def against_base(self) -> bool:
        """Whether the second model is the base."""
        return self.method_b == BASE


def method_comparison(data: PerImage, a: str, b: str, dataset: str | None) -> Comparison | None:
    """Two methods over the conditions (data set, lr) that both have; None where there is none."""
    rows = np.concatenate([data.rows(method=a, dataset=dataset), data.rows(method=b, dataset=dataset)])
    part = data.frame[rows].with_columns(pl.Series("row", rows))
    both = part.filter(pl.col("method").n_unique().over(CELL) == 2)
    if both.is_empty():
        return None
    rows, sample = both["row"].to_numpy().astype(np.intp), (both["method"] == b).cast(pl.Int64).to_numpy()
    cell, seed = codes(both, *CELL), codes(both, "seed")
    wide = both.filter(pl.col("method") == a).join(both.filter(pl.col("method") == b), on=[*CELL, "seed"])
    if wide["seed"].n_unique() > 1:  # linked seeds: one table of differences
        weights = seed_weights(codes(wide, *CELL), codes(wide, "seed"))
        of_a, of_b = (weighted(weights, wide[c].to_numpy().astype(np.intp), len(data.adapted)) for c in _ROWS)
        tables: tuple[Table, ...] = (_points((of_a - of_b) @ data.adapted),)
    else:
        tables = tuple(_own_table(data, both.filter(pl.col("method") == name)) for name in (a, b))
    return Comparison(
        dataset=dataset, method_a=a, method_b=b, rows=rows, sample=sample.astype(np.intp), cell=cell, seed=seed,
        seed_images=tables,
    )  # fmt: skip


def _own_table(data: PerImage, part: pl.DataFrame) -> Table:
    weights = seed_weights(codes(part, *CELL), codes(part, "seed"))
    of_runs = weighted(weights, part["row"].to_numpy().astype(np.intp), len(data.adapted))
    return _points(of_runs @ data.adapted)


def _points(table: npt.NDArray[np.floating]) -> Table:
    return np.asarray(100.0 * table, dtype=np.float32)


def base_comparison(data: PerImage, method: str, dataset: str | None) -> Comparison | None:
    """One method minus the base over all its conditions; None where it has no run."""
    rows = data.rows(method=method, dataset=dataset)
    if not rows.size:
        return None
    part = data.frame[rows]
    cell, seed = codes(part, *CELL), codes(part, "seed")
    weights = weighted(seed_weights(cell, seed), rows, len(data.adapted))
    of_base = weighted(weights.astype(float), data.base_of, len(data.bases))
    table = _points(weights @ data.adapted - of_base @ data.bases)
    return Comparison(
        dataset=dataset, method_a=method, method_b=BASE, rows=rows, sample=np.zeros_like(rows), cell=cell, seed=seed,
        seed_images=(table,),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _SeedLevel:
    estimate: float
    se: float
    df: float
    n_linked: int
    n_a: int
    n_b: int


def _seed_level(found: Comparison, data: PerImage) -> _SeedLevel:
    y = data.accuracy_pct(found.rows)
    of = [np.unique(found.seed[found.sample == s]).size for s in (0, 1)]
    if not found.against_base:
        test = sample_difference(y, found.sample, found.cell, found.seed)
        return _SeedLevel(test.difference, test.se, test.df, test.n_linked, *of)
    change = cell_average(y - data.base_pct(found.rows), found.cell, found.seed)
    return _SeedLevel(change.mean, change.se, change.df, change.n_clusters, of[0], 0)


def tested(
    found: Comparison, data: PerImage, resamples: Floats, level: float, rng: np.random.Generator
) -> DifferenceRow:
    """Return the tests of one comparison.

    Parameters
    ----------
    resamples : (draws, R + U) accuracies of runs and bases, 0 to 1, over resampled images (``pigeonhole.py``).
    """
    seed = _seed_level(found, data)
    t = seed.estimate / seed.se if seed.se > 0 else nan
    low, high = t_interval(seed.estimate, seed.se, seed.df, level)
    se, df = _over_both(found, seed)
    both_low, both_high = t_interval(seed.estimate, se, df, level)
    drawn = percentile_interval(_draws(found, data, resamples, rng), level)
    return DifferenceRow(
        dataset=found.dataset,
        method_a=found.method_a,
        method_b=found.method_b,
        estimate=seed.estimate,
        se=seed.se,
        df=seed.df,
        t=t,
        p=t_p_value(t, seed.df),
        p_holm=nan,
        ci_low=low,
        ci_high=high,
        both_se=se,
        both_df=df,
        both_p=t_p_value(seed.estimate / se if se > 0 else nan, df),
        both_low=both_low,
        both_high=both_high,
        bootstrap_low=float(drawn[0]) if seed.n_a > 1 else nan,
        bootstrap_high=float(drawn[1]) if seed.n_a > 1 else nan,
        n_seeds_a=seed.n_a,
        n_seeds_b=seed.n_b,
        n_linked=seed.n_linked,
        n_conditions=int(found.cell.max()) + 1,
        n_images=data.n_images,
    )


def _parts(found: Comparison, seed: _SeedLevel) -> CrossedParts | None:
    """Return the variance parts of the difference; those of seeds as the seed-level test has them."""
    if len(found.seed_images) == 1:
        own = crossed_parts(found.seed_images[0])
        image, rest, n = own.image, own.rest, float(own.n_seeds)
    else:
        a, b = map(crossed_parts, found.seed_images)
        means = [table.mean(axis=0, dtype=float) for table in found.seed_images]
        image = np.array([np.var(means[0] - means[1], ddof=1) / means[0].size])
        rest, n = a.rest + b.rest, 2.0 / (1.0 / a.n_seeds + 1.0 / b.n_seeds)
        own = a
    if not seed.se > 0 or n < 2:
        return None
    return CrossedParts(
        mean=np.array([seed.estimate]), seed=np.array([seed.se**2]), image=image, rest=rest, n_seeds=n,
        n_images=own.n_images,
    )  # fmt: skip


def _over_both(found: Comparison, seed: _SeedLevel) -> tuple[float, float]:
    parts = _parts(found, seed)
    if parts is None:
        return nan, nan
    rest_df = sum((len(table) - 1) * (table.shape[1] - 1) for table in found.seed_images)
    se, df = crossed_error(parts.seed, seed.df, parts.image, parts.rest, np.array([float(rest_df)]), parts.n_images)
    return float(se[0]), float(df[0])


def _draws(found: Comparison, data: PerImage, resamples: Floats, rng: np.random.Generator) -> Floats:
    """Differences in points over resampled seeds and images; seeds of one sample alone are resampled apart."""
    of = [np.bincount(found.seed, weights=found.sample == s, minlength=int(found.seed.max()) + 1) > 0 for s in (0, 1)]
    counts = seed_resamples(of[0] + 2 * of[1], resamples.shape[0], rng)
    values = resamples[:, found.rows]
    if found.against_base:
        values = values - resamples[:, len(data.adapted) + data.base_of[found.rows]]
        return _mean_of_known(100.0 * cell_means(values, found.cell, found.seed, counts))
    sides = [
        cell_means(values[:, own], found.cell[own], found.seed[own], counts)
        for own in (np.flatnonzero(found.sample == s) for s in (0, 1))
    ]
    return _mean_of_known(100.0 * (sides[0] - sides[1]))


def _mean_of_known(values: Floats) -> Floats:
    """Mean over the conditions (draws, C) that kept a seed in a draw; NaN where none did."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1))


def split(found: Comparison, data: PerImage, level: float) -> SplitRow | None:
    """Return what seeds and images each add to the error of a difference; None with one seed."""
    seed = _seed_level(found, data)
    parts = _parts(found, seed)
    if parts is None:
        return None
    of_seed, of_image, of_rest = (float(c[0]) for c in parts.components())
    n = float(parts.n_seeds)
    low, high = sd_interval(seed.se * sqrt(n), seed.df, level)
    noise = of_rest / data.n_images
    by_seeds = sqrt(of_seed / n + of_rest / n / data.n_images)
    by_images = sqrt(of_image / data.n_images)
    return SplitRow(
        dataset=found.dataset,
        method_a=found.method_a,
        method_b=found.method_b,
        sd_seed=sqrt(of_seed),
        sd_seed_low=sqrt(max(low**2 - noise, 0.0)),
        sd_seed_high=sqrt(max(high**2 - noise, 0.0)),
        sd_image=sqrt(of_image),
        sd_rest=sqrt(of_rest),
        se_of_seeds=by_seeds,
        se_of_images=by_images,
        limited_by="seeds" if by_seeds > by_images else "images",
        n_seeds=n,
        n_images=data.n_images,
    )


def predicted(row: SplitRow) -> Iterator[PredictedRow]:
    """Yield the standard error that other numbers of seeds and images would give."""
    n, images = row.n_seeds, float(row.n_images)
    counts = ((n, images), (2 * n, images), (n, 2 * images), (2 * n, 2 * images), (inf, images), (n, inf))
    for seeds, n_images in counts:
        se = predicted_se(row.sd_seed**2, row.sd_image**2, row.sd_rest**2, seeds, n_images)
        yield PredictedRow(
            dataset=row.dataset, method_a=row.method_a, method_b=row.method_b, n_seeds=seeds, n_images=n_images, se=se
        )
