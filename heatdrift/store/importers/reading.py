"""How the rows of a source become rows in our columns: found out from all of them, before any becomes a run.

What a row means may depend on the others: whether epochs count from 0, whether accuracies are fractions, which learning
rates are one level. `understand` looks at every row once and returns a `Reading`, which then reads each alike.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

import msgspec

from heatdrift.errors import HeatdriftError, UnknownNameError
from heatdrift.metrics import FURTHER_PREFIX, PROBE, run_column
from heatdrift.store.importers.columns import IDENTITY, PER_EPOCH, RUN, ColumnMap
from heatdrift.store.importers.epoch_base import EpochsSeen
from heatdrift.store.importers.further_columns import further_columns, transfer_notes
from heatdrift.store.importers.lr_levels import lr_levels, said_levels
from heatdrift.store.importers.outcome import Audit, Measured
from heatdrift.store.importers.percent import Percent, Range, check_percent
from heatdrift.store.importers.values import is_missing, real_of, whole_of
from heatdrift.wording import counted, listed

Row = Mapping[str, object]
_METRICS: Final = (*PER_EPOCH, *(name for name in RUN if name.endswith("_pct") or name == "wall_s"))
_RECIPE: Final = ("epochs", "batch_size", "weight_decay", "data_seed")
_KEYS: Final = (*IDENTITY, "protocol")


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a source, where its rows leave it open.

    Attributes
    ----------
    epochs_from : 0 = the first trained epoch is called 0, 1 = epoch 0 is the pretrained model; None = see the rows.
    percent : what to do with a percentage of which all values are at most 1.
    ignore : columns that are not kept as further metrics.
    """

    epochs_from: Literal[0, 1] | None = None
    percent: Percent = "ask"
    ignore: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How every row of one source is read.

    Attributes
    ----------
    columns : which column is which.
    shift : added to epochs.
    levels : learning rate as it stands there -> the level that it is.
    further : columns of numbers that are none of ours, kept as they are under their own names.
    audit : what was found on the way.
    """

    columns: ColumnMap
    shift: int = 0
    levels: Mapping[float, float] = {}
    further: tuple[str, ...] = ()
    audit: Audit

    def __call__(self, row: Row) -> dict[str, object]:
        """Return a row in our columns; ValueError names a value that is not what its column holds."""
        ours = self.columns.apply(row)
        for name in ("epoch", "selected_epoch") if self.shift else ():
            number = whole_of(ours, name)
            if number is not None:
                ours[name] = number + self.shift
        lr = real_of(ours, "lr")
        if lr is not None:
            ours["lr"] = self.levels.get(lr, lr)
        for name in self.further:
            if not is_missing(row.get(name)):
                ours[FURTHER_PREFIX + name] = row[name]
        return ours


def understand(
    rows: Iterable[tuple[str, Row]],
    columns: ColumnMap,
    choices: Choices,
    *,
    source: str,
    read_as: str = "",
    sure_percent: tuple[str, ...] = (),
    guessed: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    aside: Collection[str] = (),
) -> Reading:
    """Look at all rows, each with a label for messages, and return how they are read.

    Parameters
    ----------
    read_as : how the source was read, in words.
    sure_percent : columns of the source whose values had a percent sign.
    guessed : those of our names whose column in `columns` was guessed.
    notes : what was said about the source before.
    aside : columns that are neither kept nor missed where nothing is taken from them.

    Raises
    ------
    DataError
        The rows leave open whether epochs start at 0 or accuracies are fractions, and `choices` does not say it.
    """
    ranges, rates, epochs = dict[str, Range](), Counter[float](), EpochsSeen()
    keys: dict[str, Counter[str]] = {name: Counter() for name in _KEYS}
    names: dict[str, None] = {}
    seen = list(rows)
    for label, row in seen:
        names.update(dict.fromkeys(row))
        try:
            ours = columns.apply(row)
        except (ValueError, HeatdriftError):
            continue  # reported with its row
        for name in _METRICS:
            if (value := _number(ours, name)) is not None:
                ranges.setdefault(name, Range()).see(label, value)
        if (lr := _number(ours, "lr")) is not None:
            rates[lr] += 1
        for name in _KEYS:
            if name in ours and name != "lr":
                keys[name][str(ours[name])] += 1
        epochs.see(label, ours, _whole(ours, "epoch"), _whole(ours, "selected_epoch"))
    free = [name for name in columns.ignored(tuple(names)) if name not in aside]
    further = further_columns([row for _, row in seen], free, choices.ignore)
    taken = {name: columns.source(name) for name in ranges}
    sure = [name for name, column in taken.items() if column.factor != 1.0 or column.column in sure_percent]
    doubts = check_percent(ranges, {name: c.column for name, c in taken.items()}, sure, choices.percent, source)
    shift, said = epochs.shift(choices.epochs_from, source)
    levels = lr_levels(rates)
    notes += (*transfer_notes(ranges), *_endless(seen, columns), *_overruled(seen, columns), *_recipe(seen, columns))
    notes = (*notes, *([said] if said else []), *([said_levels(levels, rates)] if levels else []), *doubts)
    shown = {name: tuple(sorted(found)) for name, found in keys.items() if found}
    shown["lr"] = tuple(f"{lr:g}" for lr in sorted({levels.get(lr, lr) for lr in rates}))
    audit = Audit(
        rows=len(seen),
        read_as=read_as,
        guessed=guessed,
        columns=columns.described(tuple(names)),
        keys={name: shown[name] for name in _KEYS if shown.get(name)},
        measured=tuple(
            Measured(name=name, n=found.n, low=found.low, high=found.high, unit=_unit(name))
            for name, found in ranges.items()
        ),
        further=further,
        ignored=tuple(name for name in free if name not in further),
        notes=notes,
    )
    return Reading(columns=columns, shift=shift, levels=levels, further=further, audit=audit)


def _endless(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say which results are infinite: they are stored as missing."""
    found: dict[str, list[str]] = {}
    for label, row in rows:
        for name in _METRICS:
            value = row.get(columns.source(name).column)
            if isinstance(value, str | float) and str(value).strip().lstrip("+-").casefold() in ("inf", "infinity"):
                found.setdefault(name, []).append(label)
    return tuple(
        f"{name}: {counted(len(labels), 'infinite value')} ({labels[0]}{' and others' if len(labels) > 1 else ''}) "
        "stored as missing"
        for name, labels in found.items()
    )


def _recipe(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say which settings of training are not kept, and which is not given: a recipe needs epochs and batch size."""
    held = {
        name
        for name in _RECIPE
        if name in columns.constants or any(not is_missing(row.get(columns.source(name).column)) for _, row in rows)
    }
    if not {"epochs", "batch_size"} <= held:
        lost = sorted(held & {*_RECIPE})
        lacking = listed(sorted({"epochs", "batch_size"} - held))
        return (
            (f"{listed(lost)} not kept, because there is no {lacking}: runs are not told apart by it",) if lost else ()
        )
    return () if "weight_decay" in held else ("weight_decay is not given: runs are stored with 0.01",)


def _overruled(rows: Iterable[tuple[str, Row]], columns: ColumnMap) -> tuple[str, ...]:
    """Say where a value for all rows goes before a column of that name which says otherwise."""
    said = []
    seen = list(rows)
    for name, value in columns.constants.items():
        held = {str(row[name]) for _, row in seen if not is_missing(row.get(name))} - {str(value)}
        if held:
            said.append(
                f"{name} is {value} for all rows, though a column {name!r} says otherwise "
                f"({counted(len(held), 'other value')})"
            )
    return tuple(said)


def _number(row: Row, name: str) -> float | None:
    try:
        return real_of(row, name)
    except ValueError:
        return None  # reported with its row


def _whole(row: Row, name: str) -> int | None:
    try:
        return whole_of(row, name)
    except ValueError:
        return None


def _unit(name: str) -> str:
    if name in PROBE:
        return PROBE[name].unit
    try:
        return run_column(name).unit
    except UnknownNameError:
        return "%" if name.endswith("_pct") else ""
