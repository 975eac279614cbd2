"""A Parquet table of results image by image, checked: one row per run, transfer set and image.

========================  ==========================================================================================
dataset, method, lr, seed  which run (strings, float, integer); ``backbone`` where runs of several are imported
transfer_set              name of the evaluation (string)
image                     which image: a string or integer, the same for all runs
label                     true class (string or integer)
base_pred, adapted_pred   predicted classes, of the type of ``label``
base_hit, adapted_hit     right or not (boolean, or 0 and 1), where no classes were kept
========================  ==========================================================================================

Needed are hits, or a label with both predictions. All runs must have every image once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import DataError
from heatdrift.image_results import ImageResults, images_sha256
from heatdrift.store.importers.parquet_table import read_parquet_table
from heatdrift.store.importers.values import is_missing
from heatdrift.wording import learning_rate

KEY: Final = ("dataset", "method", "lr", "seed")
HITS: Final = ("base_hit", "adapted_hit")
CLASSES: Final = ("label", "base_pred", "adapted_pred")
_HINT: Final = "correct the table; nothing was imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunImages:
    """Results of one run on one transfer set, and the run as the table names it; ``backbone`` may be unnamed (None)."""

    backbone: str | None
    dataset: str
    method: str
    lr: float
    seed: int
    transfer_set: str
    results: ImageResults

    @property
    def named(self) -> str:
        """The run in words."""
        where = f"{self.backbone}, " if self.backbone else ""
        return f"{where}{self.dataset}, {self.method}, lr {learning_rate(self.lr)}, seed {self.seed}"


def read_run_images(path: Path) -> tuple[RunImages, ...]:
    """Read and check the table.

    Raises
    ------
    DataError
        No such table; a column is missing, of the wrong type or has gaps; an image occurs twice in a run; the images,
        or their labels, are not the same for two runs; hits that contradict the predictions.
    """
    frame = _frame(path)
    keys = [*(["backbone"] if "backbone" in frame.columns else []), *KEY]
    frame = frame.sort([*keys, "transfer_set", "image"])
    twice = frame.filter(pl.struct(*keys, "transfer_set", "image").is_duplicated())
    if twice.height:
        raise DataError(
            f"{path}: image {twice['image'][0]} of {twice['transfer_set'][0]} occurs twice for {_run(twice, keys)}",
            hint=_HINT,
        )
    return tuple(run for (name,), part in _parts(frame, ["transfer_set"]) for run in _of_set(path, part, keys, name))


def _parts(frame: pl.DataFrame, by: list[str]) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    yield from frame.group_by(by, maintain_order=True)


def _frame(path: Path) -> pl.DataFrame:
    frame = read_parquet_table(path, hint="name a Parquet file with --images")
    classes, hits = (all(c in frame.columns for c in wanted) for wanted in (CLASSES, HITS))
    missing = [c for c in (*KEY, "transfer_set", "image") if c not in frame.columns]
    if not (classes or hits):
        missing += [c for c in HITS if c not in frame.columns]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]} (it has: {', '.join(frame.columns)})",
            hint="docs/store.md lists the columns: base_hit and adapted_hit, or label, base_pred and adapted_pred",
        )
    if not frame.height:
        raise DataError(f"{path} has no rows", hint=_HINT)
    used = [c for c in ("backbone", *KEY, "transfer_set", "image", *CLASSES, *HITS) if c in frame.columns]
    frame = frame.select(_typed(path, frame, name) for name in used)
    frame = frame.with_columns(_or_null(frame[name]) for name in used)
    for name in used:
        if frame[name].null_count():
            gap = frame.filter(pl.col(name).is_null())
            raise DataError(f"{path}: {name} is missing in {gap.height} rows ({_run(gap, KEY)})", hint=_HINT)
    return frame


def _typed(path: Path, frame: pl.DataFrame, name: str) -> pl.Expr:
    kind, column = frame.schema[name], pl.col(name)
    text = isinstance(kind, pl.String | pl.Categorical | pl.Enum)
    if name in HITS:
        known = kind == pl.Boolean or (kind.is_integer() and frame[name].drop_nulls().is_in([0, 1]).all())
        wanted, cast = "boolean, or 0 and 1", column.cast(pl.Boolean)
    elif name == "lr":
        known, wanted, cast = kind.is_numeric(), "a number", column.cast(pl.Float64)
    elif name == "seed":
        known, wanted, cast = kind.is_integer(), "a whole number", column.cast(pl.Int64)
    elif name in ("image", *CLASSES):
        known, wanted = text or kind.is_integer(), "a string or a whole number"
        cast = column.cast(pl.String if text else pl.Int64)
    else:
        known, wanted, cast = text, "a string", column.cast(pl.String)
    if not known:
        raise DataError(f"{path}: column {name} is {kind}, not {wanted}", hint=_HINT)
    if name in ("base_pred", "adapted_pred") and "label" in frame.columns:
        of_label = isinstance(frame.schema["label"], pl.String | pl.Categorical | pl.Enum)
        if of_label != text:
            raise DataError(f"{path}: {name} is {kind}, label {frame.schema['label']}", hint=_HINT)
    return cast


def _or_null(values: pl.Series) -> pl.Series:
    """Words for no value, and NaN, as NULL: a missing prediction is no class of its own."""
    if values.dtype == pl.Float64:
        return values.fill_nan(None)
    if values.dtype != pl.String:
        return values
    words = [word for word in values.unique() if is_missing(word)]
    return values.to_frame().select(pl.when(~pl.col(values.name).is_in(words)).then(pl.col(values.name))).to_series()


def _run(rows: pl.DataFrame, keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {rows[key][0]}" for key in keys)


def _of_set(path: Path, frame: pl.DataFrame, keys: list[str], name: str) -> Iterator[RunImages]:
    """Yield the runs of one transfer set, each with its images in one order; refuse those that are not the same."""
    names = _class_names(frame)
    first: pl.DataFrame | None = None
    sha256 = ""
    for _, part in _parts(frame, keys):
        if first is None:
            first, sha256 = part, images_sha256("import", part["image"].to_list())
        same = part["image"].equals(first["image"])
        if not same:
            raise DataError(
                f"{path}: the images of {name} are not the same for two runs ({first.height}: {_run(first, keys)}; "
                f"{part.height}: {_run(part, keys)})",
                hint="give every run every image, with one name each; nothing was imported",
            )
        if "label" in part.columns and not part["label"].equals(first["label"]):
            raise DataError(
                f"{path}: an image of {name} has another label in two runs ({_run(first, keys)}; {_run(part, keys)})",
                hint=_HINT,
            )
        row = part.row(0, named=True)
        yield RunImages(
            backbone=row.get("backbone"),
            dataset=row["dataset"],
            method=row["method"],
            lr=row["lr"],
            seed=row["seed"],
            transfer_set=name,
            results=_results(path, part, names, sha256, keys),
        )


def _class_names(frame: pl.DataFrame) -> list[Any]:
    found = [frame[name].unique() for name in CLASSES if name in frame.columns]
    return pl.concat([f.alias("name") for f in found]).unique().sort().to_list() if found else []


def _results(path: Path, part: pl.DataFrame, names: list[Any], sha256: str, keys: list[str]) -> ImageResults:
    codes = {name: _codes(part[name], names) for name in CLASSES if name in part.columns}
    hits: list[npt.NDArray[Any]] = (
        [part[name].to_numpy() for name in HITS] if all(name in part.columns for name in HITS) else []
    )
    label, predicted = codes.get("label"), [codes.get("base_pred"), codes.get("adapted_pred")]
    if label is not None and predicted[0] is not None and predicted[1] is not None:
        own = [np.equal(classes, label) for classes in predicted if classes is not None]
        if len(hits) == 2 and not all(np.array_equal(a, b) for a, b in zip(own, hits, strict=True)):
            raise DataError(
                f"{path}: hits and predicted classes disagree about which images are right ({_run(part, keys)})",
                hint=_HINT,
            )
        hits = own
    return ImageResults(
        base=hits[0],
        adapted=hits[1],
        label=label,
        base_class=None if label is None else predicted[0],
        adapted_class=None if label is None else predicted[1],
        class_names=tuple(map(str, names)) if label is not None else (),
        images=sha256,
    )


def _codes(values: pl.Series, names: list[Any]) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.array(names), np.array(values.to_list())).astype(np.int64)
