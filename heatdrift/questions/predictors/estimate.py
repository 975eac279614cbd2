"""How much zero-shot is left, from signals without labels: fitted on finished runs, refused outside of what they saw.

Two signals, fixed on the shipped study before any other runs were looked at: the embeddings' drift and CKA to the base.
One observation is one run after one epoch; runs of a data set and method are one group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.questions.answer import Result
from heatdrift.questions.predictors.signals import SIGNAL, signal_title
from heatdrift.stats.left_out_groups import fit_monotone, interval, leave_groups_out, supported_level
from heatdrift.wording import counted, number, percent

USED: Final = ("embedding_drift", "cka")
OUTCOME: Final = "track_retention_pct"
GROUP: Final = ("dataset", "method")
_ORIENTATION: Final = tuple(SIGNAL[name].orientation for name in USED)
_FEWEST: Final = 3  # groups: two guarantee no more than a third


class Estimate(Result, frozen=True, kw_only=True):
    """Estimated retention in percent with its interval, or why there is none (`refused`)."""

    retention_pct: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    n_groups: int = 0
    n_runs: int = 0
    backbones: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def sentence(self) -> str:
        """In words."""
        if self.refused is not None:
            return f"No estimate of zero-shot retention without labels: {self.refused}."
        assert self.level is not None
        return (
            f"Estimated without labels: {number(self.retention_pct)} % of zero-shot kept ({percent(self.level)} "
            f"interval {number(self.low)} to {number(self.high)} %), from {counted(self.n_runs, 'finished run')} of "
            f"{', '.join(self.backbones)} in {self.n_groups} groups of data set x method; "
            "how far to trust it: heatdrift stats predictors --validate."
        )


class ValidationRow(Result, frozen=True, kw_only=True):
    """What the estimate does on runs that it has not seen.

    Attributes
    ----------
    by, left_out : what was left out as a whole. n, n_refused : its observations, and those refused.
    mae, bias : of the answered, in points of retention; bias is estimate minus truth.
    level, half_width, coverage : of intervals calibrated on the rest alone: the least that is guaranteed, on
        average over groups, half of their mean width, the share that holds; None where the rest has too few groups.
    """

    by: str
    left_out: str
    n: int
    n_refused: int
    mae: float | None = None
    bias: float | None = None
    level: float | None = None
    half_width: float | None = None
    coverage: float | None = None


def observations(runs: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """Rows that an estimate can learn from: one per run and epoch after 0, with both signals and retention known.

    Parameters
    ----------
    runs, epochs : rows of the views. Runs that were measured and not trained (origin external) teach nothing.
    """
    needed = [*USED, OUTCOME]
    keys = ("study", "backbone", "cell_id", *GROUP)
    known = {"study", "cell_id", "epoch", *needed} <= {*epochs.columns} and {*keys, "status"} <= {*runs.columns}
    if epochs.is_empty() or not known:
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.String) | dict.fromkeys(needed, pl.Float64))
    done = runs.filter(pl.col("status") == "done")
    done = done.filter(pl.col("origin") != "external") if "origin" in done.columns else done
    rows = epochs.filter(pl.col("epoch") > 0).select("study", "cell_id", "epoch", *needed)
    rows = rows.join(done.select(keys), on=["study", "cell_id"], how="inner")
    finite = [pl.col(name).cast(pl.Float64).is_finite().fill_null(value=False) for name in needed]
    return rows.filter(*finite).sort(*GROUP, "cell_id", "epoch")


def estimate(table: pl.DataFrame, signals: Mapping[str, float | None]) -> Estimate:
    """Estimate retention of a model with these `signals` from the observations of finished runs."""
    lacking = [name for name in USED if signals.get(name) is None]
    if lacking:
        return Estimate(refused=f"not measured: {', '.join(signal_title(name) for name in lacking)}")
    group = _codes(table, GROUP)
    n_groups = len(set(group.tolist()))
    if n_groups < _FEWEST:
        refused = f"finished runs of {counted(n_groups, 'group')} of data set x method are known, {_FEWEST} are needed"
        return Estimate(refused=refused, n_groups=n_groups)
    x, y = _arrays(table)
    new = np.array([[float(signals[name] or 0.0) for name in USED]])
    fit = fit_monotone(x, y, group, _ORIENTATION)
    outside = fit.outside(new)[0]
    if outside.any():
        place = int(np.argmax(outside))
        low, high = fit.knots[place][[0, -1]]
        refused = (
            f"“{signal_title(USED[place])}” is {number(new[0, place])}, the finished runs have {number(low)} to "
            f"{number(high)}"
        )
        return Estimate(refused=refused, n_groups=n_groups)
    left_out = leave_groups_out(x, y, group, _ORIENTATION)
    level = supported_level(left_out.n_groups)
    if level is None:
        refused = (
            f"of {n_groups} groups of data set x method {left_out.n_groups} lie mostly within what the others saw, "
            f"{_FEWEST} are needed for an interval"
        )
        return Estimate(refused=refused, n_groups=n_groups)
    low, high = (float(end[0]) for end in interval(left_out, new, level))
    return Estimate(
        retention_pct=float(fit.predict(new)[0]),
        low=max(0.0, low),
        high=high,
        level=level,
        n_groups=n_groups,
        backbones=tuple(sorted(set(table["backbone"].to_list()))),
        n_runs=table.select("study", "cell_id").unique().height,
    )


def validate(table: pl.DataFrame) -> tuple[ValidationRow, ...]:
    """Leave out every group, every data set and every method as a whole, calibrate on the rest, and look."""
    schemes = (("data set x method", GROUP), ("data set", ("dataset",)), ("method", ("method",)))
    rows = []
    for by, keys in schemes:
        names = table.select(*keys).unique(maintain_order=True).rows()
        for name in names if len(names) > 1 else ():
            mine = pl.all_horizontal(pl.col(key) == value for key, value in zip(keys, name, strict=True))
            rows.append(validated(table.filter(~mine), table.filter(mine), by=by, left_out=" ".join(map(str, name))))
    return tuple(rows)


def validation_sentences(rows: Sequence[ValidationRow]) -> tuple[str, ...]:
    """What validation says in words, scheme by scheme; that coverage is poor where it is."""
    if not rows:
        return ("Retention cannot be estimated: one group of data set x method, or epochs lack signals or zero-shot.",)
    said = []
    for by in dict.fromkeys(row.by for row in rows):
        mine = [row for row in rows if row.by == by]
        refused = f"{sum(row.n_refused for row in mine)} of {sum(row.n for row in mine)} refused"
        errors = [row for row in mine if row.mae is not None]
        if not errors:
            said.append(f"Every {by} left out as a whole: {refused}, each lies outside of what the others saw.")
            continue
        worst = max(errors, key=lambda row: row.mae or 0.0)
        text = (
            f"Every {by} left out as a whole: retention is missed by {number(worst.mae)} points on average in the "
            f"worst ({worst.left_out}), {number(min(row.mae or 0.0 for row in errors))} in the best; {refused}"
        )
        held = [row for row in errors if row.coverage is not None and row.level is not None]
        shown = ", ".join(
            f"{percent(round(r.coverage or 0.0, 2))} in {r.left_out} (said {percent(r.level or 0.0)})" for r in held
        )
        text += f"; intervals hold {shown}" if held else "; too few groups are left to calibrate an interval"
        poor = [row.left_out for row in held if (row.coverage or 0.0) < (row.level or 0.0)]
        text += (
            f". Coverage is poor in {', '.join(poor)}: do not trust the interval in data of that kind" if poor else ""
        )
        said.append(f"{text}.")
    return tuple(said)


def validated(known: pl.DataFrame, new: pl.DataFrame, *, by: str, left_out: str) -> ValidationRow:
    """What an estimate from `known` does on `new`, whose retention it never sees."""
    return _row(held_out(known, new), by=by, left_out=left_out)


def _row(found: "HeldOut", *, by: str, left_out: str) -> ValidationRow:
    answered = ~np.isnan(found.predicted)
    row = ValidationRow(by=by, left_out=left_out, n=len(answered), n_refused=int((~answered).sum()))
    if not answered.any():
        return row
    error = found.predicted[answered] - found.observed[answered]
    row = msgspec.structs.replace(row, mae=float(np.abs(error).mean()), bias=float(error.mean()))
    if found.level is None:
        return row
    width = float((found.high[answered] - found.low[answered]).mean()) / 2
    coverage = float(found.held[answered].mean())
    return msgspec.structs.replace(row, level=found.level, half_width=width, coverage=coverage)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Observations as others predict them, each (n,); NaN outside of what the others have seen.

    `low`, `high` are the ends of the interval at `level`, NaN where that is None: too few groups calibrate.
    """

    predicted: npt.NDArray[np.float64]
    observed: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    level: float | None

    @property
    def held(self) -> npt.NDArray[np.bool_]:
        """Whether each interval holds what was observed."""
        return (self.low - 1e-9 <= self.observed) & (self.observed <= self.high + 1e-9)


def held_out(known: pl.DataFrame, new: pl.DataFrame) -> HeldOut:
    """Predict the observations `new` from `known` alone."""
    x, y = _arrays(known)
    group = _codes(known, GROUP)
    new_x, truth = _arrays(new)
    fit = fit_monotone(x, y, group, _ORIENTATION)
    predicted = np.where(fit.outside(new_x).any(axis=1), np.nan, fit.predict(new_x))
    inner = leave_groups_out(x, y, group, _ORIENTATION)
    level = supported_level(inner.n_groups)
    low = high = np.full(len(truth), np.nan)
    if level is not None:
        low, high = interval(inner, new_x, level)
    return HeldOut(predicted, truth, low, high, level)


@dataclass(frozen=True, slots=True)
class LeftOutGroup:
    """One group (data set, method) as the others predict it.

    `row` is what validation says of it; `points`: cell_id, epoch, predicted, observed, low, high, held, of what was not
    refused; low and high are NaN where no interval is given.
    """

    group: tuple[str, str]
    row: ValidationRow
    points: pl.DataFrame


def left_out_group(table: pl.DataFrame, group: tuple[str, str]) -> LeftOutGroup:
    """Leave one group of the observations out and predict it."""
    mine = pl.all_horizontal(pl.col(key) == value for key, value in zip(GROUP, group, strict=True))
    known, new = table.filter(~mine), table.filter(mine)
    found = held_out(known, new)
    points = new.select(
        "cell_id",
        "epoch",
        predicted=pl.Series(found.predicted),
        observed=OUTCOME,
        low=pl.Series(found.low),
        high=pl.Series(found.high),
        held=pl.Series(found.held),
    )
    row = _row(found, by="data set x method", left_out=" ".join(group))
    return LeftOutGroup(group, row, points.filter(pl.col("predicted").is_not_nan()))


def _arrays(table: pl.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    columns = [table[name].cast(pl.Float64).to_numpy() for name in (*USED, OUTCOME)]
    return np.column_stack(columns[:-1]), columns[-1]


def _codes(table: pl.DataFrame, keys: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Codes of groups from 0."""
    if table.is_empty():
        return np.empty(0, dtype=np.intp)
    labels = table.select(pl.struct(keys).rank("dense") - 1).to_series()
    return labels.to_numpy().astype(np.intp)
