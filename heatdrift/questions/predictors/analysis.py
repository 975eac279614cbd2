"""stats predictors: which signal, measured without a transfer set's labels, ranks zero-shot retention.

Signals and the direction expected of each are fixed in ``signals.py``. Ranks are compared over runs (pooled, within
data set, within group) and, for the question which signal is best, over cell means with cells resampled. Then the use
of it: of the cells with nearly the best validation accuracy, what retention does each signal's choice keep?
"""

from collections.abc import Iterator
from functools import partial
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.accuracy import VALIDATION, finished, shown_column
from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.predictors import estimate
from heatdrift.questions.predictors.cell_choice import select_cells
from heatdrift.questions.predictors.findings import (
    predictor_claims,
    predictor_descriptions,
    predictor_findings,
    reversed_note,
)
from heatdrift.questions.predictors.result import PredictorRow, PredictorsResult
from heatdrift.questions.predictors.scores import Resampling, signal_scores
from heatdrift.questions.predictors.signals import SIGNALS, Signal, signal_title
from heatdrift.questions.selection import FACTORS, check_level, check_seed, codes, select_runs, study_name
from heatdrift.stats.ranks import spearman

Floats = npt.NDArray[np.float64]
When = Literal["final", "epoch1"]

OUTCOME: Final = "retention_pct"
_METHOD: Final = (
    "Spearman's rho with retention_pct at the selected epoch; signals at the selected epoch (final) or after epoch 1. "
    "rho: over runs, sign as found; within data set or group: mean over them, rho_within_group times the orientation "
    "fixed beforehand. score: cell means (over seeds), mean over data sets of rho times orientation; cells resampled "
    "within data set x method, percentile intervals, B = {bootstrap}, seed {seed}. p_adjusted: whole cells of "
    "retention permuted within data set x method, largest score of all signals without the references "
    "({permutations} arrangements at most); p_against: the same against the orientation. seed_level_p: t over seeds of "
    "the rank correlation within data set x method. selection: cells whose mean {accuracy} is within {margin:g} points "
    "of the best of their data set"
)


@AnyFrames("runs", "epochs")
def predictors(
    runs: pl.DataFrame,
    epochs: pl.DataFrame,
    *,
    margin: float = 2.0,
    validate: bool = False,
    bootstrap: int = 2000,
    seed: int = 0,
    permutations: int = 9999,
    conf_level: float = 0.95,
) -> PredictorsResult:
    """Compare all measured signals.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. epochs : rows of the view ``epochs`` of (at
        least) these runs; may be empty.
    margin : percentage points of validation accuracy within which cells are candidates of the selection.
    validate : also estimate retention in what was left out (``estimate.py``).
    bootstrap, seed : resamples of cells and their seed.
    permutations : random arrangements where there are more than that.

    Raises
    ------
    StatsError
        No usable run, fewer than three cells, no variation of retention, no signal measured, settings out of range.

    Examples
    --------
    >>> import heatdrift
    >>> store = heatdrift.Store.shipped()
    >>> answer = heatdrift.predictors(*(store.view(name, study="mini") for name in ("runs", "epochs")), bootstrap=100)
    >>> max((row for row in answer.rows if row.when == "final"), key=lambda row: row.score).signal
    'cka'
    """
    check_level(conf_level)
    check_seed(seed)
    if bootstrap < 1 or permutations < 1 or not margin >= 0.0:
        raise StatsError(
            f"bootstrap ({bootstrap}) and permutations ({permutations}) must be at least 1 and the margin "
            f"({margin:g}) at least 0",
            hint="for example --bootstrap 2000 --margin 2",
        )
    selection = select_runs(runs, [OUTCOME])
    final = _joined(selection.frame, runs)
    if final.select(*FACTORS[:3]).unique().height < 3:
        raise StatsError(
            "fewer than three cells have retention_pct: there is nothing to rank", hint="widen the selection"
        )
    if np.ptp(final[OUTCOME].to_numpy()) == 0.0:
        raise StatsError(
            f"{OUTCOME} is the same in all {final.height} runs", hint="widen the selection (--lr, --method)"
        )
    early = _at_epoch_one(final, epochs)
    left_out = list(selection.left_out)
    rows: list[PredictorRow] = []
    tables: tuple[tuple[When, pl.DataFrame], ...] = (("final", final), ("epoch1", early))
    for when, table in tables:
        found, sentences = _rows(table, when, Resampling(bootstrap, permutations, seed, conf_level))
        rows += found
        left_out += sentences
    if not any(not row.reference for row in rows):
        raise StatsError("no signal was measured in these runs", hint="heatdrift sql 'summarize runs'")
    datasets = tuple(str(d) for d in selection.levels("dataset"))
    accuracy = shown_column(VALIDATION, runs).title
    picked, notes = select_cells(final, margin=margin, level=conf_level, accuracy=accuracy)
    picked_early, _ = select_cells(early, margin=margin, level=conf_level, accuracy=accuracy)
    claims = predictor_claims(rows, conf_level)
    return PredictorsResult(
        study=study_name(runs),
        metric=OUTCOME,
        unit=run_column(OUTCOME).unit,
        datasets=datasets,
        n_runs=final.height,
        n_dropped=selection.n_dropped,
        conf_level=conf_level,
        bootstrap=bootstrap,
        bootstrap_seed=seed,
        margin=margin,
        method=_METHOD.format(
            bootstrap=bootstrap,
            seed=seed,
            margin=margin,
            permutations=permutations,
            accuracy=accuracy,
        ),
        rows=tuple(rows),
        selection=picked,
        selection_epoch1=picked_early,
        claims=claims,
        findings=predictor_findings(claims),
        descriptions=predictor_descriptions(rows, claims, picked, datasets, margin, accuracy),
        validation=estimate.validate(estimate.observations(runs, epochs)) if validate else msgspec.UNSET,
        notes=reversed_note([row for row in rows if row.when == "final"]),
        left_out=(*left_out, *notes),
        caveats=run_caveats(runs, [VALIDATION, OUTCOME], methods=[str(m) for m in selection.levels("method")]),
    )


def _joined(frame: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Usable runs with cell_id, validation accuracy and every signal that the view has, at the selected epoch."""
    have = {*runs.columns}
    done = finished(runs).with_columns(pl.col("lr").cast(pl.Float64))
    columns = [*([c] if (c := "val_acc_pct") in have else []), *([d] if (d := "cell_id") in have else [])]
    signals = [s.values().alias(f"signal:{s.name}") for s in SIGNALS if s.column in have]
    return frame.join(done.select(*FACTORS, *columns, *signals), on=FACTORS, how="left", maintain_order="left")


def _at_epoch_one(final: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """The same runs with the signals after epoch 1; what does not change with the epoch (lr) is kept."""
    names = [c for c in final.columns if c.startswith("signal:")]
    steady = [f"signal:{s.name}" for s in SIGNALS if s.column in FACTORS]
    base = final.drop([name for name in names if name not in steady])
    if "cell_id" not in final.columns or epochs.is_empty():
        return base
    first = epochs.filter(pl.col("epoch") == 1)
    signals = [s.values().alias(f"signal:{s.name}") for s in SIGNALS if s.column in first.columns]
    return base.join(first.select("cell_id", *signals), on="cell_id", how="left", maintain_order="left")


def _rows(table: pl.DataFrame, when: When, settings: Resampling) -> tuple[list[PredictorRow], list[str]]:
    measured = [s for s in SIGNALS if (c := f"signal:{s.name}") in table.columns and _finite(table[c]).any()]
    absent = [f"“{signal_title(s.name)}”" for s in SIGNALS if s not in measured]
    place = "at the selected epoch" if when == "final" else "at epoch 1"
    sentences = [f"not measured {place}: {', '.join(absent)}"] if absent else []
    complete = [s for s in measured if _finite(table[f"signal:{s.name}"]).all()]
    partial = [f"“{signal_title(s.name)}”" for s in measured if s not in complete]
    if partial:
        sentences.append(f"measured {place} in some of the runs only, so not compared over cells: {', '.join(partial)}")
    scores = signal_scores(table, complete, settings)
    rows = [_row(table, s, when, scores.get(s.name)) for s in measured]
    return rows, sentences


def _finite(column: pl.Series) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(column.cast(pl.Float64).to_numpy()))


def _row(table: pl.DataFrame, signal: Signal, when: When, score: dict[str, float] | None) -> PredictorRow:
    name = f"signal:{signal.name}"
    usable = table.filter(pl.Series(_finite(table[name])))
    x, y = usable[name].to_numpy(), usable[OUTCOME].to_numpy()
    by_dataset = [spearman(x[m], y[m]) for m in _members(usable, "dataset")]
    lr = usable["lr"].to_numpy()  # a group with one learning rate has one cell: its rho would be over seeds alone
    groups = [m for m in _members(usable, "dataset", "method") if np.ptp(lr[m]) > 0.0]
    by_group = np.array([spearman(x[m], y[m]) for m in groups])
    nan = float("nan")
    names = (
        "score",
        "ci_low",
        "ci_high",
        "gap",
        "gap_ci_low",
        "gap_ci_high",
        "best_share",
        "p_adjusted",
        "seed_level_p",
        "p_against",
    )
    empty = dict.fromkeys(names, nan)
    return PredictorRow(
        signal=signal.name,
        when=when,
        n=usable.height,
        rho=spearman(x, y),
        rho_within_dataset_abs=_mean(np.abs(np.array(by_dataset))),
        rho_within_group_abs=_mean(np.abs(by_group)),
        rho_within_group=_mean(by_group * signal.orientation),
        orientation=signal.orientation,
        reference=signal.reference,
        n_cells=usable.select(*FACTORS[:3]).unique().height,
        **(score or empty),
    )


def _members(table: pl.DataFrame, *columns: str) -> list[npt.NDArray[np.intp]]:
    code = codes(table, *columns)
    return [np.flatnonzero(code == c) for c in range(int(code.max()) + 1)]


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the comparison of all signals."""
    yield "predictors", partial(predictors, study.runs, study.epochs, conf_level=study.conf_level)
