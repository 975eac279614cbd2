"""stats predictors: which signal, measured without a transfer set's labels, ranks zero-shot retention.

Signals and the direction expected of each are fixed in ``signals.py``. Ranks are compared over runs (pooled, within
data set, within group) and, for the question which signal is best, over cell means with cells resampled. Then the use
of it: of the cells with nearly the best validation accuracy, what retention does each signal's choice keep?
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import StatsError
from heatdrift.metrics import run_column
from heatdrift.results import PredictorRow, PredictorsResult
from heatdrift.stats.cell_choice import select_cells
from heatdrift.stats.choice import check_level, codes
from heatdrift.stats.frame import FACTORS, select_runs, study_name
from heatdrift.stats.predictor_findings import predictor_findings
from heatdrift.stats.ranking import cell_scores, interval
from heatdrift.stats.signals import SIGNALS, Signal
from heatdrift.stats.trend import spearman

Floats = npt.NDArray[np.float64]
When = Literal["final", "epoch1"]

OUTCOME: Final = "retention_pct"
_METHOD: Final = (
    "Spearman's rho with retention_pct at the selected epoch; signals at the selected epoch (final) or after epoch 1. "
    "rho: over runs, sign as found; within data set or group: mean over them, rho_within_group times the orientation "
    "fixed beforehand. score: cell means (over seeds), mean over data sets of rho times orientation; cells resampled "
    "within data set x method, percentile intervals, B = {bootstrap}, seed {seed}. selection: cells whose mean "
    "validation accuracy is within {margin:g} points of the best of their data set"
)


def predictors(
    runs: pl.DataFrame,
    epochs: pl.DataFrame,
    *,
    margin: float = 2.0,
    bootstrap: int = 2000,
    seed: int = 0,
    conf_level: float = 0.95,
) -> PredictorsResult:
    """Compare all measured signals.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study, protocol and backbone. epochs : rows of the view ``epochs`` of (at
        least) these runs; may be empty.
    margin : percentage points of validation accuracy within which cells are candidates of the selection.
    bootstrap, seed : resamples of cells and their seed.

    Raises
    ------
    StatsError
        No usable run, fewer than three cells, no variation of retention, no signal measured, settings out of range.
    """
    check_level(conf_level)
    if bootstrap < 1 or not margin >= 0.0:
        raise StatsError(
            f"bootstrap ({bootstrap}) must be at least 1 and the margin ({margin:g}) at least 0",
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
        found, sentences = _rows(table, when, bootstrap, seed, conf_level)
        rows += found
        left_out += sentences
    if not any(not row.reference for row in rows):
        raise StatsError("no signal was measured in these runs", hint="heatdrift sql 'summarize runs'")
    datasets = tuple(str(d) for d in selection.levels("dataset"))
    picked, notes = select_cells(final, margin=margin, level=conf_level)
    picked_early, _ = select_cells(early, margin=margin, level=conf_level)
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
        method=_METHOD.format(bootstrap=bootstrap, seed=seed, margin=margin),
        rows=tuple(rows),
        selection=picked,
        selection_epoch1=picked_early,
        findings=predictor_findings(rows, picked, datasets, conf_level, margin),
        left_out=(*left_out, *notes),
    )


def _joined(frame: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Usable runs with cell_id, validation accuracy and every signal that the view has, at the selected epoch."""
    have = {*runs.columns}
    done = runs.filter(pl.col("status") == "done").with_columns(pl.col("lr").cast(pl.Float64))
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


def _rows(
    table: pl.DataFrame, when: When, bootstrap: int, seed: int, level: float
) -> tuple[list[PredictorRow], list[str]]:
    measured = [s for s in SIGNALS if (c := f"signal:{s.name}") in table.columns and _finite(table[c]).any()]
    absent = [s.name for s in SIGNALS if s not in measured]
    place = "at the selected epoch" if when == "final" else "at epoch 1"
    sentences = [f"not measured {place}: {', '.join(absent)}"] if absent else []
    complete = [s for s in measured if _finite(table[f"signal:{s.name}"]).all()]
    partial = [s.name for s in measured if s not in complete]
    if partial:
        sentences.append(f"measured {place} in some of the runs only, so not compared over cells: {', '.join(partial)}")
    scores = _scores(table, complete, bootstrap, seed, level)
    rows = [_row(table, s, when, scores.get(s.name)) for s in measured]
    return rows, sentences


def _finite(column: pl.Series) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(column.cast(pl.Float64).to_numpy()))


def _row(table: pl.DataFrame, signal: Signal, when: When, score: dict[str, float] | None) -> PredictorRow:
    name = f"signal:{signal.name}"
    usable = table.filter(pl.Series(_finite(table[name])))
    x, y = usable[name].to_numpy(), usable[OUTCOME].to_numpy()
    by_dataset = [spearman(x[m], y[m]) for m in _members(usable, "dataset")]
    by_group = np.array([spearman(x[m], y[m]) for m in _members(usable, "dataset", "method")])
    nan = float("nan")
    empty = dict.fromkeys(("score", "ci_low", "ci_high", "gap", "gap_ci_low", "gap_ci_high", "best_share"), nan)
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


def _scores(
    table: pl.DataFrame, signals: Sequence[Signal], bootstrap: int, seed: int, level: float
) -> dict[str, dict[str, float]]:
    """Per signal: score on cell means, gap to the best candidate, their intervals, and how often it is the best."""
    if not signals:
        return {}
    names = [f"signal:{s.name}" for s in signals]
    cells = table.group_by(FACTORS[:3]).agg(pl.col(OUTCOME, *names).mean()).sort(FACTORS[:3])
    oriented = cells.select(names).to_numpy() * np.array([s.orientation for s in signals])
    found = cell_scores(
        oriented,
        cells[OUTCOME].to_numpy(),
        codes(cells, "dataset"),
        codes(cells, "dataset", "method"),
        draws=bootstrap,
        rng=np.random.default_rng(seed),
    )
    candidates = np.array([not s.reference for s in signals]) & ~np.isnan(found.observed)
    ranked = np.where(candidates, found.observed, -np.inf)
    best = int(np.argmax(ranked))
    has_best = bool(candidates.any())
    share = _best_share(found.resampled, candidates)
    result = {}
    for k, signal in enumerate(signals):
        low, high = interval(found.resampled[:, k], level)
        gaps = found.resampled[:, best] - found.resampled[:, k]
        gap_low, gap_high = interval(gaps, level) if has_best else (float("nan"), float("nan"))
        result[signal.name] = {
            "score": float(found.observed[k]),
            "ci_low": low,
            "ci_high": high,
            "gap": float(found.observed[best] - found.observed[k]) if has_best else float("nan"),
            "gap_ci_low": gap_low,
            "gap_ci_high": gap_high,
            "best_share": float("nan") if signal.reference else float(share[k]),
        }
    return result


def _best_share(resampled: Floats, candidates: npt.NDArray[np.bool_]) -> Floats:
    """Share of resamples in which each candidate scores highest; ties count in parts."""
    values = np.where(candidates & ~np.isnan(resampled), resampled, -np.inf)
    top = values.max(axis=1, keepdims=True)
    winners = (values >= top - 1e-12) & np.isfinite(top)
    return np.asarray((winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)).mean(axis=0))
