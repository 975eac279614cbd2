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
from msgspec.structs import replace

from heatdrift.accuracy import shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.margins import MORE_IS_BETTER, MarginRow, adjusted_rows, margin_row, margin_sentences
from heatdrift.questions.paired.findings import PairedFindings
from heatdrift.questions.paired.result import PairedResult, PairedRow
from heatdrift.questions.pairs import (
    PAIR,
    SeedDifference,
    check_pair,
    common_cells,
    method_pairs,
    same_sign,
    seed_caveats,
    seed_level_difference,
    unused_runs,
    without_rounding,
    without_spread,
)
from heatdrift.questions.selection import check_level, measured_metrics, select_runs, study_name
from heatdrift.stats.cluster_robust import NO_SPREAD
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.effect_sizes import share_interval, standardised
from heatdrift.stats.equivalence import check_margin
from heatdrift.stats.multiplicity import holm
from heatdrift.stats.sign_flip import least_p, sign_flip_p
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
    """
    check_level(conf_level)
    chosen, left_out = measured_metrics(runs, metrics)
    with_margin = [name for name in chosen if metrics or name in MORE_IS_BETTER]
    check_equivalence(equivalence, with_margin)
    methods = (method_a, method_b)
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
            row, test = _row(here, metric, place, methods, conf_level, available.height)
            rows.append(row)
            tests += [test] if test is not None else []
            if equivalence is not None and metric in with_margin:
                margins.append(_margin_row(row, test, equivalence))
            if place is None:
                used = max(used, available.height - row.n_dropped)
                sentences += [*unused_runs(here, metric, test, *methods), *without_spread(metric, test)]
    rows = _adjusted(rows)
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


def _margin_row(row: PairedRow, test: SeedDifference | None, margin: tuple[float, float]) -> MarginRow:
    se, df = (test.se, test.df) if test is not None else (float("nan"), float("nan"))
    return margin_row(
        margin,
        metric=row.metric,
        unit=row.unit,
        estimate=row.seed_difference,
        se=se,
        df=df,
        p_difference=row.seed_p,
        dataset=row.dataset,
    )


def _how(rows: Sequence[PairedRow], tests: Sequence[SeedDifference]) -> Iterator[str]:
    """Say which seed-level test was used and why, and that few seeds leave sign flips no say."""
    yield from dict.fromkeys(test.reason for test in tests)
    unable = [row for row in rows if row.flip_p_least >= ALPHA]
    if unable:
        least = min(row.flip_p_least for row in unable)
        yield f"flip_p (sign flips of seeds) cannot decide at 5 %: the smallest p of so few seeds is {least:g}"


def _row(
    frame: pl.DataFrame, metric: str, dataset: str | None, methods: tuple[str, str], level: float, n_available: int
) -> tuple[PairedRow, SeedDifference | None]:
    """One row without its Holm values, and the test that it rests on."""
    nan = float("nan")
    pairs = method_pairs(frame, metric, *methods)
    test = seed_level_difference(frame, metric, *methods)
    d = pairs["d"].to_numpy()
    n = d.size
    mean_a, mean_b = (float(pairs[side].to_numpy().mean()) if n else nan for side in ("a", "b"))
    if test is not None and test.how != "pairs":
        mean_a, mean_b = test.mean_a, test.mean_b
    sd = float(d.std(ddof=1)) if n > 1 else nan
    # rounding of the values that were subtracted is no spread
    sd = sd if sd > NO_SPREAD * float(np.abs(pairs["a"].to_numpy()).max(initial=0.0)) else nan
    difference = without_rounding(float(d.mean()), mean_a) if n else nan
    t = difference / sd * float(np.sqrt(n))
    published = dict(zip(methods, (mean_a, mean_b), strict=True)) if set(methods) == set(PAIR) else {}
    n_used = 2 * n if test is None or test.how == "pairs" else test.n_runs
    row = PairedRow(
        dataset=dataset,
        metric=metric,
        unit=difference_unit(run_column(metric).unit),
        n=n,
        n_dropped=n_available - n_used,
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
        seed_difference=nan,
        seed_t=nan,
        seed_df=nan,
        seed_p=nan,
        seed_p_holm=nan,
        n_seeds=int(pairs["seed"].n_unique()),
        ci_low=nan,
        ci_high=nan,
        same_sign=same_sign(frame, metric, *methods),
    )
    return (row if test is None else _with_test(row, test, level)), test


def _with_test(row: PairedRow, test: SeedDifference, level: float) -> PairedRow:
    """Return the row with its seed-level test, its sizes of effect and what such seeds can detect."""
    low, high = test.interval(level)
    n_effective = test.n_linked if test.how == "pairs" else 1.0 / (1.0 / test.n_seeds_a + 1.0 / test.n_seeds_b)
    # seeds of which some are shared have no one SD
    seed_d = (float("nan"),) * 3 if test.how == "mixed" else standardised(test.t, test.df, n_effective, level)
    untied = test.per_seed[test.per_seed != 0.0]
    hits = int(np.sum(untied > 0.0))
    prob = share_interval(hits, untied.size, level)
    return replace(
        row,
        seed_difference=test.estimate,
        seed_t=test.t,
        seed_df=test.df,
        seed_p=test.p,
        n_seeds=test.n_seeds,
        ci_low=low,
        ci_high=high,
        seed_test=test.how,
        n_seeds_a=test.n_seeds_a,
        n_seeds_b=test.n_seeds_b,
        n_seeds_shared=test.n_linked,
        detectable=test.detectable(),
        seed_d=seed_d[0],
        seed_d_low=seed_d[1],
        seed_d_high=seed_d[2],
        flip_p=sign_flip_p(test.per_seed),
        flip_p_least=least_p(test.per_seed.size),
        prob_above=hits / untied.size if untied.size else float("nan"),
        prob_low=prob[0],
        prob_high=prob[1],
        n_seeds_untied=untied.size,
    )


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
    """Yield the comparison of the usual two methods in the usual metrics, with the study's margin where it has one."""
    margin = study.asked.margin
    equivalence = None if margin is None else (-margin, margin)
    yield "paired comparison", partial(paired, study.runs, equivalence=equivalence, conf_level=study.conf_level)
