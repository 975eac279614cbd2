"""stats retention: what is left of the base's zero-shot accuracy, against all of it, at the seed level.

A method that keeps everything has a retention of 100 %. Whether one falls short, and whether it can be said to keep
all but a margin, is asked of its mean over data sets and learning rates, each with equal weight, tested over seeds.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

import polars as pl
from msgspec.structs import replace

from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.margins import adjusted_rows, margin_row, margin_sentences
from heatdrift.questions.pairs import without_rounding
from heatdrift.questions.retention.findings import RetentionWords
from heatdrift.questions.retention.result import RetentionResult, RetentionRow
from heatdrift.questions.selection import check_level, codes, select_runs, shown_dataset, study_name
from heatdrift.stats.cell_average import cell_average
from heatdrift.stats.detectable import detectable_noncentrality
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.equivalence import check_margin
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import difference_unit

METRIC: Final = "retention_pct"
ALL_OF_IT: Final = 100.0
_METHOD: Final = (
    "mean of {metric} of each method over its (data set, lr), each with equal weight, against 100 over seeds: complete "
    "data, the one-sample t of one mean per seed, df S - 1; missing runs, CR2 and Satterthwaite df; seeds of each run "
    "alone, a variance for each (data set, lr) (Welch). p_holm: Holm over the averages, and apart from them over "
    "single learning rates, about which nothing is claimed. The base's own error is not in the interval"
)
_MARGIN: Final = (
    "; margins: two one-sided t tests of the averages against 100 - {margin:g} and 100 + {margin:g}, 90 % intervals, "
    "adjusted by Holm's steps over all averages (of the two nulls of a row one at most is true)"
)


@AnyFrames("runs")
def retention(runs: pl.DataFrame, *, margin: float | None = None, conf_level: float = 0.95) -> RetentionResult:
    """Test mean retention against 100 %: of every method on average, and at each learning rate.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    margin : points of loss or gain that do not matter, > 0: adds tests of non-inferiority and equivalence.

    Raises
    ------
    StatsError
        A margin that is not positive; no usable run with retention.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.retention(heatdrift.read_runs("mini", dataset=["pets"]), margin=5.0)
    >>> [(row.method, round(row.mean, 1)) for row in answer.rows if row.lr is None]
    [('full_ft', 40.2), ('lora_r8', 95.1)]
    """
    check_level(conf_level)
    if margin is not None:
        if not margin > 0:
            raise StatsError(f"a margin must be above 0, got {margin:g}", hint="for example --margin 2")
        check_margin(-margin, margin)
    selection = select_runs(runs, [METRIC])
    frame = selection.frame
    datasets = tuple(str(name) for name in selection.levels("dataset"))
    methods = tuple(str(name) for name in selection.levels("method"))
    averages, cells = [], []
    for method in methods:
        own = frame.filter(pl.col("method") == method)
        for name in sorted(set(own["dataset"].to_list())):
            here = own.filter(pl.col("dataset") == name)
            if len(datasets) > 1:
                averages.append(_row(here, name, method, None, conf_level))
            for lr in sorted(set(here["lr"].to_list())):
                part = here.filter(pl.col("lr") == lr)
                cells.append(_row(part, shown_dataset(name, datasets), method, lr, conf_level))
        if set(own["dataset"].to_list()) == set(datasets):
            averages.append(_row(own, None, method, None, conf_level))
    averages, cells = _adjusted(averages), _adjusted(cells)
    tested = adjusted_rows(
        [
            margin_row(
                (-margin, margin), metric=METRIC, unit=difference_unit(run_column(METRIC).unit),
                estimate=row.difference, se=row.se, df=row.df, p_difference=row.p, dataset=row.dataset,
                method=row.method,
            )
            for row in averages
        ]
        if margin is not None
        else []
    )  # fmt: skip
    words = RetentionWords(datasets, conf_level)
    margin_claims, margin_findings, margin_open = margin_sentences(
        tested, {i: words.margin_words(row) for i, row in enumerate(tested)}
    )
    return RetentionResult(
        study=study_name(runs),
        metric=METRIC,
        unit=run_column(METRIC).unit,
        datasets=datasets,
        methods=methods,
        margin=margin,
        n_runs=frame.height,
        n_dropped=selection.n_dropped,
        conf_level=conf_level,
        method=_METHOD.format(metric=METRIC) + ("" if margin is None else _MARGIN.format(margin=margin)),
        rows=(*averages, *cells),
        margins=tested,
        claims=(*words.claims(averages), *margin_claims),
        findings=(*words.findings(averages), *margin_findings),
        descriptions=(*words.undecided(averages), *margin_open),
        left_out=selection.left_out,
        caveats=run_caveats(runs, [METRIC], methods=methods),
    )


def _row(part: pl.DataFrame, dataset: str | None, method: str, lr: float | None, level: float) -> RetentionRow:
    found = cell_average(part[METRIC].to_numpy(), codes(part, "dataset", "lr"), codes(part, "seed"))
    low, high = found.interval(level)
    t = found.t(ALL_OF_IT)
    return RetentionRow(
        dataset=dataset,
        method=method,
        lr=lr,
        n_runs=part.height,
        n_seeds=found.n_clusters,
        mean=found.mean,
        ci_low=low,
        ci_high=high,
        difference=without_rounding(found.mean - ALL_OF_IT, ALL_OF_IT),
        se=found.se,
        df=found.df,
        t=t,
        p=t_p_value(t, found.df),
        p_holm=float("nan"),
        detectable=found.se * detectable_noncentrality(found.df),
    )


def _adjusted(rows: list[RetentionRow]) -> list[RetentionRow]:
    return [replace(row, p_holm=float(p)) for row, p in zip(rows, holm([r.p for r in rows]), strict=True)]


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the methods against 100 %, with the study's margin, where retention was measured."""
    if METRIC in study.runs.columns and study.runs[METRIC].count():
        ask = partial(retention, study.runs, margin=study.asked.margin, conf_level=study.conf_level)
        yield "retention against 100 %", ask
