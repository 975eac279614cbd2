"""stats best: each method at its own best learning rate, chosen by validation accuracy inside each seed.

At one shared learning rate a method may look worse only because another rate suits it. Choosing each method's rate on
the mean over seeds and then comparing at it would leave the choice out of the error; here every seed chooses by its own
validation accuracy, so a seed's value is what one whole search gives, and the spread over seeds holds the search.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import ACCURACIES, VALIDATION, accuracy_metric, shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.best.decision import decisions
from heatdrift.questions.best.findings import best_claims, best_findings
from heatdrift.questions.best.result import BestResult, BestRow, ChoiceRow
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.outcomes import DecisionRow
from heatdrift.questions.page_choices import asked_metrics
from heatdrift.questions.selection import Selection, check_level, codes, select_runs, shown_dataset, study_name
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.equivalence import check_margin
from heatdrift.stats.intervals import mean_interval
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.two_samples import sample_difference
from heatdrift.wording import counted, difference_unit, learning_rate, method_title

RETENTION: Final = "retention_pct"
_METHOD: Final = (
    "in each seed, of each data set and method the run with the highest {validation} (of equal ones the lowest lr). "
    "Differences method_a - method_b of these runs, every data set with equal weight where dataset is null: seeds of "
    "both methods are pairs, others independent (Welch), CR2 and Satterthwaite df; with one data set and shared seeds "
    "a one-sample t on per-seed differences. p_holm: Holm over all rows"
)


@AnyFrames("runs")
def best(
    runs: pl.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    margin: float | None = None,
    conf_level: float = 0.95,
) -> BestResult:
    """Compare methods, each at the learning rate that validation chooses for it in the seed.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. Methods need share no seed and no lr.
    metrics : result columns; None = the accuracy that these runs have, and retention where it was measured.
    margin : difference in accuracy, in points, that does not matter, > 0; None = 2 (``decision.py``).

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; no usable run; a single method; no validation accuracy; a margin that is not positive.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.best(heatdrift.read_runs("mini"), metrics=["test_acc_pct"])
    >>> answer.to_frame()["difference"].round(2).to_list()  # on eurosat, on pets, over both
    [3.06, 2.24, 2.65]
    """
    check_level(conf_level)
    if margin is not None:
        check_margin(-margin, margin)
    chosen, notes = _metrics(runs, metrics)
    choices: list[ChoiceRow] = []
    rows: list[BestRow] = []
    made: tuple[DecisionRow, ...] = ()
    left_out, used, datasets = list(notes), 0, set[str]()
    for metric in chosen:
        selection = select_runs(runs, list(dict.fromkeys((VALIDATION, metric))))
        left_out += selection.left_out
        used = max(used, selection.frame.height)
        names = tuple(str(d) for d in selection.levels("dataset"))
        datasets |= set(names)
        picked = _picked(selection.frame)
        choices += _choices(selection, picked, metric, names, conf_level)
        rows += _differences(selection, picked, metric, names, conf_level)
        if metric in ACCURACIES and not made:
            made = decisions(runs, picked, choices, rows, metric=metric, margin=margin, level=conf_level)
    if not rows:
        raise StatsError("the usable runs have one method: there is nothing to compare", hint="train a second --method")
    adjusted = holm([row.p for row in rows])
    rows = [replace(row, p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)]
    known = tuple(sorted(datasets))
    titles = {metric: shown_column(metric, runs).title for metric in chosen}
    claims = best_claims(rows, choices, titles, known, conf_level)
    return BestResult(
        study=study_name(runs),
        datasets=known,
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        method=_METHOD.format(validation=VALIDATION),
        choices=tuple(choices),
        rows=tuple(rows),
        decisions=made,
        claims=claims,
        findings=best_findings(rows, claims),
        left_out=tuple(dict.fromkeys(left_out)),
        caveats=(*run_caveats(runs, [VALIDATION, *chosen]), *_edges(choices, known)),
    )


def _metrics(runs: pl.DataFrame, asked: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for name in asked or ():
        run_column(name)
    if asked:
        return tuple(dict.fromkeys(asked)), ()
    accuracy, notes = accuracy_metric(runs)
    measured = RETENTION in runs.columns and runs[RETENTION].count() > 0
    return (accuracy, *((RETENTION,) if measured else ())), notes


def _picked(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the run that validation chooses in every data set, method and seed."""
    ordered = frame.sort("dataset", "method", "seed", pl.col(VALIDATION).neg(), "lr")
    return ordered.unique(["dataset", "method", "seed"], keep="first", maintain_order=True)


def _choices(
    selection: Selection, picked: pl.DataFrame, metric: str, datasets: tuple[str, ...], level: float
) -> list[ChoiceRow]:
    rows = []
    for dataset in datasets:
        for method in selection.levels("method"):
            of_group = (pl.col("dataset") == dataset) & (pl.col("method") == method)
            here, grid = picked.filter(of_group), selection.frame.filter(of_group)
            if here.is_empty():
                continue
            lrs = sorted(set(grid["lr"].to_list()))
            means = grid.group_by("lr").agg(pl.col(VALIDATION).mean()).sort(pl.col(VALIDATION).neg(), "lr")
            values = here[metric].to_numpy()
            low, high = mean_interval(values, level)
            counts = Counter(here["lr"].to_list())
            rows.append(
                ChoiceRow(
                    dataset=shown_dataset(dataset, datasets),
                    method=str(method),
                    metric=metric,
                    unit=run_column(metric).unit,
                    n_seeds=here.height,
                    n_lrs=len(lrs),
                    chosen={learning_rate(lr): counts[lr] for lr in lrs if counts[lr]},
                    lr_by_mean=float(means["lr"][0]),
                    n_at_edge=sum(counts[lr] for lr in {lrs[0], lrs[-1]}) if len(lrs) > 1 else 0,
                    mean=float(values.mean()),
                    ci_low=low,
                    ci_high=high,
                )
            )
    return rows


def _differences(
    selection: Selection, picked: pl.DataFrame, metric: str, datasets: tuple[str, ...], level: float
) -> list[BestRow]:
    """Rows of every pair of methods, on each data set and over those that both have."""
    rows = []
    methods = [str(name) for name in selection.levels("method")]
    for b, a in combinations(methods, 2):
        pair = picked.filter(pl.col("method").is_in([a, b]))
        both = pair.filter(pl.col("method").n_unique().over("dataset") == 2)
        shared = sorted(set(both["dataset"].to_list()))
        places = [*(shared if len(datasets) > 1 else ()), *([None] if len(shared) == len(datasets) else [])]
        for place in places:
            part = both if place is None else both.filter(pl.col("dataset") == place)
            rows.append(_difference(part, metric, place, (a, b), level))
    return rows


def _difference(part: pl.DataFrame, metric: str, dataset: str | None, pair: tuple[str, str], level: float) -> BestRow:
    sample = (part["method"] == pair[1]).cast(pl.Int64).to_numpy().astype(np.intp)
    found = sample_difference(part[metric].to_numpy(), sample, codes(part, "dataset"), codes(part, "seed"))
    low, high = found.interval(level)
    of_a, of_b = (set(part.filter(pl.col("method") == name)["seed"].to_list()) for name in pair)
    t = found.difference / found.se if found.se > 0 else float("nan")
    return BestRow(
        dataset=dataset,
        metric=metric,
        unit=difference_unit(run_column(metric).unit),
        method_a=pair[0],
        method_b=pair[1],
        mean_a=found.mean_a,
        mean_b=found.mean_b,
        difference=found.difference,
        se=found.se,
        df=found.df,
        t=t,
        p=t_p_value(t, found.df),
        p_holm=float("nan"),
        ci_low=low,
        ci_high=high,
        n_linked=found.n_linked,
        n_only_a=len(of_a - of_b),
        n_only_b=len(of_b - of_a),
    )


def _edges(choices: Sequence[ChoiceRow], datasets: Sequence[str]) -> tuple[str, ...]:
    """Say where the best learning rate may lie outside of the grid."""
    named = dict.fromkeys(
        f"{method_title(c.method)} on {c.dataset or datasets[0]} ({c.n_at_edge} of {counted(c.n_seeds, 'seed')})"
        for c in choices
        if c.n_at_edge
    )
    if not named:
        return ()
    return (
        f"Validation chose the lowest or highest learning rate of the grid for {'; '.join(named)}: a better one may "
        "lie outside, so a method may be worth more than is seen here.",
    )


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the comparison in accuracy, retention, and in what the study asks first about methods."""
    yield "methods at their own best learning rates", partial(_on_page, study)


def _on_page(study: StudyRuns) -> BestResult:
    usual, _ = _metrics(study.runs, None)
    further = [name for name in asked_metrics(study, "method") if name not in usual]
    metrics = (*usual, *further) if further else None
    return best(study.runs, metrics=metrics, margin=study.asked.margin, conf_level=study.conf_level)
