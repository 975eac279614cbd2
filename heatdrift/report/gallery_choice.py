"""Which runs the attention gallery shows: chosen by a rule from the runs alone, never by looking at maps."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.report.inputs import with_place
from heatdrift.report.theme import method_styles

METRIC: Final = "delta_entropy_pct"
MAX_PLACES: Final = 2  # data sets
MAX_METHODS: Final = 4  # of a data set
MAX_LRS: Final = 6  # of a method
RULE: Final = (
    f"For each data set and method, the learning rates with a finished run, of more than {MAX_LRS} the lowest, the "
    "highest and those evenly between; of the seeds the one whose Δ attention entropy is the median (of two in the "
    "middle the lower one; the lowest seed where it was not measured), or the next in that order that kept its maps."
)


def gallery_candidates(runs: pl.DataFrame) -> list[list[str]]:
    """Return, for each place in the gallery, the cell ids of the runs that may fill it, the first choice first.

    `runs` are rows of the view ``runs``. Order: data set, method (the product's), learning rate. The rule is `RULE`;
    of more than `MAX_METHODS` methods of a data set the first have a place.
    """
    done = with_place(runs.filter(pl.col("status") == "done")).filter(pl.col("lr").is_not_null())
    choices: list[list[str]] = []
    for place in sorted(done["place"].unique().to_list()):
        here = done.filter(pl.col("place") == place)
        for style in method_styles(here["method"].drop_nulls().to_list())[:MAX_METHODS]:
            group = here.filter(pl.col("method") == style.name)
            lrs = _evenly(sorted(set(group["lr"].to_list())), MAX_LRS)
            choices += [_by_median(group.filter(pl.col("lr") == lr)) for lr in lrs]
    return choices


def _evenly(values: Sequence[float], n: int) -> list[float]:
    """Return at most `n` of the values, the first and the last among them."""
    if len(values) <= n:
        return list(values)
    return [values[round(i * (len(values) - 1) / (n - 1))] for i in range(n)]


def _by_median(cell: pl.DataFrame) -> list[str]:
    """Return cell ids of one cell's runs, the median run first, then by distance in rank from it."""
    measured = (
        cell[METRIC].cast(pl.Float64).fill_nan(None) if METRIC in cell.columns else pl.Series([None] * cell.height)
    )
    ranked = cell.with_columns(measured.alias(METRIC)).sort(METRIC, "seed", "cell_id", nulls_last=True)
    ids: list[str] = ranked["cell_id"].to_list()
    known = ranked[METRIC].count()
    middle = max(known - 1, 0) // 2
    return [ids[i] for i in sorted(range(len(ids)), key=lambda i: (abs(i - middle), i))]
