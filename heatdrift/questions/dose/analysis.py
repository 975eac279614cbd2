"""stats dose: trend of a metric over learning rates, in each group (data set x method).

Spearman's rho over runs with an exact permutation of learning rates within seeds; with it the slope per tenfold
learning rate with a seed-level interval, because a rank correlation of a dozen runs has no interval worth printing.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.dose.findings import dose_claims, dose_findings, out_of_reach
from heatdrift.questions.dose.result import DoseResult, DoseRow
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.selection import (
    Selection,
    check_level,
    codes,
    measured_metrics,
    select_runs,
    shown_dataset,
    study_name,
)
from heatdrift.stats.blocked_spearman import seed_trend_p, within_seed_test
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.ranks import spearman, spearman_p
from heatdrift.wording import (
    counted,
)

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "Spearman's rho of metric and learning rate over the runs of a group; p by Student's t (runs as independent), "
    "p_exact by permuting learning rates within seed, two-sided (p_method), Holm over all rows; seed_trend_p: t over "
    "seeds of the correlation within a seed. slope: least "
    "squares on log10(lr) with seeds as fixed effects, seed-level interval (ci_low, ci_high)"
)


@AnyFrames("runs")
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
    metrics : result columns; None = those of ``selection.DEFAULT_METRICS`` that were measured.
    permutations, seed : random arrangements where there are too many to count exactly, and their seed.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; no usable run; no group with two learning rates.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.dose(heatdrift.read_runs("mini"), metrics=["retention_pct"])
    >>> [(row.dataset, row.method, round(row.rho, 2)) for row in answer.rows[:2]]
    [('eurosat', 'full_ft', -0.97), ('eurosat', 'lora_r8', -0.97)]
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
    columns = {metric: shown_column(metric, runs) for metric in chosen}
    known = tuple(sorted(datasets))
    claims = dose_claims(rows, columns, conf_level)
    return DoseResult(
        study=study_name(runs),
        datasets=known,
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        method=_METHOD,
        rows=tuple(replace(row, dataset=shown_dataset(str(row.dataset), known)) for row in rows),
        claims=claims,
        findings=dose_findings(rows, claims, columns),
        notes=out_of_reach(rows),
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
    by_lr = group.group_by("lr").agg(pl.col(metric).mean()).sort("lr")
    means = by_lr[metric].to_numpy()
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
        lrs=tuple(by_lr["lr"].to_list()),
        means=tuple(by_lr[metric].to_list()),
    )


def _slope(lr: Floats, y: Floats, seeds: npt.NDArray[np.intp], level: float) -> tuple[float, float, float]:
    """Change per tenfold learning rate and its seed-level interval; NaN with lr 0 and, for the interval, one seed."""
    if lr.min() <= 0.0:
        return (float("nan"),) * 3
    x = np.column_stack([np.ones_like(lr), np.log10(lr)])
    test = cluster_contrast(WithinClusters(x, seeds), np.array([[0.0, 1.0]])).t_tests(y)
    low, high = test.interval(level)
    return float(test.estimate), float(low), float(high)


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the trends of the usual metrics."""
    yield "trend over learning rates", partial(dose, study.runs, conf_level=study.conf_level)
