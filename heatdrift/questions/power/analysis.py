"""stats power: the smallest difference of two methods that S seeds can find at the seed level, from the study's own SD.

Planning, not a verdict: the power of an effect already observed says no more than its p. With shared seeds the test is
a one-sample t on S per-seed differences, so its power is the noncentral t's with noncentrality effect x sqrt(S) / SD;
with seeds of each method's own it is Welch's on S seeds of each. The SD comes from the seeds at hand; with three of
them it is known to within a factor of twelve, and that is printed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.pairs import (
    PAIR,
    SeedDifference,
    check_pair,
    common_cells,
    seed_caveats,
    seed_level_difference,
    unused_runs,
    without_spread,
)
from heatdrift.questions.power.findings import PowerWords
from heatdrift.questions.power.result import NeededRow, PowerResult, PowerRow
from heatdrift.questions.selection import check_level, select_runs, shown_dataset, study_name
from heatdrift.stats.detectable import TARGET, detectable_effect, seeds_needed
from heatdrift.stats.intervals import sd_interval
from heatdrift.wording import counted, difference_unit

OTHER_SEEDS: Final = (3, 5, 8, 10, 15, 20)
_METHOD: Final = (
    "two-sided seed-level t test of {a} - {b} at {alpha:g}, power {power:g} by the noncentral t, {df}. sd: between "
    "seeds, of the difference averaged over lr and data set (lr null) or at one lr (Holm not counted), from the "
    "runs at hand; sd_ci: chi-square; ci_low, ci_high: detectable effect at its ends"
)
_SHARED: Final = "df = S - 1"
_APART: Final = "S seeds of each method, df of Welch's test; sd: of the difference of two independent seeds"
_OWN: Final = "S runs of each method at each data set and lr, each of a seed of its own"


@AnyFrames("runs")
def power(
    runs: pl.DataFrame,
    *,
    metric: str,
    seeds: int,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    alpha: float = ALPHA,
    target: float = TARGET,
    difference: float | None = None,
    conf_level: float = 0.95,
) -> PowerResult:
    """Compute the smallest detectable difference with `seeds` seeds and with some other numbers; or seeds for one.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. metric : result column.
    seeds : planned number of seeds, at least 2. alpha, target : level and power of the test, in (0, 1).
    difference : the seeds that are needed to find it are in `needed`; not 0, the sign does not matter.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric or method; no usable run; fewer than two seeds, planned or at hand; no variation between seeds.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.power(heatdrift.read_runs("mini"), metric="retention_pct", seeds=5)
    >>> [round(row.detectable, 2) for row in answer.rows if row.lr is row.dataset is None and row.n_seeds == 5]
    [2.96]
    """
    check_level(conf_level)
    column = shown_column(metric, runs)
    if seeds < 2 or not 0.0 < alpha < target < 1.0:
        raise StatsError(
            f"a seed-level test needs at least 2 seeds ({seeds} asked) and 0 < alpha ({alpha:g}) < power "
            f"({target:g}) < 1",
            hint="for example --seeds 5",
        )
    if difference is not None and not 0.0 < abs(difference) < float("inf"):
        raise StatsError(f"no number of seeds finds a difference of {difference:g}", hint="for example --difference 2")
    selection = select_runs(runs, [metric])
    check_pair(selection.frame, method_a, method_b)
    common = common_cells(selection.frame, method_a, method_b)
    if common.is_empty():
        raise StatsError(
            f"{method_a} and {method_b} share no data set and learning rate at which both have {metric}",
            hint="heatdrift stats best compares each method at its own best learning rate",
        )
    datasets = tuple(sorted({str(d) for d in common["dataset"].to_list()}))
    overall = seed_level_difference(selection.frame, metric, method_a, method_b)
    if overall is None:
        n_seeds = int(common["seed"].n_unique())
        raise StatsError(
            f"{counted(n_seeds, 'seed')} with both {method_a} and {method_b}: the spread between seeds is unknown",
            hint="more seeds: heatdrift train --all, or of models trained elsewhere heatdrift measure --label seed=1",
        )
    planned = sorted({seeds, *OTHER_SEEDS})
    rows: list[PowerRow] = []
    needed: list[NeededRow] = []
    plan = Plan(alpha=alpha, target=target, level=conf_level)
    for dataset, lr, part in _places(common, datasets):
        test = seed_level_difference(part, metric, method_a, method_b)
        if test is None or np.isnan(test.se) or test.n_per_cell < 2:
            continue
        rows += [plan.row(dataset, lr, s, test) for s in planned]
        if difference is not None:
            needed.append(plan.needed(dataset, lr, abs(difference), test))
    if not rows:
        raise StatsError(
            f"{metric} does not vary between seeds, so any effect is 'detectable'", hint="choose another --metric"
        )
    words = PowerWords(column, datasets, method_a, method_b, conf_level, target)
    return PowerResult(
        study=study_name(runs),
        metric=metric,
        unit=difference_unit(column.unit),
        method_a=method_a,
        method_b=method_b,
        datasets=datasets,
        seeds=seeds,
        seeds_observed=overall.n_seeds if overall.how == "pairs" else min(overall.n_seeds_a, overall.n_seeds_b),
        seed_test=overall.how,
        n_runs=overall.n_runs,
        n_dropped=runs.height - overall.n_runs,
        conf_level=conf_level,
        alpha=alpha,
        power=target,
        difference=difference,
        method="; ".join(
            [_METHOD.format(a=method_a, b=method_b, alpha=alpha, power=target, df=_df(overall)), overall.reason]
        ),
        rows=tuple(rows),
        needed=tuple(needed),
        findings=words.plan(rows, seeds, overall) + words.needed(needed),
        descriptions=words.undecided(overall, alpha),
        left_out=(
            *selection.left_out,
            *unused_runs(selection.frame, metric, overall, method_a, method_b),
            *without_spread(metric, overall),
        ),
        caveats=(*run_caveats(runs, [metric]), *seed_caveats([overall])),
    )


def _df(test: SeedDifference) -> str:
    return _SHARED if test.how == "pairs" else _OWN if test.own_seed_each else _APART


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Level and power of a planned test, and the level of intervals."""

    alpha: float
    target: float
    level: float

    def row(self, dataset: str | None, lr: float | None, seeds: int, test: SeedDifference) -> PowerRow:
        """Return what `seeds` seeds find if the SD is that of `test`."""
        per_sd = detectable_effect(1.0, seeds, alpha=self.alpha, target=self.target, df_per_seed=_df_per_seed(test))
        low, high = sd_interval(test.sd, test.df, self.level)
        return PowerRow(
            dataset=dataset,
            lr=lr,
            n_seeds=seeds,
            detectable=per_sd * test.sd,
            ci_low=per_sd * low,
            ci_high=per_sd * high,
            sd=test.sd,
            sd_ci_low=low,
            sd_ci_high=high,
            sd_df=test.df,
        )

    def needed(self, dataset: str | None, lr: float | None, difference: float, test: SeedDifference) -> NeededRow:
        """Return how many seeds find `difference`, at the SD and at the ends of its interval."""
        sds = (test.sd, *sd_interval(test.sd, test.df, self.level))
        found = [
            seeds_needed(sd, difference, alpha=self.alpha, target=self.target, df_per_seed=_df_per_seed(test))
            for sd in sds
        ]
        return NeededRow(
            dataset=dataset,
            lr=lr,
            difference=difference,
            n_seeds=found[0],
            n_seeds_low=found[1],
            n_seeds_high=found[2],
            sd=sds[0],
            sd_ci_low=sds[1],
            sd_ci_high=sds[2],
        )


def _df_per_seed(test: SeedDifference) -> float:
    """Df of the test by (seeds - 1): 1 for pairs; else as they are with the seeds at hand."""
    return 1.0 if test.how == "pairs" else test.df / (test.n_per_cell - 1.0)


def _places(common: pl.DataFrame, datasets: tuple[str, ...]) -> list[tuple[str | None, float | None, pl.DataFrame]]:
    """All runs, then each data set where there are several, then each learning rate within data set."""
    places: list[tuple[str | None, float | None, pl.DataFrame]] = [(None, None, common)]
    for dataset in datasets:
        here = common.filter(pl.col("dataset") == dataset)
        shown = shown_dataset(dataset, datasets)
        if shown is not None:
            places.append((shown, None, here))
        lrs = sorted(set(here["lr"].to_list()))
        if len(lrs) > 1:
            places += [(shown, lr, here.filter(pl.col("lr") == lr)) for lr in lrs]
    return places
