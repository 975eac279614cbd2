"""Runs that a question may use: finished, measured, of one backbone, study and protocol; everything left out is named.

The input is a polars frame with the columns of the view ``runs`` (docs/schema.md). Nothing is pooled over a factor that
varies and that the model does not name, and no run disappears without a sentence in ``left_out``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.accuracy import TEST, accuracy_metric
from heatdrift.errors import StatsError
from heatdrift.methods import METHODS
from heatdrift.metrics import TRANSFER_METRICS, run_column
from heatdrift.own_factors import apart, levels_text, one_of_each, varying
from heatdrift.wording import counted, learning_rate

FACTORS: Final = ("dataset", "method", "lr", "seed")
_KEY: Final = (*FACTORS, "status")
# Columns that decide a result and that no model names: runs that differ in one of them are never pooled.
_UNNAMED: Final = ("study", "protocol", "backbone", "precision", "eval_precision", "select_on")
# What questions about several metrics report unless asked otherwise: drift of support, forgetting, and what the
# training was for.
DEFAULT_METRICS: Final = ("delta_entropy_pct", "delta_erf95_pct", "retention_pct", "test_acc_pct")


@dataclass(frozen=True, slots=True)
class Selection:
    """Usable runs and what was left out.

    Attributes
    ----------
    frame : one row per run with dataset, method, lr, seed (sorted by them) and the metrics as float64.
    left_out : one sentence per reason.
    n_dropped : rows of the input that are not in `frame`.
    """

    frame: pl.DataFrame
    left_out: tuple[str, ...]
    n_dropped: int

    def described(self) -> dict[str, tuple[str | float, ...]]:
        """Levels of every factor among the usable runs, as a result states them."""
        return {factor: tuple(self.levels(factor)) for factor in FACTORS}

    def levels(self, factor: str) -> list[str] | list[float] | list[int]:
        """Distinct levels of a factor in model order: numbers ascending, names alphabetical, full_ft first."""
        found = self.frame[factor].unique().to_list()
        if factor == "method":
            return sorted(found, key=lambda name: (name != "full_ft", name))
        return sorted(found)


def study_name(runs: pl.DataFrame) -> str | None:
    """Name of the one study of the runs; None where the frame does not say."""
    names = runs["study"].drop_nulls().unique().to_list() if "study" in runs.columns else []
    return str(names[0]) if len(names) == 1 else None


def select_runs(runs: pl.DataFrame, metrics: Sequence[str]) -> Selection:
    """Keep the finished runs in which every metric was measured.

    Raises
    ------
    UnknownNameError
        A metric is not a result column of a run.
    StatsError
        No usable run; a metric that holds no numbers; two runs of one (dataset, method, lr, seed); or runs that must
        not be pooled.
    """
    _refuse_text(metrics)
    for metric in metrics:
        run_column(metric)
    missing = [c for c in (*_KEY, *metrics) if c not in runs.columns]
    if missing:
        raise StatsError(
            f"the frame of runs has no column {', '.join(missing)}",
            hint="pass rows of the view `runs`: heatdrift sql --name runs",
        )
    _refuse_other_types(runs, metrics)
    done = runs.filter(pl.col("status") == "done")
    left_out = [
        f"{counted(count, 'run')} with status {status}"
        for status, count in runs.filter(pl.col("status") != "done").group_by("status").len().sort("status").iter_rows()
    ]
    if done.is_empty():
        raise StatsError(
            f"no finished runs among {runs.height} rows" + (f" ({'; '.join(left_out)})" if left_out else ""),
            hint="heatdrift train --all, measure, or widen the selection (--study, --dataset, --method, --lr, --seed)",
        )
    _refuse_pooling(done, metrics)
    usable = done.with_columns(pl.col(m).cast(pl.Float64) for m in metrics)
    for metric in metrics:
        left_out += [f"{counted(n, 'run')} without {metric}" for n in [usable[metric].null_count()] if n]
        usable = usable.filter(pl.col(metric).is_not_null())
        broken = usable.filter(~pl.col(metric).is_finite())
        if broken.height:
            left_out.append(f"{counted(broken.height, 'run')} whose {metric} is NaN or infinite")
            usable = usable.filter(pl.col(metric).is_finite())
    if usable.is_empty():
        raise StatsError(
            f"none of {done.height:,} finished runs has a finite {' and '.join(metrics)} ({'; '.join(left_out)})",
            hint="choose a metric that was measured: heatdrift sql 'summarize runs'",
        )
    _refuse_duplicates(usable)
    left_out += several_results(usable)
    frame = usable.select(*FACTORS, *dict.fromkeys(metrics)).with_columns(pl.col("lr").cast(pl.Float64)).sort(FACTORS)
    return Selection(frame=frame, left_out=tuple(left_out), n_dropped=runs.height - frame.height)


def several_results(runs: pl.DataFrame) -> list[str]:
    """Sentences about runs of which there were other results: repeated in an imported source, or other attempts.

    Nothing was left out silently: an import refuses them unless a rule is named, and every attempt is kept.
    """
    found = []
    if {"duplicates", "duplicate_rows"} <= set(runs.columns):
        for (rule,), rows in sorted(runs.filter(pl.col("duplicates").is_not_null()).group_by("duplicates")):
            found.append(
                f"{counted(int(rows['duplicate_rows'].sum()) - rows.height, 'other result')} of "
                f"{counted(rows.height, 'run')} that the imported source held several times with different results, "
                f"of which the {rule} was taken: {_named(rows)}"
            )
    if "n_results" in runs.columns:
        again = runs.filter(pl.col("n_results") > 1)
        if again.height:
            found.append(
                f"{counted(int(again['n_results'].sum()) - again.height, 'other result')} of earlier attempts of "
                f"{counted(again.height, 'run')} that {'was' if again.height == 1 else 'were'} repeated with different "
                f"results, of which the newest counts: {_named(again)}"
            )
    return found


def _named(rows: pl.DataFrame, shown: int = 3) -> str:
    cells = [
        f"{dataset}, {method}, lr {learning_rate(lr)}, seed {seed}"
        for dataset, method, lr, seed in rows.select(FACTORS).sort(FACTORS).head(shown).iter_rows()
    ]
    return "; ".join(cells) + (f"; and {rows.height - shown} more" if rows.height > shown else "")


def measured_metrics(runs: pl.DataFrame, asked: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metrics to report and sentences about default metrics that no run has.

    Without any test accuracy (protocol ``preprint``) the validation accuracy takes its place, and is named. Metrics
    that the user asked for are returned as they are (each once): a missing one is then an error, not a note.

    Raises
    ------
    UnknownNameError
        A metric is not a result column of a run.
    StatsError
        `asked` is one text instead of a list, or no run has any of the default metrics.
    """
    if asked:
        _refuse_text(asked)
        for name in asked:
            run_column(name)
        return tuple(dict.fromkeys(asked)), ()
    accuracy, notes = accuracy_metric(runs)
    wanted = tuple(accuracy if name == TEST else name for name in DEFAULT_METRICS)
    kept = tuple(name for name in wanted if name in runs.columns and runs[name].drop_nulls().len())
    missing = [name for name in wanted if name not in kept]
    if not kept:
        raise StatsError(
            f"no run has any of the default metrics ({', '.join(DEFAULT_METRICS)})", hint="choose one with --metric"
        )
    return kept, (*notes, *(f"{name} was not measured in any run" for name in missing))


def largest_block(selection: Selection) -> Selection:
    """Keep the largest set of lrs x methods of which every cell has a run in every data set.

    Blocks in which both factors vary come first, then more cells, then more learning rates, then more runs, then
    methods in the order of METHODS. What is outside is named.

    Raises
    ------
    StatsError
        Not a single (lr, method) is present in every data set.
    """
    frame = selection.frame
    n_datasets = frame["dataset"].n_unique()
    cells = frame.group_by("lr", "method").agg(pl.col("dataset").n_unique().alias("datasets"), pl.len())
    counts = {(lr, m): n for lr, m, datasets, n in cells.iter_rows() if datasets == n_datasets}
    order = {name: i for i, name in enumerate(METHODS)}
    methods = sorted({m for _, m in counts}, key=lambda m: (order.get(m, len(order)), m))
    best: tuple[tuple[bool, int, int, int], tuple[str, ...], list[float]] | None = None
    for size in range(1, len(methods) + 1):
        for chosen in combinations(methods, size):
            lrs = sorted(lr for lr in {lr for lr, _ in counts} if all((lr, m) in counts for m in chosen))
            if not lrs:
                continue
            n_runs = sum(counts[lr, m] for lr in lrs for m in chosen)
            # learning rates before runs: one run that is missing must not turn 4 lrs x 2 methods into 2 x 4
            score = (size > 1 and len(lrs) > 1, size * len(lrs), len(lrs), n_runs)
            if best is None or score > best[0]:
                best = score, chosen, lrs
    if best is None:
        raise StatsError(
            "no learning rate and method was run on every data set, so no model of lr x method x dataset can be fitted",
            hint="choose one data set with --dataset",
        )
    _, chosen, lrs = best
    block = frame.filter(pl.col("lr").is_in(lrs) & pl.col("method").is_in(chosen))
    outside = frame.filter(~(pl.col("lr").is_in(lrs) & pl.col("method").is_in(chosen)))
    if outside.is_empty():
        return selection
    named = [
        f"{method} at lr {', '.join(learning_rate(lr) for lr in sorted(set(group['lr'].to_list())))}"
        for (method,), group in sorted(outside.group_by("method"), key=lambda item: str(item[0][0]))
    ]
    sentence = (
        f"{counted(outside.height, 'run')} outside the largest complete block of "
        + f"{len(lrs)} learning rates x {len(chosen)} methods: {'; '.join(named)}"
    )
    return Selection(
        frame=block, left_out=(*selection.left_out, sentence), n_dropped=selection.n_dropped + outside.height
    )


def _refuse_text(metrics: Sequence[str]) -> None:
    if isinstance(metrics, str):  # a Sequence[str] to type checkers: each letter would be taken for a metric
        raise StatsError(f"metrics is the text {metrics!r}, not a list of names", hint=f"for example [{metrics!r}]")


def _refuse_other_types(runs: pl.DataFrame, metrics: Sequence[str]) -> None:
    for metric in metrics:
        kind = runs.schema[metric]
        if not (kind.is_numeric() or kind in (pl.Null, pl.Boolean)):
            raise StatsError(
                f"column {metric} of the runs holds {kind}, not numbers", hint="convert it to numbers before you ask"
            )


def _refuse_pooling(done: pl.DataFrame, metrics: Sequence[str]) -> None:
    watched = [*_UNNAMED, *(("transfer_set",) if set(metrics) & set(TRANSFER_METRICS) else ())]
    for column in watched:
        if column not in done.columns:
            continue
        found = sorted(str(v) for v in done[column].drop_nulls().unique().to_list())
        if len(found) > 1:
            option = f"--{column}" if column in ("study", "backbone") else "--study"
            levels = {column: found} | ({} if column == "study" else apart(done))
            raise StatsError(
                f"the selected runs differ in {levels_text(levels)}, which no model names: they are not pooled",
                hint=f"one level of each: {one_of_each(done)}" if column == "backbone" else f"choose one with {option}",
            )


def _refuse_duplicates(usable: pl.DataFrame) -> None:
    twice = usable.group_by(FACTORS).len().filter(pl.col("len") > 1).sort(FACTORS)
    if twice.is_empty():
        return
    dataset, method, lr, seed, n = twice.row(0)
    own = varying(usable.join(twice, on=FACTORS, how="semi"))
    if own:
        raise StatsError(
            f"{twice.height} combinations of dataset, method, lr and seed have several runs "
            f"(first: {n} of {dataset}, {method}, lr {learning_rate(lr)}, seed {seed}): they differ in "
            f"{levels_text(own)}, which this question does not name, and are not pooled",
            hint=f"heatdrift stats factors names them; or choose one of each: {one_of_each(usable)}",
        )
    raise StatsError(
        f"{twice.height} combinations of dataset, method, lr and seed have several runs "
        f"(first: {n} of {dataset}, {method}, lr {learning_rate(lr)}, seed {seed}): "
        "they are of different recipes and not pooled",
        hint="give each recipe a study of its own and choose one with --study",
    )


def check_level(conf_level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0.0 < conf_level < 1.0:
        raise StatsError(f"the confidence level must lie between 0 and 1, got {conf_level:g}", hint="for example 0.95")


def check_seed(seed: int) -> None:
    """Refuse a seed of random numbers below 0."""
    if seed < 0:
        raise StatsError(f"the seed of random numbers must be 0 or more, got {seed}", hint="for example 0")


def codes(frame: pl.DataFrame, *columns: str) -> npt.NDArray[np.intp]:
    """0-based code of each row's combination of `columns`, in ascending order."""
    ranks = frame.select(pl.struct(*columns).rank("dense").alias("code"))["code"].to_numpy()
    return np.asarray(ranks - 1, dtype=np.intp)


def shown_dataset(name: str, datasets: Sequence[str]) -> str | None:
    """Data set as it is in JSON: None where there is one only."""
    return name if len(datasets) > 1 else None
