"""heatdrift compare: two studies over the cells that both have, study a minus study b.

Equal seeds are pairs only where a seed is known to draw the same in both (``pairing.py``); elsewhere two means of
independent seeds are compared (``stats.two_samples``). Over all common cells every cell has equal weight and the
spread is that between seeds. Nothing is pooled: what the studies differ in comes before the numbers.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from heatdrift.accuracy import accuracy_metric, finished, selected_on_test, shown_title
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.compare.facts import fact_caveats, study_facts
from heatdrift.questions.compare.findings import average_sentence, few_sentences, same_sentences
from heatdrift.questions.compare.pairing import pairing_of_cells, pairing_rows, same_runs
from heatdrift.questions.compare.result import StudyCell, StudyComparison, StudyDifferenceRow
from heatdrift.questions.compare.rows import adjusted, metric_rows
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.selection import DEFAULT_METRICS, check_level
from heatdrift.wording import counted

CELL: Final = ("dataset", "method", "lr")
_METHOD: Final = (
    "differences {a} - {b} over finished runs of common cells ({on}); means and difference of a row are over the same "
    "runs. paired: one difference per seed, t interval over seeds, where a seed draws the same in both studies. "
    "unpaired: independent seeds, Welch. averages: every common cell with equal weight, spread over seeds (of each "
    "side apart where not paired), CR2, Satterthwaite and Welch df. p_holm adjusts cells and averages apart"
)
_TWO_SEEDS: Final = (
    "Where runs are not paired, a side of two seeds makes Welch's test unsafe: when that side varies more, it finds "
    "differences that are none up to twice as often as it says."
)


@AnyFrames("runs", "runs", needs=("backbone",))
def compare_studies(
    runs_a: pl.DataFrame,
    runs_b: pl.DataFrame,
    *,
    names: tuple[str, str],
    metrics: Sequence[str] | None = None,
    conf_level: float = 0.95,
) -> StudyComparison:
    """Compare two studies over the cells that both have.

    Parameters
    ----------
    runs_a, runs_b : rows of the view ``runs``, each of one study.
    names : what the studies are called in the result.
    metrics : result columns; None = those of ``selection.DEFAULT_METRICS`` that both sides have.

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; a side without finished runs; no common cell; several runs of one cell and seed; no metric that
        both sides have.
    """
    check_level(conf_level)
    for metric in metrics or ():
        run_column(metric)
    sides = [_finished(runs, name) for runs, name in zip((runs_a, runs_b), names, strict=True)]
    common_backbones = set(sides[0]["backbone"].to_list()) & set(sides[1]["backbone"].to_list())
    key = ("backbone", *CELL) if common_backbones else CELL
    for side, name in zip(sides, names, strict=True):
        _refuse_doubles(side, key, name)
    common = sides[0].select(key).unique().join(sides[1].select(key).unique(), on=key, how="semi").sort(key)
    if common.is_empty():
        raise StatsError(
            f"{names[0]} and {names[1]} have no common cell (data set, method, learning rate) with finished runs",
            hint="heatdrift sql --name runs --study ... shows what each study has",
        )
    matched = [side.join(common, on=key, how="semi") for side in sides]
    chosen, left_out = _common_metrics(matched, metrics, names)
    cells = pairing_of_cells(matched, common, key)
    rows: list[StudyDifferenceRow] = []
    for metric in chosen:
        rows += metric_rows(matched, cells, key, metric, conf_level)
    rows = adjusted(rows)
    facts = study_facts(*matched)
    pairing = pairing_rows(cells, matched, key)
    n_pairs = sum(row.n_pairs for row in pairing)
    n_same = same_runs(matched, key).height
    caveats = [*same_sentences(n_same, n_pairs), *fact_caveats(facts, chosen), *few_sentences(rows)]
    for side, name in zip(matched, names, strict=True):
        caveats += [f"{name}: {text}" for text in run_caveats(side, chosen)]
    on_test = all(map(selected_on_test, matched))  # where only one study did, its caveat says so, not the title of both
    titles = {metric: shown_title(metric, on_test=on_test) for metric in chosen}
    if any(row.how in ("unpaired", "mixed") and min(row.n_seeds_a, row.n_seeds_b) == 2 for row in rows):
        caveats.append(_TWO_SEEDS)
    if not common_backbones:
        caveats.insert(0, "No backbone is common: cells are matched by data set, method and learning rate alone.")
    return StudyComparison(
        study_a=names[0],
        study_b=names[1],
        matched_on=(*key, *(("seed",) if n_pairs else ())),
        n_runs_a=matched[0].height,
        n_runs_b=matched[1].height,
        n_cells=common.height,
        n_pairs=n_pairs,
        n_same_runs=n_same,
        conf_level=conf_level,
        method=_METHOD.format(a=names[0], b=names[1], on=", ".join(key)),
        pairing=pairing,
        rows=tuple(rows),
        facts=facts,
        caveats=tuple(caveats),
        missing_a=_only_in(sides[1], common, key),
        missing_b=_only_in(sides[0], common, key),
        findings=tuple(
            average_sentence(row, titles[row.metric], names, conf_level, len(chosen))
            for row in rows
            if row.dataset is None
        ),
        left_out=tuple(left_out),
        titles=titles,
    )


def _finished(runs: pl.DataFrame, name: str) -> pl.DataFrame:
    done = finished(runs)
    if done.is_empty():
        raise StatsError(f"{name} has no finished run", hint="heatdrift status shows what is planned and what is done")
    return done.with_columns(pl.col("lr").cast(pl.Float64)).sort("backbone", *CELL, "seed")


def _refuse_doubles(side: pl.DataFrame, key: Sequence[str], name: str) -> None:
    twice = side.group_by([*key, "seed"]).len().filter(pl.col("len") > 1)
    if twice.height:
        raise StatsError(
            f"{name} has several runs of {counted(twice.height, 'combination')} of {', '.join(key)} and seed",
            hint="choose one backbone with --backbone",
        )


def _common_metrics(
    sides: Sequence[pl.DataFrame], asked: Sequence[str] | None, names: tuple[str, str]
) -> tuple[list[str], list[str]]:
    """Metrics that both sides have, and sentences about the rest; an asked one that a side lacks is an error."""
    accuracy, _ = accuracy_metric(*sides)
    lacking = {
        m: [n for side, n in zip(sides, names, strict=True) if m not in side.columns or side[m].count() == 0]
        for m in asked or dict.fromkeys((*DEFAULT_METRICS, accuracy))
    }
    chosen = [m for m, without in lacking.items() if not without]
    missing = [f"{m} was not measured in {' and '.join(without)}" for m, without in lacking.items() if without]
    if (asked and missing) or not chosen:
        raise StatsError("; ".join(missing), hint="choose another with --metric")
    return chosen, missing


def _only_in(side: pl.DataFrame, common: pl.DataFrame, key: Sequence[str]) -> tuple[StudyCell, ...]:
    cells = side.join(common, on=key, how="anti").group_by("backbone", *CELL).agg(n_seeds=pl.col("seed").n_unique())
    return tuple(StudyCell(**cell) for cell in cells.sort("backbone", *CELL).iter_rows(named=True))
