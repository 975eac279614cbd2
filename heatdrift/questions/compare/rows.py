"""The rows of ``heatdrift compare``: the difference of two studies in each common cell, and averaged over them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from msgspec.structs import replace

from heatdrift.metrics import run_column
from heatdrift.questions.compare.result import Pairing, StudyDifferenceRow
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.two_samples import SampleDifference, sample_difference
from heatdrift.wording import (
    difference_unit,
)

NAN: Final = float("nan")
_NOWHERE: Final[dict[str, str | float | None]] = {"backbone": None, "dataset": None, "method": None, "lr": None}


def metric_rows(
    sides: Sequence[pl.DataFrame], cells: pl.DataFrame, key: Sequence[str], metric: str, level: float
) -> list[StudyDifferenceRow]:
    """One row per common cell in which both sides measured the metric, and their average.

    Parameters
    ----------
    cells : key and `paired` of each common cell (``pairing.pairing_of_cells``).
    """
    runs = _runs(sides, cells, key, metric)
    if not runs.height:
        return []
    rows = [_cell_row(cell, metric, level) for cell in runs.partition_by(key, maintain_order=True)]
    return [*rows, _average(runs, len(rows), metric, level)]


def adjusted(rows: Sequence[StudyDifferenceRow]) -> list[StudyDifferenceRow]:
    """Holm's adjustment over the cells, and over the averages."""
    p_holm: dict[int, float] = {}
    for average in (False, True):
        family = [i for i, row in enumerate(rows) if (row.dataset is None) == average]
        p_holm |= dict(zip(family, holm([rows[i].p for i in family]).tolist(), strict=True))
    return [replace(row, p_holm=p_holm[i]) for i, row in enumerate(rows)]


def _runs(sides: Sequence[pl.DataFrame], cells: pl.DataFrame, key: Sequence[str], metric: str) -> pl.DataFrame:
    """All runs of cells that both sides measured: side, seed, value, `shared` (a pair), `by_pairs` (the cell), `used`.

    A cell is compared by its pairs where it has two of them, or where one side has too few runs for anything else.
    """
    measured = pl.concat(
        side.select(*key, "seed", value=pl.col(metric).cast(pl.Float64), side=pl.lit(number))
        .filter(pl.col("value").is_finite())
        .join(cells.select(*key, "paired"), on=key)
        for number, side in enumerate(sides)
    )
    on_side = [(pl.col("side") == number).sum().over(key) for number in (0, 1)]
    runs = measured.filter(pl.min_horizontal(on_side) > 0).with_columns(
        shared=pl.col("paired") & (pl.len().over(*key, "seed") == 2)
    )
    pairs = pl.col("shared").sum().over(key) // 2
    runs = runs.with_columns(by_pairs=(pairs > 1) | ((pairs == 1) & (pl.min_horizontal(on_side) < 2)))
    runs = runs.with_columns(used=pl.col("shared") | ~pl.col("by_pairs"))
    linked = runs.filter("shared")["seed"].unique().implode()
    return runs.with_columns(
        cell=_code(*key),
        own_unit=_code("seed", pl.when("shared").then(-1).otherwise("side").alias("of")),
        unit=_code("seed", pl.when(pl.col("seed").is_in(linked)).then(-1).otherwise("side").alias("of")),
    ).sort(*key, "seed", "side")


def _code(*parts: str | pl.Expr) -> pl.Expr:
    return pl.struct(*parts).rank("dense").cast(pl.Int64)


def _tested(used: pl.DataFrame, unit: str) -> SampleDifference:
    """Test the runs; the independent unit is a seed with its runs of both sides (a pair), or a seed of one side."""
    side, cell, units = (used[name].to_numpy() for name in ("side", "cell", unit))
    cell, units = (np.unique(values, return_inverse=True)[1] for values in (cell, units))
    return sample_difference(used["value"].to_numpy(), side, cell, units)


def _cell_row(runs: pl.DataFrame, metric: str, level: float) -> StudyDifferenceRow:
    used = runs.filter("used")
    how: Pairing = "paired" if runs["by_pairs"][0] else "unpaired"
    place = {name: used[name][0] if name in used.columns else None for name in _NOWHERE}
    return _row(runs, metric, place, how, 1, _tested(used, "own_unit"), level)


def _average(runs: pl.DataFrame, n_cells: int, metric: str, level: float) -> StudyDifferenceRow:
    """The mean difference over common cells; the unit is the seed, in all cells at once, not the cell.

    A seed that is a pair in any cell is one unit with all its runs, also those in cells that are not paired.
    """
    test = _tested(runs.filter("used"), "unit")
    how: Pairing = "paired" if runs["by_pairs"].all() else "mixed" if test.n_linked else "unpaired"
    return _row(runs, metric, dict(_NOWHERE), how, n_cells, test, level)


def _row(
    runs: pl.DataFrame,
    metric: str,
    place: dict[str, str | float | None],
    how: Pairing,
    n_cells: int,
    test: SampleDifference,
    level: float,
) -> StudyDifferenceRow:
    side, used, seed = (runs[name].to_numpy() for name in ("side", "used", "seed"))
    n, unused = ([int(np.count_nonzero(which & (side == s))) for s in (0, 1)] for which in (used, ~used))
    seeds = [np.unique(seed[used & (side == s)]).size for s in (0, 1)]
    if min(seeds) < 2:
        how = "single"
    t = test.difference / test.se
    low, high = test.interval(level)
    return StudyDifferenceRow(
        metric=metric, unit=difference_unit(run_column(metric).unit), **place, how=how,  # type: ignore[arg-type]
        n_cells=n_cells, n_seeds=test.n_linked if how in ("paired", "mixed") else min(seeds), n_a=n[0], n_b=n[1],
        n_pairs=int(runs["shared"].sum()) // 2, n_seeds_a=seeds[0], n_seeds_b=seeds[1], unused_a=unused[0],
        unused_b=unused[1], mean_a=test.mean_a, mean_b=test.mean_b, difference=test.difference, se=test.se, df=test.df,
        t=t, p=t_p_value(t, test.df), p_holm=NAN, ci_low=low, ci_high=high,
    )  # fmt: skip
