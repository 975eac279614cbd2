"""ReportInput: the one frozen value that a report is made from, checked and completed at the border.

The frames carry the columns of the public views (docs/schema.md). A column that a store does not have is added as
NULL, so a figure asks one question only, "is there a value?", and a report of imported records renders like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy.typing as npt
import polars as pl

from heatdrift.errors import ReportError
from heatdrift.metrics import CELL_COLUMNS
from heatdrift.own_factors import COLUMN, factor_columns, split_factors
from heatdrift.questions.answer import Answer
from heatdrift.questions.outcomes import Family

Maps = Mapping[str, npt.NDArray[Any]]

_KEY: Final = {"study": pl.String, "cell_id": pl.String}
_GRID: Final = {"backbone": pl.String, "dataset": pl.String, "method": pl.String, "lr": pl.Float64}
_RESULTS: Final = {c.name: pl.Float64 for c in CELL_COLUMNS}
_DRIFTS: Final = {name: pl.Float64 for name in _RESULTS if name.startswith("delta_")}

RUNS: Final[dict[str, type[pl.DataType]]] = {
    **_KEY,
    "protocol": pl.String,
    **_GRID,
    "seed": pl.Int64,
    "status": pl.String,
    "epochs": pl.Int64,
    "selected_epoch": pl.Int64,
    "select_on": pl.String,
    "transfer_set": pl.String,
    "n_train": pl.Int64,
    "train_per_class": pl.Int64,
    **_RESULTS,
}
EPOCHS: Final[dict[str, type[pl.DataType]]] = {
    **_KEY,
    "epoch": pl.Int64,
    "train_loss": pl.Float64,
    "train_acc_pct": pl.Float64,
    "val_acc_pct": pl.Float64,
    **_DRIFTS,
    "track_zero_shot_pct": pl.Float64,
    "track_retention_pct": pl.Float64,
}
LAYERS: Final[dict[str, type[pl.DataType]]] = {
    **_KEY,
    "epoch": pl.Int64,
    "layer": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "base": pl.Float64,
    "delta_pct": pl.Float64,
}
HEADS: Final[dict[str, type[pl.DataType]]] = {**LAYERS, "head": pl.Int64}
TRANSFER: Final[dict[str, type[pl.DataType]]] = {
    **_KEY,
    "transfer_set": pl.String,
    "n_images": pl.Int64,
    "base_pct": pl.Float64,
    "adapted_pct": pl.Float64,
    "retention_pct": pl.Float64,
}
ROBUSTNESS: Final[dict[str, type[pl.DataType]]] = {**_KEY, "corruption": pl.String, "acc_pct": pl.Float64}
POINTS: Final[dict[str, type[pl.DataType]]] = {
    "study": pl.String,
    "backbone": pl.String,
    "dataset": pl.String,
    "metric": pl.String,
    "value_pct": pl.Float64,
    "source": pl.String,
}
PLANNED: Final[dict[str, type[pl.DataType]]] = {
    "cell_id": pl.String,
    **_GRID,
    "seed": pl.Int64,
    "status": pl.String,
    "error": pl.String,
}


def empty_view(columns: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """Return a frame without rows that has `columns`: what a view gives when nothing was measured."""
    return pl.DataFrame(schema=dict(columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """All that one page shows.

    Attributes
    ----------
    study, description : name and one or two sentences; any text, it is escaped when the page is made.
    runs, epochs, layers, heads, transfer : the public views of this study only; any metric may be NULL
        throughout and `heads` may be empty. Extra columns are ignored.
    robustness : the view of that name: test accuracy under corruptions.
    reference_points : the view of that name: results of pretrained models that are no runs.
    planned : the study's grid, one row per planned cell: cell_id, backbone, dataset, method, lr, seed, status and, for
        a failed one, error. None when the plan is not known (imported records): then the runs are taken as the plan.
    answers : question -> its answers, in the order in which they are shown (``heatdrift.questions.QUESTIONS``).
    unavailable : question -> sentences that say what could not be computed for it, and why.
    gallery : cell id -> arrays of gallery.npz (see ``gallery.py``), for the runs that the gallery may show.
    pictures : hash of a probe image's crop -> PNG of the crop; empty where no photograph may be shown.
    protocol : what the study's protocol does, in words.
    choices : what recipes choose besides numbers, in words -> the values of these runs; empty when it is not known.
    provenance : section -> (name, value) pairs, already text.
    family : all tests of the page, and what may be claimed of them.
    conf_level : level of the intervals in the figures, in (0, 1).
    """

    study: str
    description: str = ""
    runs: pl.DataFrame = field(default_factory=lambda: empty_view(RUNS))
    epochs: pl.DataFrame = field(default_factory=lambda: empty_view(EPOCHS))
    layers: pl.DataFrame = field(default_factory=lambda: empty_view(LAYERS))
    heads: pl.DataFrame = field(default_factory=lambda: empty_view(HEADS))
    transfer: pl.DataFrame = field(default_factory=lambda: empty_view(TRANSFER))
    robustness: pl.DataFrame = field(default_factory=lambda: empty_view(ROBUSTNESS))
    reference_points: pl.DataFrame = field(default_factory=lambda: empty_view(POINTS))
    planned: pl.DataFrame | None = None
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    unavailable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gallery: Mapping[str, Maps] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    protocol: str = ""
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    provenance: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    family: Family = field(default_factory=Family)
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.conf_level < 1:
            raise ReportError(f"conf_level must lie between 0 and 1, got {self.conf_level!r}", hint="use 0.95")
        views = (("runs", RUNS), ("epochs", EPOCHS), ("layers", LAYERS), ("heads", HEADS), ("transfer", TRANSFER))
        for name, columns in (*views, ("robustness", ROBUSTNESS), ("reference_points", POINTS)):
            object.__setattr__(self, name, _completed(getattr(self, name), columns, name))
        if self.planned is not None:
            object.__setattr__(self, "planned", _completed(self.planned, PLANNED, "planned"))
        studies = self.runs["study"].drop_nulls().unique()
        if len(studies) > 1:
            names = ", ".join(sorted(studies.to_list()))
            raise ReportError(
                f"a report shows one study, the runs hold {len(studies)}: {names}", hint="choose with --study"
            )

    @property
    def done(self) -> pl.DataFrame:
        """The finished runs, with `place`: the data set, and what else keeps runs of the study apart."""
        runs = with_place(self.runs.filter(pl.col("status") == "done"), split_factors(self.runs))
        return runs.sort("place", "method", "lr", "seed", "cell_id")

    @property
    def grid(self) -> pl.DataFrame:
        """One row per planned cell with its status and `place`; the runs themselves when no plan is known."""
        names = split_factors(self.runs)
        if self.planned is not None:
            own = self.runs.select("cell_id", COLUMN) if names else self.runs.select("cell_id").head(0)
            return with_place(self.planned.join(own, on="cell_id", how="left"), names)
        columns = [*PLANNED, *([COLUMN] if names else [])]
        return with_place(_completed(self.runs, PLANNED, "runs").select(columns), names)


def with_place(frame: pl.DataFrame, factors: Sequence[str] = ()) -> pl.DataFrame:
    """Add `place`, the label of a panel: the data set, the backbone where there are several, the levels of `factors`.

    `factors` are names of own factors (column ``factors``).
    """
    parts = [pl.col("dataset").fill_null("unnamed data set")]
    if frame["backbone"].n_unique() > 1:
        parts.append(pl.col("backbone").fill_null("unknown backbone"))
    named = frame.with_columns(place=pl.concat_str(parts, separator=" · "))
    if not factors:
        return named
    own = factor_columns(frame)
    texts = [pl.lit(f"{name} ") + own[name].cast(pl.String) for name in factors if name in own.columns]
    levels = own.select(pl.concat_str(texts, separator=", ").alias("levels"))["levels"]
    return named.with_columns(place=pl.concat_str("place", levels, separator=" · "))


def _completed(frame: pl.DataFrame, columns: Mapping[str, type[pl.DataType]], view: str) -> pl.DataFrame:
    """Return `frame` with every column of `columns` in its type, NaN as NULL; ReportError if a type cannot be had."""
    missing = [pl.lit(None).alias(name) for name in columns if name not in frame.columns]
    try:
        typed = frame.with_columns(missing).with_columns(pl.col(name).cast(kind) for name, kind in columns.items())
    except pl.exceptions.PolarsError as error:
        raise ReportError(f"view {view} cannot be shown: {error}", hint="heatdrift store rebuild") from error
    return typed.with_columns(pl.selectors.float().fill_nan(None))
