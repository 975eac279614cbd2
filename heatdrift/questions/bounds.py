"""Accuracies at their floor or ceiling: values at 0, at 100, or not distinguishable from chance.

Such values are cut off: differences beyond the bound cannot show, and the spread over seeds there is too small, so a
test that pools variances is wrong about both. What counts as chance: not above it by 1.96 binomial standard errors of a
guessing model, sqrt(c (100 - c) / n).
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.accuracy import TEST, VALIDATION, chance_accuracies, finished
from heatdrift.chance import Z95
from heatdrift.metrics import ROBUSTNESS, run_title
from heatdrift.questions.further_metrics import of_metric
from heatdrift.wording import counted, learning_rate, listed

_IMAGES: Final = {VALIDATION: "n_val", TEST: "n_test", "zero_shot_pct": "n_transfer"}
_ON_ZERO_SHOT: Final = ("retention_pct", "retention_above_chance_pct")  # whose bound is that of the accuracy under them
_SHOWN: Final = 3
_MEANS: Final = "beyond a bound no difference can show, and the spread over seeds there is too small"


def bound_caveats(runs: pl.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Sentences about the accuracies among `metrics`, or under them, that are at a bound in some finished runs.

    Parameters
    ----------
    runs : rows of the view ``runs``; a column that is absent is not looked at.
    metrics : what the result is about; for a retention the zero-shot accuracy is looked at.
    """
    found = []
    for asked in metrics:
        done, plain = of_metric(finished(runs), asked)
        metric = "zero_shot_pct" if plain in _ON_ZERO_SHOT else plain
        if metric not in done.columns or not (metric in _IMAGES or metric.startswith(ROBUSTNESS)):
            continue
        name = f"{metric}@{asked.partition('@')[2]}" if "@" in asked else metric
        rows = _with_chance(done.filter(pl.col(metric).is_not_null()), metric)
        value = pl.col(metric)
        floor, ceiling = rows.filter(value == 0), rows.filter(value == 100)
        limit = pl.col("chance") + Z95 * (pl.col("chance") * (100 - pl.col("chance")) / pl.col("images")).sqrt()
        guessing = rows.filter((value > 0) & (value <= limit))
        for these, what in (
            (floor, "is 0, its floor,"),
            (ceiling, "is 100 %, its ceiling,"),
            (guessing, f"is not above chance ({_levels(guessing)}) by more than its binomial error"),
        ):
            if these.height:
                found.append(
                    f"{run_title(name)} ({name}) {what} in {these.height} of {counted(rows.height, 'run')} "
                    f"({_cells(these)}): {_MEANS}"
                )
    return list(dict.fromkeys(found))


def _with_chance(rows: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Add `chance` in % and `images` to the rows; null where one is not known."""
    images = _IMAGES.get(metric, "n_test")
    n_images = pl.col(images) if images in rows.columns else pl.lit(None, pl.Int64)
    if metric == "zero_shot_pct":
        chance = pl.col("chance_pct") if "chance_pct" in rows.columns else pl.lit(None, pl.Float64)
    else:
        known = chance_accuracies(rows, "dataset")
        chance = pl.col("dataset").replace_strict(known, default=None, return_dtype=pl.Float64)
    return rows.with_columns(chance=chance, images=n_images)


def _levels(rows: pl.DataFrame) -> str:
    return listed([f"{level:.1f} %" for level in sorted(set(rows["chance"].to_list()))])


def _cells(rows: pl.DataFrame) -> str:
    """Name the cells with the numbers of their runs, the fullest first."""
    cells = rows.group_by("dataset", "method", "lr").len()
    cells = cells.sort("len", "dataset", "method", "lr", descending=[True, False, False, False])
    named = [f"{dataset}/{method} at lr {learning_rate(lr)}: {n}" for dataset, method, lr, n in cells.iter_rows()]
    n_more = len(named) - _SHOWN
    return "; ".join(named[:_SHOWN]) + (f"; and {counted(n_more, 'more cell')}" if n_more > 0 else "")
