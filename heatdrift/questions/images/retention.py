"""Retention of every cell with base and adapted on the same images, and McNemar's test of single runs."""

from collections.abc import Iterator
from math import nan

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.questions.images.comparisons import BASE
from heatdrift.questions.images.per_image import PerImage
from heatdrift.questions.images.result import McNemarRow, RetentionRow
from heatdrift.questions.selection import codes
from heatdrift.stats.intervals import mean_interval, percentile_interval
from heatdrift.stats.mcnemar import mcnemar_p
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.pigeonhole import cell_means, seed_resamples

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def retention_rows(data: PerImage, resamples: Floats, level: float, rng: np.random.Generator) -> Iterator[RetentionRow]:
    """Yield the retention of every (data set, method, lr).

    Parameters
    ----------
    resamples : (draws, R + U) accuracies of runs and bases over resampled images.
    """
    frame = data.frame
    cell, seed = codes(frame, "dataset", "method", "lr"), codes(frame, "seed")
    n_runs, n_seeds = len(data.adapted), int(seed.max()) + 1
    adapted, base = resamples[:, :n_runs], resamples[:, n_runs + data.base_of]
    all_seeds = np.ones((resamples.shape[0], n_seeds))
    counts = seed_resamples(np.zeros(n_seeds, dtype=np.intp), resamples.shape[0], rng)
    intervals = [percentile_interval(_ratio(adapted, base, cell, seed, c), level) for c in (all_seeds, counts)]
    of_runs, of_base = data.accuracy_pct(np.arange(n_runs)), data.base_pct(np.arange(n_runs))
    for k in range(int(cell.max()) + 1):
        rows = np.flatnonzero(cell == k)
        dataset, method, lr, _ = frame.row(int(rows[0]))
        mean_base, mean = float(of_base[rows].mean()), float(of_runs[rows].mean())
        with np.errstate(invalid="ignore", divide="ignore"):
            seeds = mean_interval(100.0 * of_runs[rows] / of_base[rows], level)
        (images, both), several = [(low[k], high[k]) for low, high in intervals], rows.size > 1
        yield RetentionRow(
            dataset=dataset,
            method=method,
            lr=lr,
            n_seeds=rows.size,
            base_pct=mean_base,
            adapted_pct=mean,
            retention_pct=100.0 * mean / mean_base if mean_base > 0 else nan,
            seeds_low=seeds[0],
            seeds_high=seeds[1],
            images_low=float(images[0]),
            images_high=float(images[1]),
            both_low=float(both[0]) if several else nan,
            both_high=float(both[1]) if several else nan,
        )


def _ratio(adapted: Floats, base: Floats, cell: Codes, seed: Codes, counts: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 100.0 * cell_means(adapted, cell, seed, counts) / cell_means(base, cell, seed, counts)
    return np.where(np.isfinite(found), found, np.nan)


def mcnemar_rows(data: PerImage, method_a: str, method_b: str) -> list[McNemarRow]:
    """Return adapted against base for every run, then a against b for every pair at one data set, lr and seed."""
    base = data.bases[data.base_of]
    both = np.einsum("ri,ri->r", data.adapted, base, dtype=float)
    runs = data.frame.with_columns(
        method_b=pl.lit(BASE),
        only_a=pl.Series(data.adapted.sum(axis=1, dtype=float) - both),
        only_b=pl.Series(base.sum(axis=1, dtype=float) - both),
    ).rename({"method": "method_a"})
    keyed = data.frame.with_row_index("row")
    pairs = keyed.filter(pl.col("method") == method_a).join(
        keyed.filter(pl.col("method") == method_b), on=["dataset", "lr", "seed"], how="inner", suffix="_b"
    ).sort("dataset", "lr", "seed")  # fmt: skip
    first, second = (data.adapted[pairs[c].to_numpy()] for c in ("row", "row_b"))
    both = np.einsum("ri,ri->r", first, second, dtype=float)
    compared = pairs.rename({"method": "method_a"}).with_columns(
        only_a=pl.Series(first.sum(axis=1, dtype=float) - both),
        only_b=pl.Series(second.sum(axis=1, dtype=float) - both),
    )
    return [*_tests(runs), *_tests(compared)]


def _tests(pairs: pl.DataFrame) -> list[McNemarRow]:
    p = mcnemar_p(pairs["only_a"].to_numpy(), pairs["only_b"].to_numpy())
    rows = [
        McNemarRow(
            dataset=row["dataset"], lr=row["lr"], seed=row["seed"], method_a=row["method_a"], method_b=row["method_b"],
            only_a=round(row["only_a"]), only_b=round(row["only_b"]), p=float(value), p_holm=nan,
        )
        for row, value in zip(pairs.iter_rows(named=True), p, strict=True)
    ]  # fmt: skip
    return [replace(row, p_holm=float(a)) for row, a in zip(rows, holm(p), strict=True)]
