"""Which method and learning rate to choose on each data set, what it costs, and what more seeds would settle.

Validation accuracy alone chooses: inside each seed the learning rate of every method, and by the mean over seeds the
method. The test split then says what the choice is worth, and how surely it is better than the next method, with Holm's
adjustment over data sets, one decision each. What keeps most zero-shot accuracy among the runs that validate about as
well is described next to it: it was picked by the retention that it shows, so expect a little less of it.
"""

from collections.abc import Sequence
from math import isfinite, isnan, nan, sqrt
from typing import Final

import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import VALIDATION
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.best.result import BestRow, ChoiceRow
from heatdrift.questions.outcomes import Comparison, DecisionRow, KeptMost
from heatdrift.stats.detectable import seeds_needed
from heatdrift.stats.equivalence import adjusted_pairs, margin_test
from heatdrift.stats.intervals import mean_interval
from heatdrift.stats.multiplicity import holm

USUAL_MARGIN: Final = 2.0  # points of accuracy; a study says its own: [questions] margin
RETENTION: Final = "retention_pct"
CHANCE: Final = "chance_pct"  # of the transfer set
BASE: Final = "zero_shot_base_pct"


def decisions(
    runs: pl.DataFrame,
    picked: pl.DataFrame,
    choices: Sequence[ChoiceRow],
    rows: Sequence[BestRow],
    *,
    metric: str,
    margin: float | None,
    level: float,
) -> tuple[DecisionRow, ...]:
    """Return one decision per data set, in the order of `choices`.

    Parameters
    ----------
    runs : rows of the view ``runs``, of which the finished ones count.
    picked : the run that validation chose in every data set, method and seed (dataset, method, lr, seed, val_acc_pct).
    choices, rows : of all methods, and of all pairs of them; those about `metric`, the accuracy, are read.
    margin : difference in points that does not matter, > 0; None = USUAL_MARGIN.
    """
    size = USUAL_MARGIN if margin is None else margin
    key = ["dataset", "method", "lr", "seed"]
    columns = [c for c in (VALIDATION, metric, RETENTION, "zero_shot_pct", CHANCE, BASE) if c in runs.columns]
    done = runs.filter(pl.col("status") == "done").with_columns(pl.col("lr").cast(pl.Float64))
    done = done.select(*key, *(pl.col(c).cast(pl.Float64) for c in dict.fromkeys(columns)))
    chosen = picked.select(key).join(done, on=key, how="left")
    found = []
    for dataset in chosen["dataset"].unique().sort().to_list():
        own = [c for c in choices if c.metric == metric and (c.dataset or dataset) == dataset]
        ranked = _by_validation(chosen.filter(pl.col("dataset") == dataset), own)
        if ranked:
            here = done.filter(pl.col("dataset") == dataset)
            found.append(_decision(here, chosen, ranked, rows, metric, size, level))
    return _with_verdicts(found, size)


def _by_validation(chosen: pl.DataFrame, choices: Sequence[ChoiceRow]) -> list[ChoiceRow]:
    """Order methods by their mean validation accuracy at what each seed chose; of equal ones by name."""
    means = {
        str(method): float(mean) for method, mean in chosen.group_by("method").agg(pl.mean(VALIDATION)).iter_rows()
    }
    return sorted((c for c in choices if c.method in means), key=lambda c: (-means[c.method], c.method))


def _decision(
    here: pl.DataFrame,
    chosen: pl.DataFrame,
    ranked: Sequence[ChoiceRow],
    rows: Sequence[BestRow],
    metric: str,
    margin: float,
    level: float,
) -> DecisionRow:
    first = ranked[0]
    dataset = str(here["dataset"][0])
    its = chosen.filter((pl.col("dataset") == dataset) & (pl.col("method") == first.method))
    zero_shot, retention = (_mean(its, name, level) for name in ("zero_shot_pct", RETENTION))
    second = ranked[1] if len(ranked) > 1 else None
    row = DecisionRow(
        dataset=first.dataset, method=first.method, lr=first.lr_by_mean, chosen=first.chosen, n_seeds=first.n_seeds,
        metric=metric, mean=first.mean, ci_low=first.ci_low, ci_high=first.ci_high,
        zero_shot_pct=zero_shot[0], zero_shot_ci_low=zero_shot[1], zero_shot_ci_high=zero_shot[2],
        retention_pct=retention[0], retention_ci_low=retention[1], retention_ci_high=retention[2],
        margin=margin, kept_most=_kept_most(here, metric, margin, level),
        by_method={choice.method: choice.lr_by_mean for choice in ranked},
        zero_shot_chance_pct=_level(its, CHANCE), zero_shot_base_pct=_level(its, BASE),
    )  # fmt: skip
    if second is None:
        return row
    row = replace(row, runner_up=second.method, runner_up_lr=second.lr_by_mean)
    pair = next((r for r in rows if _about(r, metric, first.dataset, {first.method, second.method})), None)
    if pair is None:
        return row
    sign = 1.0 if pair.method_a == first.method else -1.0
    low, high = sorted((sign * pair.ci_low, sign * pair.ci_high)) if isfinite(pair.ci_low) else (nan, nan)
    return replace(
        row, difference=sign * pair.difference, difference_ci_low=low, difference_ci_high=high, se=pair.se, df=pair.df,
        p=pair.p, seeds_to_settle=_seeds_to_settle(pair, margin),
    )  # fmt: skip


def _about(row: BestRow, metric: str, dataset: str | None, methods: set[str]) -> bool:
    return row.metric == metric and row.dataset == dataset and {row.method_a, row.method_b} == methods


def _mean(frame: pl.DataFrame, column: str, level: float) -> tuple[float, float, float]:
    """Return mean and interval over seeds; NaN where a seed has no value: the mean would be that of others."""
    if column not in frame.columns or frame[column].null_count() or frame.is_empty():
        return nan, nan, nan
    values = frame[column].to_numpy()
    return float(values.mean()), *mean_interval(values, level)


def _level(frame: pl.DataFrame, column: str) -> float:
    """Return the mean of a level that all runs share; NaN where one does not say it."""
    return _mean(frame, column, 0.95)[0]


def _kept_most(here: pl.DataFrame, metric: str, margin: float, level: float) -> KeptMost | None:
    """Return the cell with most retention among those whose mean validation accuracy is within `margin` of the best."""
    if RETENTION not in here.columns:
        return None
    known = here.filter(pl.col(VALIDATION).is_finite() & pl.col(metric).is_finite() & pl.col(RETENTION).is_finite())
    cells = known.group_by("method", "lr").agg(pl.mean(VALIDATION), pl.mean(RETENTION), pl.len().alias("n"))
    # a cell of fewer seeds than others is not comparable: one lucky seed would win
    cells = cells.filter(pl.col("n") == pl.col("n").max())
    close = cells.filter(pl.col(VALIDATION) >= pl.col(VALIDATION).max() - margin)
    if close.is_empty():
        return None
    method, lr = close.sort(pl.col(RETENTION).neg(), "lr", "method").select("method", "lr").row(0)
    its = known.filter((pl.col("method") == method) & (pl.col("lr") == lr))
    accuracy, kept = _mean(its, metric, level), _mean(its, RETENTION, level)
    return KeptMost(
        method=method, lr=lr, n_seeds=its.height, n_close=close.height,
        mean=accuracy[0], ci_low=accuracy[1], ci_high=accuracy[2],
        retention_pct=kept[0], retention_ci_low=kept[1], retention_ci_high=kept[2],
    )  # fmt: skip


def _seeds_to_settle(pair: BestRow, margin: float) -> int | None:
    """Return with how many seeds of each method a difference of `margin` is found with 80 % power; None if unknown."""
    n = pair.n_linked or min(pair.n_only_a, pair.n_only_b)
    if not pair.se > 0 or n < 2 or not pair.df > 0:
        return None
    return seeds_needed(pair.se * sqrt(n), margin, df_per_seed=pair.df / (n - 1))


def _with_verdicts(rows: Sequence[DecisionRow], margin: float) -> tuple[DecisionRow, ...]:
    """Adjust over all decisions by Holm and say what each difference is.

    The runner-up is the luckiest of all other methods, in validation and, as runs share their luck, in test: the
    difference is smaller than the truth, so "within the margin" is also adjusted for how many it was chosen of. A
    difference called real suffers nothing from it (docs/calibration_decision.md has both).
    """
    adjusted = holm([row.p for row in rows])
    tests = [margin_test(row.difference, row.se, row.df, -margin, margin, ALPHA) for row in rows]
    low, high = adjusted_pairs([t.p_low for t in tests], [t.p_high for t in tests])
    found = []
    for i, (row, p) in enumerate(zip(rows, adjusted, strict=True)):
        inside = max(low[i], high[i]) * max(len(row.by_method) - 1, 1) < ALPHA
        found.append(replace(row, p_holm=float(p), verdict=_verdict(row, float(p), inside=bool(inside))))
    return tuple(found)


def _verdict(row: DecisionRow, p: float, *, inside: bool) -> Comparison:
    if row.runner_up is None:
        return "no other method"
    if isnan(p):
        return "not tested"
    if p < ALPHA:
        return "real, within the margin" if inside else "real"
    return "equivalent" if inside else "undecided"
