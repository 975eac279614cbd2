"""stats frontier: which cells are not beaten in both accuracy and retention, and methods at matched accuracy or drift.

At one learning rate two methods differ in how far they move the model; part of a difference in retention is only that.
So the methods are also compared where they reach the same test accuracy, and where their weights moved equally far.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import TEST, VALIDATION, accuracy_metric, finished, shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.frontier.findings import frontier_descriptions, frontier_findings, matched_claims
from heatdrift.questions.frontier.result import FrontierCell, FrontierResult, MatchedRow
from heatdrift.questions.selection import FACTORS, check_level, check_seed, select_runs, shown_dataset, study_name
from heatdrift.stats.intervals import mean_interval
from heatdrift.stats.matched_curves import Curves, matched_difference
from heatdrift.wording import at_equal_decimals, method_title, number

Floats = npt.NDArray[np.float64]
Accuracy = Literal["test_acc_pct", "val_acc_pct"]
MatchedOn = Literal["test_acc_pct", "val_acc_pct", "weight_drift"]

OUTCOME: Final = "retention_pct"
DRIFT: Final = "weight_drift"
_METHOD: Final = (
    "cells: means over seeds with seed-level t intervals; on the front when no other cell of the data set is at "
    "least as good in {accuracy} and retention and better in one; front_share: the same in resamples of whole seeds, "
    "B = {bootstrap}, seed {seed}. matched: retention of method_a - method_b, interpolated on the rising part of "
    "the dose curves (weight drift in log10), mean over their overlap, delete-one-seed jackknife with t"
)


@AnyFrames("runs")
def frontier(runs: pl.DataFrame, *, bootstrap: int = 2000, seed: int = 0, conf_level: float = 0.95) -> FrontierResult:
    """Find the accuracy-retention front of each data set and compare methods at matched accuracy and weight drift.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone.
    bootstrap, seed : resamples of seeds for `front_share`, and their seed.

    Raises
    ------
    StatsError
        No usable run; settings out of range.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.frontier(heatdrift.read_runs("mini"), bootstrap=200)
    >>> [(cell.dataset, cell.method, cell.lr) for cell in answer.cells if cell.on_front][:2]
    [('eurosat', 'lora_r8', 0.0001), ('eurosat', 'lora_r8', 0.0003)]
    """
    check_level(conf_level)
    check_seed(seed)
    if bootstrap < 1:
        raise StatsError(f"bootstrap ({bootstrap}) must be at least 1", hint="for example --bootstrap 2000")
    name, notes = accuracy_metric(runs)
    accuracy: Accuracy = "val_acc_pct" if name == VALIDATION else "test_acc_pct"
    selection = select_runs(runs, [accuracy, OUTCOME])
    table = _with_drift(selection.frame, runs)
    datasets = tuple(str(d) for d in selection.levels("dataset"))
    cells: list[FrontierCell] = []
    matched: list[MatchedRow] = []
    methods = [str(m) for m in selection.levels("method")]
    for dataset in datasets:
        here = table.filter(pl.col("dataset") == dataset)
        shown = shown_dataset(dataset, datasets)
        cells += _cells(here, shown, accuracy, bootstrap, np.random.default_rng(seed), conf_level)
        present = [m for m in methods if m in set(here["method"].to_list())]
        for other in present[1:]:
            matched_on: tuple[MatchedOn, ...] = (accuracy, "weight_drift")
            matched += [_matched(here, shown, on, (other, present[0]), conf_level) for on in matched_on]
    column = shown_column(accuracy, runs)
    claims = matched_claims(matched, datasets, conf_level, column)
    return FrontierResult(
        study=study_name(runs),
        unit=run_column(OUTCOME).unit,
        accuracy=accuracy,
        datasets=datasets,
        n_runs=table.height,
        n_dropped=selection.n_dropped,
        conf_level=conf_level,
        bootstrap=bootstrap,
        bootstrap_seed=seed,
        method=_METHOD.format(accuracy=accuracy, bootstrap=bootstrap, seed=seed),
        cells=tuple(cells),
        matched=tuple(matched),
        claims=claims,
        findings=frontier_findings(matched, claims),
        descriptions=frontier_descriptions(cells, matched, claims, datasets, column),
        left_out=(*selection.left_out, *notes),
        caveats=run_caveats(runs, [accuracy, OUTCOME], methods=methods),
    )


def _with_drift(frame: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    if DRIFT not in runs.columns:
        return frame.with_columns(pl.lit(None, pl.Float64).alias(DRIFT))
    done = finished(runs).with_columns(pl.col("lr", DRIFT).cast(pl.Float64))
    return frame.join(done.select(*FACTORS, DRIFT), on=FACTORS, how="left", maintain_order="left")


def _grid(table: pl.DataFrame, column: str, cells: list[tuple[str, float]], seeds: list[int]) -> Floats:
    """(cells, seeds) of a column, NaN where there is no run or no finite value."""
    values = np.full((len(cells), len(seeds)), np.nan)
    row, place = {c: i for i, c in enumerate(cells)}, {s: j for j, s in enumerate(seeds)}
    for method, lr, seed, value in table.select("method", "lr", "seed", column).iter_rows():
        if (method, lr) in row and value is not None and np.isfinite(value):
            values[row[method, lr], place[seed]] = value
    return values


def _cells(
    here: pl.DataFrame,
    dataset: str | None,
    metric: Accuracy,
    bootstrap: int,
    rng: np.random.Generator,
    level: float,
) -> list[FrontierCell]:
    keys = sorted(set(here.select("method", "lr").iter_rows()), key=lambda k: (k[0] != "full_ft", k))
    seeds = sorted(set(here["seed"].to_list()))
    accuracy, retention, drift = (_grid(here, column, keys, seeds) for column in (metric, OUTCOME, DRIFT))
    means = np.stack([np.nanmean(accuracy, axis=1), np.nanmean(retention, axis=1)])
    beaten = _dominated(means[None, 0], means[None, 1])[0]  # (cells, cells): column beats row
    share = _front_share(accuracy, retention, bootstrap, rng)
    rows = []
    for i, (method, lr) in enumerate(keys):
        by = np.flatnonzero(beaten[i])
        best = keys[int(by[np.argmax(means[1, by])])] if by.size else None
        (acc_low, acc_high), (ret_low, ret_high) = (mean_interval(v[i], level) for v in (accuracy, retention))
        known = drift[i][~np.isnan(drift[i])]
        rows.append(
            FrontierCell(
                dataset=dataset,
                method=method,
                lr=lr,
                n_seeds=int(np.sum(~np.isnan(accuracy[i]))),
                acc_pct=float(means[0, i]),
                test_acc_pct=float(means[0, i]) if metric == TEST else float("nan"),
                acc_ci_low=acc_low,
                acc_ci_high=acc_high,
                retention_pct=float(means[1, i]),
                retention_ci_low=ret_low,
                retention_ci_high=ret_high,
                weight_drift=float(known.mean()) if known.size else float("nan"),
                on_front=not by.size,
                front_share=float(share[i]) if len(seeds) > 1 else float("nan"),
                dominated_by=f"{best[0]} lr {best[1]:g}" if best else None,
            )
        )
    return rows


def _dominated(accuracy: Floats, retention: Floats) -> npt.NDArray[np.bool_]:
    """(B, cells, cells): whether the cell of the last axis beats that of the middle one; NaN beats nothing."""
    a, r = (v[:, None, :] - v[:, :, None] for v in (accuracy, retention))
    return np.asarray((a >= 0) & (r >= 0) & ((a > 0) | (r > 0)))


def _front_share(accuracy: Floats, retention: Floats, bootstrap: int, rng: np.random.Generator) -> Floats:
    """Share of resamples of whole seeds (all cells together) in which each cell is on the front."""
    present = ~np.isnan(accuracy)
    n_seeds = accuracy.shape[1]
    weights = rng.multinomial(n_seeds, np.full(n_seeds, 1.0 / n_seeds), size=bootstrap).astype(float)
    count = weights @ present.T
    drawn = count > 0
    means = [
        np.where(drawn, weights @ np.where(present, v, 0.0).T / np.where(drawn, count, 1.0), np.nan)
        for v in (accuracy, retention)
    ]
    front = ~_dominated(means[0], means[1]).any(axis=2) & drawn
    return np.asarray(front.sum(axis=0) / np.maximum(drawn.sum(axis=0), 1))


def _matched(
    here: pl.DataFrame, dataset: str | None, on: MatchedOn, methods: tuple[str, str], level: float
) -> MatchedRow:
    usable = here.filter(pl.col("method").is_in(list(methods)))
    if on == DRIFT:
        usable = usable.filter(pl.col(DRIFT) > 0)
    sides = [usable.filter(pl.col("method") == m) for m in methods]
    seeds = sorted(set(sides[0]["seed"].to_list()) & set(sides[1]["seed"].to_list()))
    nan = float("nan")
    nothing = MatchedRow(
        dataset=dataset,
        matched_on=on,
        method_a=methods[0],
        method_b=methods[1],
        overlap_low=nan,
        overlap_high=nan,
        difference=nan,
        se=nan,
        df=nan,
        ci_low=nan,
        ci_high=nan,
        n_seeds=len(seeds),
        note=f"no seed has {on} with both methods",
    )
    if not seeds:
        return nothing
    curves = []
    for side, method in zip(sides, methods, strict=True):
        lrs = sorted(set(side["lr"].to_list()))
        both = side.filter(pl.col("seed").is_in(seeds))
        x, y = (_grid(both, c, [(method, lr) for lr in lrs], seeds) for c in (on, OUTCOME))
        y[np.isnan(x)] = np.nan
        curves.append(Curves(matched=np.log10(x) if on == DRIFT else x, outcome=y))
    found = matched_difference(*curves)
    unlog = (lambda v: float(10.0**v)) if on == DRIFT else float
    if np.isnan(found.difference):
        ends = [unlog(end) for ends in found.ranges for end in ends]
        texts = [number(end) for end in ends] if on == DRIFT else at_equal_decimals(ends)
        shown = ", ".join(
            f"{method_title(m)} {low if low == high else f'{low} to {high}'}"
            for m, low, high in zip(methods, texts[::2], texts[1::2], strict=True)
        )
        return replace(nothing, note=f"the rising parts of the dose curves do not overlap ({shown})")
    low, high = found.interval(level)
    note = "" if not np.isnan(found.se) else "no interval: one seed, or a seed left out leaves no overlap"
    return replace(
        nothing,
        overlap_low=unlog(found.low),
        overlap_high=unlog(found.high),
        difference=found.difference,
        se=found.se,
        df=found.df,
        ci_low=low,
        ci_high=high,
        note=note,
    )


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the front of every data set."""
    yield "frontier", partial(frontier, study.runs, conf_level=study.conf_level)
