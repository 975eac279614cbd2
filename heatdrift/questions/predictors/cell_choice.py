"""What retention is kept when a signal chooses among cells that reach nearly the best validation accuracy.

Selection is on validation, reporting on the test of retention: the candidates of a data set are its cells whose mean
validation accuracy is within the margin of the best; each signal picks the candidate with its best oriented mean.
"""

from typing import Final

import numpy as np
import polars as pl

from heatdrift.questions.predictors.result import SelectionRow
from heatdrift.questions.predictors.signals import SIGNAL
from heatdrift.questions.selection import shown_dataset
from heatdrift.stats.intervals import t_interval
from heatdrift.wording import counted

OUTCOME: Final = "retention_pct"
_ROUNDING: Final = 1e-9  # two accuracies exactly a margin apart are within it


def select_cells(
    table: pl.DataFrame, *, margin: float, level: float, accuracy: str = "validation accuracy"
) -> tuple[tuple[SelectionRow, ...], list[str]]:
    """Let every signal choose within each data set.

    Parameters
    ----------
    table : one row per run with dataset, method, lr, seed, retention_pct, val_acc_pct and `signal:NAME` columns.
    margin : percentage points. level : of the seed-level interval of the picked cell's retention.
    accuracy : words for val_acc_pct of these runs.

    Returns
    -------
    Rows by data set and signal (a signal that a candidate lacks does not choose), and sentences about data sets with
    nothing to choose from. `worst`, `oracle` and `random` are over the candidates, `random` their mean.
    """
    names = [c for c in table.columns if c.startswith("signal:")]
    if "val_acc_pct" not in table.columns or table["val_acc_pct"].null_count() == table.height:
        return (), ["no validation accuracy: nothing to select by"]
    datasets = sorted(set(table["dataset"].to_list()))
    cells = (
        table.group_by("dataset", "method", "lr")
        .agg(
            pl.col(OUTCOME, "val_acc_pct", *names).mean(),
            pl.col(OUTCOME).std().alias("sd"),
            pl.len().alias("seeds"),
            *((~pl.col(name).is_finite().fill_null(value=False)).sum().alias(f"lacks {name}") for name in names),
        )
        .sort("dataset", "lr", "method")
    )
    rows, notes = [], []
    for dataset in datasets:
        here = cells.filter((pl.col("dataset") == dataset) & pl.col("val_acc_pct").is_finite())
        if here.is_empty():
            notes.append(f"no {accuracy} on {dataset}: nothing to select by")
            continue
        best = here["val_acc_pct"].max()
        candidates = here.filter(pl.col("val_acc_pct") >= pl.lit(best) - margin - _ROUNDING)
        if candidates.height < 2:
            notes.append(
                f"on {dataset} only {counted(candidates.height, 'cell')} within {margin:g} points of the best "
                f"{accuracy}: nothing to choose"
            )
        rows += [
            _pick(candidates, name, shown_dataset(dataset, datasets), level)
            for name in names
            if not candidates[f"lacks {name}"].sum()
        ]
    return tuple(rows), notes


def _pick(candidates: pl.DataFrame, name: str, dataset: str | None, level: float) -> SelectionRow:
    """The candidate with the highest oriented mean of a signal; on ties the lower learning rate."""
    signal = SIGNAL[name.removeprefix("signal:")]
    chosen = candidates.row(int(np.argmax(candidates[name].to_numpy() * signal.orientation)), named=True)
    retention = candidates[OUTCOME].to_numpy()
    seeds, sd = int(chosen["seeds"]), chosen["sd"]
    kept = float(chosen[OUTCOME])
    se = float(sd) / float(np.sqrt(seeds)) if seeds > 1 else float("nan")
    low, high = t_interval(kept, se, seeds - 1, level)
    return SelectionRow(
        dataset=dataset,
        signal=signal.name,
        picked=f"{chosen['method']} lr {chosen['lr']:g}",
        picked_method=str(chosen["method"]),
        picked_lr=float(chosen["lr"]),
        retention_pct=kept,
        ci_low=low,
        ci_high=high,
        oracle=float(retention.max()),
        random=float(retention.mean()),
        worst=float(retention.min()),
        n_candidates=candidates.height,
    )
