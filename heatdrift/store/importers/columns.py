"""Which of a table's columns (or MLflow's params and metrics) is which of ours, and values that no column has.

A column of our own name needs no entry. A TOML file says the same as the options::

    [columns]
    lr = "learning_rate"
    val_acc_pct = { column = "val_acc", factor = 100 }

    [constants]
    backbone = "ViT-B-32-quickgelu/openai"
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError, UnknownNameError
from heatdrift.metrics import PROBE, PROBES
from heatdrift.store.importers.values import is_missing, is_text, number_from, trimmed

IDENTITY: Final = ("backbone", "dataset", "method", "lr", "seed")
RUN: Final = (
    *("protocol", "status", "error", "epochs", "batch_size", "weight_decay", "data_seed", "selected_epoch"),
    *("trainable_params", "total_params", "test_acc_pct", "n_train", "n_val", "n_test", "n_probe", "wall_s"),
    *("started_at", "finished_at", "transfer_set", "zero_shot_base_pct", "zero_shot_pct", "n_transfer", "commit"),
    *("device", "source", "transfer_classes"),
)
PER_EPOCH: Final = ("train_loss", "train_acc_pct", "val_acc_pct", "track_zero_shot_pct", *PROBE)
BASE: Final = tuple(f"base_{p.name}" for p in PROBES if p.has_base)
LAYERS: Final = tuple(f"layers_{p.name}" for p in PROBES if p.per_layer)
BASE_LAYERS: Final = tuple(f"base_{name}" for name in LAYERS if PROBE[name.removeprefix("layers_")].has_base)
METRICS: Final = (*PER_EPOCH, *(name for name in RUN if name.endswith("_pct") or name == "wall_s"))
RECIPE: Final = ("epochs", "batch_size", "weight_decay", "data_seed")
TEXTS: Final = (
    *("backbone", "dataset", "method", "protocol", "status", "error", "started_at", "finished_at", "transfer_set"),
    *("commit", "device", "source"),
)
TARGETS: Final = (*IDENTITY, *RUN, "epoch", *PER_EPOCH, *BASE, *LAYERS, *BASE_LAYERS)


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column of theirs, and what to multiply it with (100 where they keep fractions)."""

    column: str
    factor: float = 1.0


class ColumnMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our name -> their column; our name -> a value for all runs."""

    columns: Mapping[str, Column | str] = {}
    constants: Mapping[str, str | int | float] = {}

    def __post_init__(self) -> None:
        for name in (*self.columns, *self.constants):
            if name not in TARGETS:
                raise UnknownNameError("column", name, TARGETS, where="the column map")

    def apply(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return our columns of one row of theirs; what is absent or missing (``values.py``) is left out."""
        ours: dict[str, object] = dict(self.constants)
        for name in TARGETS:
            column = self.source(name)
            value = row.get(column.column)
            if is_missing(value):
                continue
            if not is_text(value):
                raise ValueError(f"{name} is {ascii(value)[:40]}, which is no text")
            if name not in (*LAYERS, *BASE_LAYERS) and isinstance(value, list | tuple | dict):
                raise ValueError(f"{name} is {str(value)[:40]}, a list or an object, not one value")
            value = trimmed(value) if isinstance(value, str) else value
            ours[name] = _number(value, name) * column.factor if column.factor != 1.0 else value
        return ours

    def source(self, name: str) -> Column:
        """Return the column that one of ours is taken from, whether or not a source has it."""
        entry = self.columns.get(name, name if name not in self.constants else "")
        return entry if isinstance(entry, Column) else Column(column=entry)

    def described(self, columns: Sequence[str]) -> dict[str, str]:
        """Return for each of ours that `columns` or a constant fill where it comes from, in words."""
        found = {name: f"{value} for all rows" for name, value in self.constants.items()}
        for name in TARGETS:
            source = self.source(name)
            if source.column in columns:
                found[name] = source.column + (f" * {source.factor:g}" if source.factor != 1.0 else "")
        return {name: found[name] for name in TARGETS if name in found}

    def ignored(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return those of `columns` that none of ours is taken from, in their order."""
        used = {self.source(name).column for name in TARGETS}
        return tuple(column for column in columns if column not in used)

    def missing(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the mapped columns that `columns` lacks."""
        wanted = [c.column if isinstance(c, Column) else c for c in self.columns.values()]
        return tuple(sorted(set(wanted) - set(columns)))


def _number(value: object, name: str) -> float:
    try:
        return number_from(value)
    except ValueError:
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a number, and cannot take a factor") from None


def column_map(pairs: Sequence[str] = (), constants: Sequence[str] = (), file: Path | None = None) -> ColumnMap:
    """Make a map from a TOML file and from ``ours=theirs``, ``ours=theirs*100`` and ``ours=value`` texts, which win.

    Raises
    ------
    UnknownNameError
        A name that is none of ours; the nearest is offered.
    DataError
        A text without ``=``, or a file that is not such a map.
    """
    found = _read(file) if file is not None else ColumnMap()
    columns = dict(found.columns) | {ours: _column(theirs) for ours, theirs in map(_pair, pairs)}
    values = dict(found.constants) | dict(map(_pair, constants))
    for ours, value in values.items():
        if is_missing(value):
            raise DataError(f"the map sets {ours} to {str(value)!r}, which is no value", hint=f"--set {ours}=VALUE")
    return ColumnMap(columns=columns, constants=values)


def _read(file: Path) -> ColumnMap:
    with decoding(lambda said: DataError(f"cannot read {file}: {said}", hint="name a TOML file with --map-file")):
        text = read_whole(file)
    hint = "[columns] ours = 'theirs' and [constants] ours = value"
    try:
        with decoding(lambda said: DataError(f"{file}: {said}", hint=hint)):
            return msgspec.toml.decode(text, type=ColumnMap)
    except UnknownNameError as error:
        raise UnknownNameError(error.kind, error.name, error.known, where=str(file)) from error


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise DataError(f"a map entry is ours=theirs, got {text!r}", hint="--map lr=learning_rate")
    return ours.strip(), theirs.strip()


def _column(text: str) -> Column:
    name, star, factor = text.rpartition("*")
    try:
        return Column(column=name.strip(), factor=float(factor)) if star else Column(column=text)
    except ValueError:
        return Column(column=text)  # a column whose name has a star
