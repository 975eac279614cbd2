"""Metrics that are no column of `runs`: a zero-shot result on a transfer set by name, an accuracy under a corruption.

`retention_pct@cifar10` is retention_pct of the transfer set cifar10, `robustness.blur` the test accuracy under blur,
`further.f1` a column f1 that an imported table had besides ours.
Without a name a zero-shot column is that of the cell's first transfer set, or of the set that `--transfer` chose.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from heatdrift.errors import UnknownNameError
from heatdrift.metrics import FURTHER_PREFIX, ROBUSTNESS, run_column

CHOSEN: Final = "transfer_chosen"  # column of runs whose zero-shot columns are of a set that was asked for by name
_COLUMNS: Final = {  # of the view `transfer` -> of `runs`
    "transfer_set": "transfer_set",
    "n_images": "n_transfer",
    "n_classes": "transfer_classes",
    "base_pct": "zero_shot_base_pct",
    "adapted_pct": "zero_shot_pct",
    "adapted_se_pct": "zero_shot_se_pct",
    "retention_pct": "retention_pct",
    "chance_pct": "chance_pct",
    "retention_above_chance_pct": "retention_above_chance_pct",
    "retention_above_chance_low_pct": "retention_above_chance_low_pct",
    "retention_above_chance_high_pct": "retention_above_chance_high_pct",
}


def on_transfer_set(runs: pl.DataFrame, transfer: pl.DataFrame, name: str, *, where: str = "") -> pl.DataFrame:
    """Return the runs with the zero-shot columns of transfer set `name`; NULL in a run that was not evaluated on it.

    Parameters
    ----------
    runs, transfer : rows of the views of one study.

    Raises
    ------
    UnknownNameError
        No run was evaluated on such a set; the nearest name is offered.
    """
    kept = runs.drop(column for column in _COLUMNS.values() if column in runs.columns)
    rows = _of_set(transfer, name, where)
    return kept.join(rows, on="cell_id", how="left").with_columns(pl.lit(value=True).alias(CHOSEN))


def with_metrics(
    runs: pl.DataFrame,
    transfer: pl.DataFrame,
    robustness: pl.DataFrame,
    metrics: Iterable[str],
    *,
    further: pl.DataFrame | None = None,
    where: str = "",
    unknown_as_null: bool = False,
) -> pl.DataFrame:
    """Return the runs with the columns of those of `metrics` that are none of `runs`; other names are passed over.

    Parameters
    ----------
    further : rows of the view of that name; None where the store has none.
    unknown_as_null : a transfer set, corruption or further metric that no run has gives a column of NULL, for a page,
        which says of each question why it has no answer.

    Raises
    ------
    UnknownNameError
        A transfer set, a corruption, a metric of a transfer set, or a further metric that does not exist; the nearest
        is offered.
    """
    wanted = list(dict.fromkeys(name for name in metrics if is_further(name)))
    for name in wanted:
        run_column(name)
    long = {ROBUSTNESS: robustness.select("cell_id", name="corruption", value="acc_pct")}
    if further is not None:
        long[FURTHER_PREFIX] = further.select("cell_id", name="metric", value="value")
    if unknown_as_null:
        known = {prefix + name for prefix, rows in long.items() for name in rows["name"].unique()}
        sets = set(transfer["transfer_set"].to_list())
        absent = [n for n in wanted if n not in known and not (_set_of(n) and _set_of(n) in sets)]
        runs = runs.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in absent)
        wanted = [name for name in wanted if name not in absent]
    for place in dict.fromkeys(_set_of(name) for name in wanted if _set_of(name)):
        rows = _of_set(transfer, place, where)
        runs = runs.join(
            rows.rename({c: f"{c}@{place}" for c in rows.columns if c != "cell_id"}), on="cell_id", how="left"
        )
    for name in wanted:
        for prefix, frame in long.items():
            if name.startswith(prefix):
                runs = runs.join(_named(frame, prefix, name, where), on="cell_id", how="left")
    return runs


def _set_of(name: str) -> str:
    """Return the transfer set that a metric names; empty where it names none."""
    return "" if name.startswith((ROBUSTNESS, FURTHER_PREFIX)) else name.partition("@")[2]


def _named(rows: pl.DataFrame, prefix: str, name: str, where: str) -> pl.DataFrame:
    """Return cell_id and the values of one metric of a long view, under its whole name."""
    plain, known = name.removeprefix(prefix), sorted(rows["name"].unique().to_list())
    if plain not in known:
        kind = "corruption" if prefix == ROBUSTNESS else "further metric"
        raise UnknownNameError(kind, plain, known, where=where or None)
    return rows.filter(pl.col("name") == plain).select("cell_id", pl.col("value").alias(name))


def is_further(name: str) -> bool:
    """Whether a metric's name is one of those that this module adds."""
    return name.startswith((ROBUSTNESS, FURTHER_PREFIX)) or "@" in name


def of_metric(runs: pl.DataFrame, metric: str) -> tuple[pl.DataFrame, str]:
    """Return the runs as they are for `metric`, and its plain name: of `retention_pct@cifar10` those of that set."""
    if metric.startswith(FURTHER_PREFIX):
        return runs, metric
    plain, at, place = metric.partition("@")
    own = [c for c in runs.columns if c.endswith(f"@{place}")]
    if not at or not own:
        return runs, plain
    plain_names = {c: c.removesuffix(f"@{place}") for c in own}
    return runs.drop(name for name in plain_names.values() if name in runs.columns).rename(plain_names), plain


def chosen_sets(runs: pl.DataFrame) -> Sequence[str]:
    """Return the transfer sets that were asked for by name; none where the cells' own first one is meant."""
    if CHOSEN not in runs.columns:
        return ()
    return sorted(runs["transfer_set"].drop_nulls().unique().to_list())


def _of_set(transfer: pl.DataFrame, name: str, where: str) -> pl.DataFrame:
    known = sorted(transfer["transfer_set"].unique().to_list())
    if name not in known:
        raise UnknownNameError("transfer set", name, known, where=where or None)
    rows = transfer.filter(pl.col("transfer_set") == name)
    return rows.select(
        "cell_id", **{ours: pl.col(theirs) for theirs, ours in _COLUMNS.items() if theirs in rows.columns}
    )
