"""heatdrift compare: two studies over the cells that both have, study a minus study b.

Where both sides ran the same seeds, each seed's difference is one observation, as in ``paired``; over all common cells
every cell has equal weight and the spread is that between seeds. Where no two seeds agree, two independent means are
compared (Welch). Nothing is pooled: what the studies differ in stands beside the numbers.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from msgspec.structs import replace

from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.results.study_comparison import Pairing, StudyCell, StudyComparison, StudyDifferenceRow
from heatdrift.stats.caveats import TEST
from heatdrift.stats.choice import DEFAULT_METRICS, check_level, codes
from heatdrift.stats.clustered import cell_indicators, seed_contrast
from heatdrift.stats.probability import holm, t_p_value, t_quantile
from heatdrift.stats.study_facts import fact_caveats, study_facts
from heatdrift.stats.text import counted, difference_unit, number, p_text, percent, signed, with_unit

CELL: Final = ("dataset", "method", "lr")
_METHOD: Final = (
    "differences {a} - {b} over finished runs of common cells ({on}). paired: one difference per seed, t interval over "
    "seeds; averages: every common cell with equal weight, spread over seeds, CR2 and Satterthwaite df. unpaired: "
    "Welch. p_holm adjusts cells and averages apart"
)
NAN: Final = float("nan")


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
    metrics : result columns; None = those of ``choice.DEFAULT_METRICS`` that both sides have.

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
    rows: list[StudyDifferenceRow] = []
    for metric in chosen:
        rows += _metric_rows(matched, common, key, metric, conf_level)
    rows = _adjusted(rows)
    facts = study_facts(*matched)
    caveats = fact_caveats(facts, chosen)
    if not common_backbones:
        caveats.insert(0, "No backbone is common: cells are matched by data set, method and learning rate alone.")
    if any(row.how == "unpaired" for row in rows):
        caveats.append("In some cells no two seeds agree: there two independent means are compared.")
    pairs = matched[0].join(matched[1], on=[*key, "seed"], how="inner")
    return StudyComparison(
        study_a=names[0],
        study_b=names[1],
        matched_on=(*key, *(("seed",) if pairs.height else ())),
        n_runs_a=matched[0].height,
        n_runs_b=matched[1].height,
        n_cells=common.height,
        n_pairs=pairs.height,
        conf_level=conf_level,
        method=_METHOD.format(a=names[0], b=names[1], on=", ".join(key)),
        rows=tuple(rows),
        facts=facts,
        caveats=tuple(caveats),
        missing_a=_only_in(sides[1], common, key),
        missing_b=_only_in(sides[0], common, key),
        findings=tuple(_sentence(row, names, conf_level, len(chosen)) for row in rows if row.dataset is None),
        left_out=tuple(left_out),
    )


def _finished(runs: pl.DataFrame, name: str) -> pl.DataFrame:
    done = runs.filter(pl.col("status") == "done")
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
    lacking = {
        m: [n for side, n in zip(sides, names, strict=True) if m not in side.columns or side[m].count() == 0]
        for m in (asked or (*DEFAULT_METRICS, "val_acc_pct"))
    }
    chosen = [m for m, without in lacking.items() if not without]
    if not asked and TEST in chosen:
        chosen.remove("val_acc_pct") if "val_acc_pct" in chosen else None
    missing = [f"{m} was not measured in {' and '.join(without)}" for m, without in lacking.items() if without]
    if (asked and missing) or not chosen:
        raise StatsError("; ".join(missing), hint="choose another with --metric")
    return chosen, [text for text in missing if not text.startswith("val_acc_pct")]


def _metric_rows(
    sides: Sequence[pl.DataFrame], common: pl.DataFrame, key: Sequence[str], metric: str, level: float
) -> list[StudyDifferenceRow]:
    """One row per common cell in which both sides measured the metric, and their average."""
    measured = [
        side.select(*key, "seed", value=pl.col(metric).cast(pl.Float64)).filter(pl.col("value").is_finite())
        for side in sides
    ]
    unit = difference_unit(run_column(metric).unit)
    pairs = measured[0].join(measured[1], on=[*key, "seed"], how="inner", suffix="_b").sort([*key, "seed"])
    pairs = pairs.with_columns(d=pl.col("value") - pl.col("value_b"))
    rows = []
    for cell in common.iter_rows(named=True):
        here = [pl.col(name) == value for name, value in cell.items()]
        a, b = (side.filter(here)["value"].to_numpy() for side in measured)
        if not (a.size and b.size):
            continue
        d = pairs.filter(here)["d"].to_numpy()
        how, n, difference, se, df = _difference(a, b, d)
        means = float(a.mean()), float(b.mean())
        counts = 1, n, a.size, b.size
        place = {"backbone": None, **cell}
        rows.append(_row(metric, unit, place, how, counts, means, (difference, se, df), level))
    return [*rows, *_average(rows, pairs, key, metric, unit, level)]


def _difference(a: np.ndarray, b: np.ndarray, d: np.ndarray) -> tuple[Pairing, int, float, float, float]:
    """Return how, number of seeds, difference, standard error and df."""
    if d.size > 1:
        se = float(d.std(ddof=1) / math.sqrt(d.size))
        return "paired", d.size, float(d.mean()), se, float(d.size - 1)
    if d.size == 1:
        return "single", 1, float(d[0]), NAN, NAN
    difference = float(a.mean() - b.mean())
    if min(a.size, b.size) < 2:
        return "single", min(a.size, b.size), difference, NAN, NAN
    parts = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size])
    total = float(parts.sum())
    df = total**2 / float(parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1)) if total > 0 else NAN
    return "unpaired", min(a.size, b.size), difference, math.sqrt(total), df


def _average(
    rows: Sequence[StudyDifferenceRow], pairs: pl.DataFrame, key: Sequence[str], metric: str, unit: str, level: float
) -> list[StudyDifferenceRow]:
    """The mean difference over common cells, tested over seeds where every cell has pairs of two seeds."""
    if not rows:
        return []
    means = tuple(float(np.mean([getattr(row, side) for row in rows])) for side in ("mean_a", "mean_b"))
    difference, se, df, n_seeds = float(np.mean([row.difference for row in rows])), NAN, NAN, 0
    how: Pairing = "single"
    if all(row.how == "paired" for row in rows):
        x = cell_indicators(codes(pairs, *key))
        contrast = seed_contrast(x, codes(pairs, "seed"), np.full(x.shape[1], 1.0 / x.shape[1]), within=False)
        test = contrast.test(pairs["d"].to_numpy())
        how, se, df, n_seeds = "paired", float(test.se), test.df, test.n_seeds
    elif all(row.how == "unpaired" for row in rows):
        # independent cells: variances add, df by Satterthwaite
        variances = np.array([row.se**2 for row in rows])
        total = float(variances.sum())
        dfs = np.array([row.df for row in rows])
        df = total**2 / float(np.sum(variances**2 / dfs)) if total > 0 else NAN
        how, se, n_seeds = "unpaired", math.sqrt(total) / len(rows), min(row.n_seeds for row in rows)
    counts = (len(rows), n_seeds, sum(row.n_a for row in rows), sum(row.n_b for row in rows))
    nowhere: dict[str, str | float | None] = {"backbone": None, "dataset": None, "method": None, "lr": None}
    return [_row(metric, unit, nowhere, how, counts, (means[0], means[1]), (difference, se, df), level)]


def _row(
    metric: str,
    unit: str,
    cell: dict[str, str | float | None],
    how: Pairing,
    counts: tuple[int, int, int, int],
    means: tuple[float, float],
    test: tuple[float, float, float],
    level: float,
) -> StudyDifferenceRow:
    difference, se, df = test
    t = difference / se if se > 0 else NAN
    half = t_quantile(level, df) * se if se >= 0 else NAN
    return StudyDifferenceRow(
        metric=metric, unit=unit, **cell, how=how,  # type: ignore[arg-type]
        n_cells=counts[0], n_seeds=counts[1], n_a=counts[2], n_b=counts[3], mean_a=means[0], mean_b=means[1],
        difference=difference, se=se, df=df, t=t, p=t_p_value(t, df), p_holm=NAN,
        ci_low=difference - half, ci_high=difference + half,
    )  # fmt: skip


def _adjusted(rows: Sequence[StudyDifferenceRow]) -> list[StudyDifferenceRow]:
    """Holm's adjustment over the cells, and over the averages."""
    adjusted: dict[int, float] = {}
    for average in (False, True):
        family = [i for i, row in enumerate(rows) if (row.dataset is None) == average]
        adjusted |= dict(zip(family, holm([rows[i].p for i in family]).tolist(), strict=True))
    return [replace(row, p_holm=adjusted[i]) for i, row in enumerate(rows)]


def _only_in(side: pl.DataFrame, common: pl.DataFrame, key: Sequence[str]) -> tuple[StudyCell, ...]:
    cells = side.join(common, on=key, how="anti").group_by("backbone", *CELL).agg(n_seeds=pl.col("seed").n_unique())
    return tuple(StudyCell(**cell) for cell in cells.sort("backbone", *CELL).iter_rows(named=True))


def _sentence(row: StudyDifferenceRow, names: tuple[str, str], level: float, n_metrics: int) -> str:
    """Say the average difference with its interval, df and p; that there is none where runs are equal."""
    title = run_column(row.metric).title
    cells = counted(row.n_cells, "common cell")
    if row.difference == 0 and not row.se > 0:
        return f"{title} is the same in {names[0]} and {names[1]}, averaged over {cells}."
    head = f"{title}: {names[0]} minus {names[1]} is {with_unit(signed(row.difference), row.unit)}"
    if not row.se > 0:
        return f"{head}, averaged over {cells}; too few runs of common seeds for an interval."
    seeds = counted(row.n_seeds, "seed")
    kind = f"paired over {seeds}" if row.how == "paired" else f"unpaired, at least {seeds} per cell"
    holmed = f", Holm over {counted(n_metrics, 'metric')} {p_text(row.p_holm)}" if n_metrics > 1 else ""
    return (
        f"{head}, averaged over {cells} ({percent(level)} CI {signed(row.ci_low)} to {signed(row.ci_high)}; "
        f"{kind}, t({number(row.df)}) = {signed(row.t)}, {p_text(row.p)}{holmed})."
    )
