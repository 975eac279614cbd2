"""stats paired: one method minus another over runs that agree in data set, learning rate and seed.

Two tests side by side. Over pairs, as studies publish it: every pair counts as independent evidence, although the
pairs of one seed share it. At the seed level: each seed's mean difference is one observation. Findings follow the seed
level; where the two disagree at 5 %, a sentence says so.
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
from heatdrift.questions.paired.findings import PairedFindings
from heatdrift.questions.paired.result import PairedResult, PairedRow
from heatdrift.questions.pairs import PAIR, check_pair, method_pairs, seed_level_difference, unpaired
from heatdrift.questions.selection import check_level, measured_metrics, select_runs, study_name
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import (
    counted,
    difference_unit,
)

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "differences {a} - {b} over runs of identical data set, lr and seed. t, dz and Wilcoxon treat pairs as "
    "independent, as published (t_p_holm: Holm over all rows). seed_t: seed-level, every (data set, lr) with equal "
    "weight, spread over seeds, CR2 and Satterthwaite df (in balanced data a one-sample t on per-seed means, df = S "
    "- 1); its interval is ci_low, ci_high; seed_p_holm: Holm over all rows"
)


def paired(
    runs: pl.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    conf_level: float = 0.95,
) -> PairedResult:
    """Compare two methods on identical (dataset, lr, seed), per data set and over all.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    metrics : result columns; None = those of ``selection.DEFAULT_METRICS`` that were measured.
    method_a, method_b : differences are a - b.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric or method; no usable run; no pair of any metric.
    """
    check_level(conf_level)
    chosen, left_out = measured_metrics(runs, metrics)
    rows: list[PairedRow] = []
    sentences: list[str] = list(left_out)
    used = 0
    datasets: set[str] = set()
    for metric in chosen:
        selection = select_runs(runs, [metric])
        check_pair(selection.frame, method_a, method_b)
        wide = method_pairs(selection.frame, metric, method_a, method_b)
        sentences += [*selection.left_out, *unpaired(selection.frame, wide, metric, method_a, method_b)]
        if wide.is_empty():
            raise StatsError(
                f"no run of {method_a} with {metric} has a partner of {method_b} at the same data set, lr and seed",
                hint="train the missing cells: heatdrift status",
            )
        found = sorted(set(wide["dataset"].to_list()))
        datasets |= set(found)
        used = max(used, 2 * wide.height)
        places = [*(found if len(found) > 1 else ()), None]
        for place in places:
            part = wide if place is None else wide.filter(pl.col("dataset") == place)
            available = runs if place is None else runs.filter(pl.col("dataset") == place)
            row, single = _row(part, metric, place, (method_a, method_b), conf_level, available.height)
            rows.append(row)
            if place is None and single:
                sentences.append(single)
    rows = _adjusted(rows)
    return PairedResult(
        study=study_name(runs),
        method_a=method_a,
        method_b=method_b,
        datasets=tuple(sorted(datasets)),
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        method=_METHOD.format(a=method_a, b=method_b),
        rows=tuple(rows),
        findings=PairedFindings(
            method_a,
            method_b,
            tuple(sorted(datasets)),
            conf_level,
            {metric: shown_column(metric, runs).title for metric in chosen},
        ).of(rows),
        left_out=tuple(dict.fromkeys(sentences)),
        caveats=run_caveats(runs, chosen),
    )


def _row(
    part: pl.DataFrame, metric: str, dataset: str | None, methods: tuple[str, str], level: float, n_available: int
) -> tuple[PairedRow, str]:
    """One row without its Holm values, and a sentence about cells that the seed-level test had to leave out."""
    d = part["d"].to_numpy()
    mean_a, mean_b = float(part["a"].to_numpy().mean()), float(part["b"].to_numpy().mean())
    n = d.size
    sd = float(d.std(ddof=1)) if n > 1 else float("nan")
    sd = sd if sd > 1e-12 * float(np.abs(d).max(initial=0.0)) else float("nan")
    difference = float(d.mean())
    t = difference / sd * float(np.sqrt(n))
    published = dict(zip(methods, (mean_a, mean_b), strict=True)) if set(methods) == set(PAIR) else {}
    nan = float("nan")
    test, alone = seed_level_difference(part)
    by_cell = part.group_by("dataset", "lr").agg(pl.col("d").mean())["d"].to_numpy()
    low, high = test.interval(level) if test else (nan, nan)
    note = (
        f"{counted(alone, 'pair')} of {metric} alone at its data set and lr: not in the seed-level test"
        if alone
        else ""
    )
    if test is None:
        note = f"{metric}: no data set and lr has pairs of two seeds, so there is no seed-level test"
    row = PairedRow(
        dataset=dataset,
        metric=metric,
        unit=difference_unit(run_column(metric).unit),
        n=n,
        n_dropped=n_available - 2 * n,
        mean_full_ft=published.get("full_ft"),
        mean_lora_r8=published.get("lora_r8"),
        mean_a=mean_a,
        mean_b=mean_b,
        difference=difference,
        dz=difference / sd,
        t=t,
        t_p=t_p_value(t, n - 1),
        t_p_holm=nan,
        wilcoxon_p=_wilcoxon_p(d),
        seed_difference=float(test.estimate) if test else nan,
        seed_t=float(test.t) if test else nan,
        seed_df=test.df if test else nan,
        seed_p=float(test.p) if test else nan,
        seed_p_holm=nan,
        n_seeds=test.n_clusters if test else int(part["seed"].n_unique()),
        ci_low=float(low),
        ci_high=float(high),
        same_sign=bool(np.all(by_cell > 0) or np.all(by_cell < 0)),
    )
    return row, note


def _wilcoxon_p(d: Floats) -> float:
    """Two-sided signed-rank p by scipy's own choice of null (exact for small n without ties); NaN if all are 0."""
    from scipy import stats  # 0.4 s to import: only this command pays

    if d.size < 2 or not np.any(d):
        return float("nan")
    return float(stats.wilcoxon(d).pvalue)


def _adjusted(rows: list[PairedRow]) -> list[PairedRow]:
    published, seed = holm([r.t_p for r in rows]), holm([r.seed_p for r in rows])
    return [
        replace(row, t_p_holm=float(a), seed_p_holm=float(b)) for row, a, b in zip(rows, published, seed, strict=True)
    ]


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the comparison of the usual two methods in the usual metrics."""
    yield "paired comparison", partial(paired, study.runs, conf_level=study.conf_level)
