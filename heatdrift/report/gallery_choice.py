"""Which runs the attention gallery shows: chosen by a rule from the runs alone, never by looking at maps."""

from typing import Final

import polars as pl

from heatdrift.report.inputs import with_place

METRIC: Final = "delta_entropy_pct"
RULE: Final = (
    "For each data set and method, the lowest and the highest learning rate with a finished run; of its seeds the one "
    "whose Δ attention entropy is the median (of two in the middle the lower one; the lowest seed where it was not "
    "measured), or the next in that order that kept its maps."
)


def gallery_candidates(runs: pl.DataFrame) -> list[list[str]]:
    """Return, for each place in the gallery, the cell ids of the runs that may fill it, the first choice first.

    `runs` are rows of the view ``runs``. Order: data set, method, learning rate. The rule is `RULE`.
    """
    done = with_place(runs.filter(pl.col("status") == "done")).filter(pl.col("lr").is_not_null())
    choices = []
    for _, group in done.group_by("place", "method", maintain_order=True):
        lrs = sorted(set(group["lr"].to_list()))
        choices += [group.filter(pl.col("lr") == lr) for lr in dict.fromkeys((lrs[0], lrs[-1]))]
    keyed = {(c["place"][0], c["method"][0] or "", c["lr"][0]): _by_median(c) for c in choices}
    return [keyed[key] for key in sorted(keyed)]


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
