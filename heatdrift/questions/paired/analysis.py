"""stats paired: one method minus another over runs that agree in data set, learning rate and, if shared, seed.

Two tests side by side. Over pairs, as studies publish it: every pair counts as independent evidence, although the
pairs of one seed share it. At the seed level: each seed's mean difference is one observation, or, where methods have
seeds of their own, each seed's mean. Findings follow the seed level; where the two disagree at 5 %, a note says so.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.margins import MORE_IS_BETTER, MarginRow, adjusted_rows, margin_sentences
from heatdrift.questions.page_choices import asked_metrics, page_pairs
from heatdrift.questions.paired.findings import PairedFindings
from heatdrift.questions.paired.result import PairedResult, PairedRow
from heatdrift.questions.paired.rows import adjusted, against_margin, compared
from heatdrift.questions.pairs import (
    PAIR,
    SeedDifference,
    check_pair,
    common_cells,
    seed_caveats,
    unused_runs,
    without_spread,
)
from heatdrift.questions.selection import check_level, measured_metrics, select_runs, study_name
from heatdrift.stats.equivalence import check_margin
from heatdrift.wording import difference_unit

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "differences {a} - {b} over runs of identical data set and lr. t, dz and Wilcoxon: over pairs of one seed, taken "
    "as independent, as published (t_p_holm: Holm over all rows). seed_t: seed-level, every (data set, lr) that both "
    "methods have with equal weight, spread over seeds, CR2 and Satterthwaite df; its interval is ci_low, ci_high; "
    "seed_p_holm: Holm over all rows"
)
_MARGIN: Final = (
    "margins: two one-sided seed-level t tests, 90 % intervals, adjusted by Holm's steps over all rows (of the two "
    "nulls of a row one at most is true)",
)


@AnyFrames("runs")
def paired(
    runs: pl.DataFrame,
    *,
    metrics: Sequence[str] | None = None,
    method_a: str = PAIR[0],
    method_b: str = PAIR[1],
    equivalence: tuple[float, float] | None = None,
    conf_level: float = 0.95,
) -> PairedResult:
    """Compare two methods at identical (dataset, lr), per data set and over all.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    metrics : result columns; None = those of ``selection.DEFAULT_METRICS`` that were measured.
    method_a, method_b : differences are a - b. They need not share seeds.
    equivalence : margin low, high with low < 0 < high, in the unit of the metrics, which must be one. Without `metrics`
        it is one of retention and accuracy alone.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric or method; no usable run; methods that share no data set and lr; a bad margin.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.paired(heatdrift.read_runs("mini"), metrics=["retention_pct"], equivalence=(-2, 2))
    >>> [(row.dataset, round(row.seed_difference, 1), row.n_seeds) for row in answer.rows]
    [('eurosat', 58.7, 5), ('pets', 54.9, 5), (None, 56.8, 5)]
    """
    chosen, left_out = measured_metrics(runs, metrics)
    with_margin = [name for name in chosen if metrics or name in MORE_IS_BETTER]
    return _paired(runs, chosen, with_margin, left_out, (method_a, method_b), equivalence, conf_level)


def _paired(
    runs: pl.DataFrame,
    chosen: Sequence[str],
    with_margin: Sequence[str],
    left_out: Sequence[str],
    methods: tuple[str, str],
    equivalence: tuple[float, float] | None,
    conf_level: float,
) -> PairedResult:
    """Compare two methods in the metrics `chosen`, of which those `with_margin` are tested against the margin."""
    check_level(conf_level)
    check_equivalence(equivalence, with_margin)
    method_a, method_b = methods
    rows: list[PairedRow] = []
    margins: list[MarginRow] = []
    tests: list[SeedDifference] = []
    sentences: list[str] = list(left_out)
    used = 0
    datasets: set[str] = set()
    for metric in chosen:
        selection = select_runs(runs, [metric])
        check_pair(selection.frame, *methods)
        common = common_cells(selection.frame, *methods)
        if common.is_empty():
            raise StatsError(
                f"{method_a} and {method_b} share no data set and learning rate at which both have {metric}",
                hint="heatdrift stats best compares each method at its own best learning rate",
            )
        sentences += selection.left_out
        found = sorted(set(common["dataset"].to_list()))
        datasets |= set(found)
        for place in [*(found if len(found) > 1 else ()), None]:
            here = selection.frame if place is None else selection.frame.filter(pl.col("dataset") == place)
            available = runs if place is None else runs.filter(pl.col("dataset") == place)
            row, test = compared(here, metric, place, methods, conf_level, available.height)
            rows.append(row)
            tests += [test] if test is not None else []
            if equivalence is not None and metric in with_margin:
                margins.append(against_margin(row, test, equivalence))
            if place is None:
                used = max(used, available.height - row.n_dropped)
                sentences += [*unused_runs(here, metric, test, *methods), *without_spread(metric, test)]
    rows = adjusted(rows)
    known = tuple(sorted(datasets))
    titles = {metric: shown_column(metric, runs).title for metric in chosen}
    words = PairedFindings(method_a, method_b, known, conf_level, titles)
    tested = adjusted_rows(margins)
    margin_claims, margin_findings, margin_open = margin_sentences(
        tested, {i: words.margin_words(row) for i, row in enumerate(tested)}
    )
    return PairedResult(
        study=study_name(runs),
        method_a=method_a,
        method_b=method_b,
        datasets=known,
        n_runs=used,
        n_dropped=runs.height - used,
        conf_level=conf_level,
        method="; ".join([_METHOD.format(a=method_a, b=method_b), *_how(rows, tests), *(_MARGIN if tested else ())]),
        rows=tuple(rows),
        margins=tested,
        claims=(*words.claims(rows), *margin_claims),
        findings=(*words.of(rows), *margin_findings),
        descriptions=(*words.undecided(rows), *margin_open),
        notes=words.notes(rows),
        left_out=tuple(dict.fromkeys(sentences)),
        caveats=(*run_caveats(runs, chosen), *seed_caveats(tests)),
    )


def check_equivalence(margin: tuple[float, float] | None, metrics: Sequence[str]) -> None:
    """Refuse a margin that is none, or that would serve metrics of different units.

    Raises
    ------
    StatsError
        See `check_margin`; metrics that differ in unit.
    """
    if margin is None:
        return
    check_margin(*margin)
    units = {difference_unit(run_column(metric).unit): metric for metric in metrics}
    if len(units) > 1:
        raise StatsError(
            f"one margin cannot serve metrics in different units ({', '.join(f'{m}: {u}' for u, m in units.items())})",
            hint=f"name one: --metric {metrics[0]}",
        )


def _how(rows: Sequence[PairedRow], tests: Sequence[SeedDifference]) -> Iterator[str]:
    """Say which seed-level test was used and why, and that few seeds leave sign flips no say."""
    yield from dict.fromkeys(test.reason for test in tests)
    unable = [row for row in rows if row.flip_p_least >= ALPHA]
    if unable:
        least = min(row.flip_p_least for row in unable)
        yield f"flip_p (sign flips of seeds) cannot decide at 5 %: the smallest p of so few seeds is {least:g}"


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield comparisons of methods in the usual metrics and in those that the study asks first about methods."""
    for pair in page_pairs(study.runs):
        usual = pair == PAIR
        yield (
            "paired comparison" if usual else f"paired comparison of {pair[0]} and {pair[1]}",
            partial(_on_page, study, pair),
        )


def _on_page(study: StudyRuns, pair: tuple[str, str]) -> PairedResult:
    """Compare a pair, with the study's margin in what it is meant for: retention and accuracy."""
    usual, left_out = measured_metrics(study.runs, None)
    margin = study.asked.margin
    return _paired(
        study.runs,
        tuple(dict.fromkeys((*usual, *asked_metrics(study, "method")))),
        [name for name in usual if name in MORE_IS_BETTER],
        left_out,
        pair,
        None if margin is None else (-margin, margin),
        study.conf_level,
    )
