"""stats dose: trend of a metric over learning rates, in each group (data set x method).

Spearman's rho over runs with an exact permutation of learning rates within seeds; beside it the slope per tenfold
learning rate with a seed-level interval, because a rank correlation of a dozen runs has no interval worth printing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.errors import StatsError
from heatdrift.metrics import Column, run_column
from heatdrift.questions.caveats import run_caveats, shown_column
from heatdrift.questions.choice import ALPHA, check_level, codes, measured_metrics, shown_dataset
from heatdrift.questions.claims import ranked
from heatdrift.questions.dose.result import DoseResult, DoseRow
from heatdrift.questions.selection import Selection, select_runs, study_name
from heatdrift.stats.blocked_spearman import seed_trend_p, spearman, spearman_p, within_seed_test
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import (
    capital,
    counted,
    difference_interval,
    difference_unit,
    family_text,
    method_title,
    number,
    p_text,
    signed,
    with_unit,
)

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "Spearman's rho of metric and learning rate over the runs of a group; p by Student's t (runs as independent), "
    "p_exact by permuting learning rates within seed, two-sided (p_method), Holm over all rows; seed_trend_p: t over "
    "seeds of the correlation within a seed. slope: least "
    "squares on log10(lr) with seeds as fixed effects, seed-level interval (ci_low, ci_high)"
)


def dose(
    runs: pl.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    permutations: int = 99_999,
    seed: int = 0,
    conf_level: float = 0.95,
) -> DoseResult:
    """Test the trend over learning rates of each metric within each group.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    metrics : result columns; None = those of ``choice.DEFAULT_METRICS`` that were measured.
    permutations, seed : random arrangements where there are too many to count exactly, and their seed.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; no usable run; no group with two learning rates.
    """
    check_level(conf_level)
    if permutations < 1:
        raise StatsError(f"permutations ({permutations}) must be at least 1", hint="for example 99999")
    chosen, left_out = measured_metrics(runs, metrics)
    sentences = list(left_out)
    rows: list[DoseRow] = []
    used, datasets = 0, set[str]()
    for metric in chosen:
        selection = select_runs(runs, [metric])
        sentences += selection.left_out
        names = [str(d) for d in selection.levels("dataset")]
        for dataset, method in _groups(selection, names):
            group = selection.frame.filter((pl.col("dataset") == dataset) & (pl.col("method") == method))
            if group["lr"].n_unique() < 2:
                sentences.append(f"{counted(group.height, 'run')} of {dataset}/{method}: one learning rate only")
                continue
            row = _row(group, metric, conf_level, permutations, seed)
            rows.append(replace(row, dataset=dataset, method=method))
            datasets.add(dataset)
        used = max(used, sum(r.n for r in rows if r.metric == metric))
    if not rows:
        raise StatsError("no group has runs at two learning rates, so there is no trend", hint="train more --lr values")
    adjusted = holm([r.p_exact for r in rows])
    rows = [replace(row, p_exact_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]
    # The permutation also rejects when only the variance grows with the learning rate, and not the mean
    # (docs/calibration_commands.md): a finding needs seeds that agree on the trend, too (NaN: cannot be asked).
    family = _family([row for row in rows if not np.isnan(row.p_exact)])
    supported = [row for row in rows if row.p_exact_holm < ALPHA and not row.seed_trend_p >= ALPHA]
    titles = {metric: shown_column(metric, runs).title for metric in chosen}
    findings = ranked(
        [
            (
                (row.p_exact_holm, -abs(row.rho)),
                _sentence(row, shown_column(row.metric, runs), family, conf_level),
            )
            for row in supported
        ],
        _summary(supported, rows, titles),
    )
    findings += _out_of_reach(rows)
    known = tuple(sorted(datasets))
    return DoseResult(
        study=study_name(runs),
        datasets=known,
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        method=_METHOD,
        rows=tuple(replace(row, dataset=shown_dataset(str(row.dataset), known)) for row in rows),
        findings=tuple(findings),
        left_out=tuple(dict.fromkeys(sentences)),
        caveats=run_caveats(runs, chosen),
    )


def _groups(selection: Selection, datasets: list[str]) -> list[tuple[str, str]]:
    present = set(selection.frame.select("dataset", "method").unique().iter_rows())
    return [(d, str(m)) for d in datasets for m in selection.levels("method") if (d, m) in present]


def _row(group: pl.DataFrame, metric: str, level: float, permutations: int, seed: int) -> DoseRow:
    """Row of one group, its names and Holm value still open."""
    lr, y = group["lr"].to_numpy(), group[metric].to_numpy()
    seeds = codes(group, "seed")
    rho = spearman(lr, y)
    trend = within_seed_test(lr, y, seeds, draws=permutations, seed=seed)
    slope, low, high = _slope(lr, y, seeds, level)
    means = group.group_by("lr").agg(pl.col(metric).mean()).sort("lr")[metric].to_numpy()
    steps = np.diff(means)
    return DoseRow(
        dataset=None,
        method="",
        metric=metric,
        unit=run_column(metric).unit,
        n=y.size,
        n_lrs=means.size,
        n_seeds=int(seeds.max()) + 1,
        rho=rho,
        p=spearman_p(rho, y.size),
        p_exact=trend.p,
        p_exact_holm=float("nan"),
        p_method=trend.how,
        p_smallest=trend.smallest,
        slope=slope,
        ci_low=low,
        ci_high=high,
        monotone=bool(np.all(steps > 0) or np.all(steps < 0)),
        seed_trend_p=seed_trend_p(lr, y, seeds),
    )


def _slope(lr: Floats, y: Floats, seeds: npt.NDArray[np.intp], level: float) -> tuple[float, float, float]:
    """Change per tenfold learning rate and its seed-level interval; NaN with lr 0 and, for the interval, one seed."""
    if lr.min() <= 0.0:
        return (float("nan"),) * 3
    x = np.column_stack([np.ones_like(lr), np.log10(lr)])
    test = cluster_contrast(WithinClusters(x, seeds), np.array([[0.0, 1.0]])).t_tests(y)
    low, high = test.interval(level)
    return float(test.estimate), float(low), float(high)


def _out_of_reach(rows: list[DoseRow]) -> list[str]:
    """Say so when no data of this shape could be significant: silence would read as 'no trend'."""
    smallest = min((row.p_smallest for row in rows if not np.isnan(row.p_smallest)), default=float("nan"))
    tested = sum(not np.isnan(row.p_exact) for row in rows)
    if not smallest * tested >= ALPHA:
        return []
    per_metric = min(Counter(row.metric for row in rows if not np.isnan(row.p_exact)).values())
    one_metric_helps = smallest * per_metric < ALPHA
    return [
        f"No trend can be supported here, whatever the data: so few learning rates and seeds allow no exact p below "
        f"{number(smallest)}, and Holm over {counted(tested, 'test')} makes that "
        f"{number(min(smallest * tested, 1.0))}. "
        + ("Ask about one metric with --metric, or train more seeds." if one_metric_helps else "Train more seeds.")
    ]


def _summary(supported: Sequence[DoseRow], rows: Sequence[DoseRow], titles: Mapping[str, str]) -> str:
    """How many trends of how many groups, by metric and direction."""
    parts = []
    for metric in dict.fromkeys(row.metric for row in rows):
        here = [row for row in supported if row.metric == metric]
        up = sum(row.rho > 0 for row in here)
        groups = counted(sum(row.metric == metric for row in rows), "group")
        parts.append(f"{titles[metric]} rises in {up} and falls in {len(here) - up} of {groups}")
    return (
        f"{len(supported)} of {counted(len(rows), 'trend')} over the learning rate are supported (permutation within "
        f"seeds, Holm over {counted(len(rows), 'row')}, and over seeds): {'; '.join(parts)}."
    )


def _family(tested: list[DoseRow]) -> str:
    """Words for what Holm's adjustment runs over; none for a single test."""
    levels: dict[str, list[str | None]] = {
        "metric": [row.metric for row in tested],
        "data set": [row.dataset for row in tested],
        "method": [row.method for row in tested],
    }
    return f", Holm over {family_text(len(tested), levels)}" if len(tested) > 1 else ""


def _sentence(row: DoseRow, column: Column, family: str, level: float) -> str:
    unit = difference_unit(row.unit)
    slope = (
        f"; {with_unit(signed(row.slope), unit)} per tenfold, seed-level "
        f"{difference_interval(level, row.ci_low, row.ci_high)}"
        if not np.isnan(row.ci_low)
        else ""
    )
    return (
        f"{capital(column.title)} {'rises' if row.rho > 0 else 'falls'} with the learning rate on {row.dataset} with "
        f"{method_title(row.method)}: Spearman ρ = {number(row.rho)} over {counted(row.n, 'run')} "
        f"({row.n_lrs} learning rates x {counted(row.n_seeds, 'seed')}; permutation within seeds {p_text(row.p_exact)}"
        + (f"{family} {p_text(row.p_exact_holm)}" if family else "")
        + ("" if np.isnan(row.seed_trend_p) else f", over seeds {p_text(row.seed_trend_p)}")
        + f"{slope})."
        + ("" if row.monotone else " The means are not monotone: look at the curve before calling it a trend.")
    )
