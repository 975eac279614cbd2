"""stats power: the smallest difference of two methods that S seeds can find at the seed level, from the study's own SD.

Planning, not a verdict: the power of an effect already observed says no more than its p. The seed-level test is a
one-sample t on S per-seed differences, so its power is the noncentral t's with noncentrality effect x sqrt(S) / SD. The
SD comes from the seeds at hand; with three of them it is known to within a factor of twelve, and that is printed.
"""

from typing import Final

import numpy as np
import polars as pl
from scipy import optimize, special

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.pairs import PAIR, check_pair, method_pairs, seed_level_difference, unpaired
from heatdrift.questions.power.findings import power_findings
from heatdrift.questions.power.result import PowerResult, PowerRow
from heatdrift.questions.selection import check_level, select_runs, shown_dataset, study_name
from heatdrift.stats.distributions import t_quantile
from heatdrift.stats.intervals import sd_interval
from heatdrift.wording import counted, difference_unit

TARGET: Final = 0.8
_OTHER_TAIL: Final = 5.0  # noncentrality from which on the other tail is below 3e-7
OTHER_SEEDS: Final = (3, 5, 8, 10, 15, 20)
_METHOD: Final = (
    "two-sided seed-level t test of {a} - {b} at {alpha:g}, df = S - 1, power {power:g} by the noncentral t. sd: "
    "between "
    "seeds, of the difference averaged over lr and data set (lr null) or at one lr (Holm not counted), from the "
    "runs at hand; sd_ci: chi-square; ci_low, ci_high: detectable effect at its ends"
)


def power(
    runs: pl.DataFrame,
    *,
    metric: str,
    seeds: int,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    alpha: float = ALPHA,
    target: float = TARGET,
    conf_level: float = 0.95,
) -> PowerResult:
    """Compute the smallest detectable difference with `seeds` seeds, and with some other numbers.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. metric : result column.
    seeds : planned number of seeds, at least 2. alpha, target : level and power of the test, in (0, 1).

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric or method; no usable run; fewer than two seeds, planned or at hand; no variation between seeds.
    """
    check_level(conf_level)
    column = shown_column(metric, runs)
    if seeds < 2 or not 0.0 < alpha < target < 1.0:
        raise StatsError(
            f"a seed-level test needs at least 2 seeds ({seeds} asked) and 0 < alpha ({alpha:g}) < power "
            f"({target:g}) < 1",
            hint="for example --seeds 5",
        )
    selection = select_runs(runs, [metric])
    check_pair(selection.frame, method_a, method_b)
    pairs = method_pairs(selection.frame, metric, method_a, method_b)
    n_seeds = int(pairs["seed"].n_unique())
    if n_seeds < 2:
        raise StatsError(
            f"{counted(n_seeds, 'seed')} with both {method_a} and {method_b}: the spread between seeds is unknown",
            hint="train more seeds of the study: heatdrift train --all",
        )
    datasets = tuple(sorted({str(d) for d in pairs["dataset"].to_list()}))
    planned = sorted({seeds, *OTHER_SEEDS})
    rows: list[PowerRow] = []
    for dataset, lr, part in _places(pairs, datasets):
        test, _ = seed_level_difference(part)
        if test is None or np.isnan(test.se):
            continue
        sd = float(test.se) * float(np.sqrt(test.n_clusters))
        rows += [_row(dataset, lr, s, sd, test.df, alpha, target, conf_level) for s in planned]
    if not rows:
        raise StatsError(
            f"{metric} does not vary between seeds, so any effect is 'detectable'", hint="choose another --metric"
        )
    used = 2 * pairs.height
    return PowerResult(
        study=study_name(runs),
        metric=metric,
        unit=difference_unit(column.unit),
        method_a=method_a,
        method_b=method_b,
        datasets=datasets,
        seeds=seeds,
        seeds_observed=n_seeds,
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        alpha=alpha,
        power=target,
        method=_METHOD.format(a=method_a, b=method_b, alpha=alpha, power=target),
        rows=tuple(rows),
        findings=power_findings(rows, column, datasets, method_a, method_b, seeds, n_seeds, conf_level, target),
        left_out=(*selection.left_out, *unpaired(selection.frame, pairs, metric, method_a, method_b)),
        caveats=run_caveats(runs, [metric]),
    )


def detectable_effect(sd: float, seeds: int, *, alpha: float = ALPHA, target: float = TARGET) -> float:
    """Smallest |effect| that a two-sided one-sample t test on `seeds` values of SD `sd` finds with power `target`.

    >>> round(detectable_effect(1.0, 5), 3)
    1.683
    """
    df = seeds - 1
    critical = t_quantile(1.0 - alpha, df)

    def missing(noncentrality: float) -> float:
        upper = 1.0 - special.nctdtr(df, noncentrality, critical)
        # the other tail is below Phi(-noncentrality), and scipy returns NaN for some values that small
        lower = special.nctdtr(df, noncentrality, -critical) if noncentrality < _OTHER_TAIL else 0.0
        return float(upper + lower - target)

    high = 1.0
    while missing(high) < 0.0:
        high *= 2.0
    return sd * float(optimize.brentq(missing, 0.0, high, xtol=1e-12)) / float(np.sqrt(seeds))


def _places(pairs: pl.DataFrame, datasets: tuple[str, ...]) -> list[tuple[str | None, float | None, pl.DataFrame]]:
    """All pairs, then each data set where there are several, then each learning rate within data set."""
    places: list[tuple[str | None, float | None, pl.DataFrame]] = [(None, None, pairs)]
    for dataset in datasets:
        here = pairs.filter(pl.col("dataset") == dataset)
        shown = shown_dataset(dataset, datasets)
        if shown is not None:
            places.append((shown, None, here))
        lrs = sorted(set(here["lr"].to_list()))
        if len(lrs) > 1:
            places += [(shown, lr, here.filter(pl.col("lr") == lr)) for lr in lrs]
    return places


def _row(
    dataset: str | None, lr: float | None, seeds: int, sd: float, df: float, alpha: float, target: float, level: float
) -> PowerRow:
    per_sd = detectable_effect(1.0, seeds, alpha=alpha, target=target)
    low, high = sd_interval(sd, df, level)
    return PowerRow(
        dataset=dataset,
        lr=lr,
        n_seeds=seeds,
        detectable=per_sd * sd,
        ci_low=per_sd * low,
        ci_high=per_sd * high,
        sd=sd,
        sd_ci_low=low,
        sd_ci_high=high,
        sd_df=df,
    )
