"""How the rows of a source become rows in our columns: found out from all of them, before any becomes a run.

What a row means may depend on the others: whether epochs count from 0, whether accuracies are fractions, which learning
rates are one level. `understand` looks at every row once and returns a `Reading`, which then reads each alike.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Literal

import msgspec

from heatdrift.errors import HeatdriftError, UnknownNameError
from heatdrift.metrics import FURTHER_PREFIX, PROBE, run_column
from heatdrift.store.importers.columns import IDENTITY, METRICS, ColumnMap
from heatdrift.store.importers.epoch_base import EpochsSeen
from heatdrift.store.importers.further_columns import further_columns, name_notes, transfer_notes
from heatdrift.store.importers.lr_levels import is_short, lr_levels, said_levels
from heatdrift.store.importers.outcome import Audit, Measured
from heatdrift.store.importers.own_factors import FACTOR, TELLS, level_of, own_factors, telling
from heatdrift.store.importers.percent import Percent, Range, check_percent
from heatdrift.store.importers.reading_notes import endless, overruled, recipe, refuse_percent_signs
from heatdrift.store.importers.values import is_missing, real_of, whole_of

Row = Mapping[str, object]
_KEYS: Final = (*IDENTITY, "protocol")


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a source, where its rows leave it open.

    Attributes
    ----------
    epochs_from : 0 = the first trained epoch is called 0, 1 = epoch 0 is the pretrained model; None = see the rows.
    percent : what to do with a percentage of which all values are at most 1.
    ignore : columns that are not kept as further metrics or factors.
    factors : columns that are factors and tell runs apart, whatever their names.
    """

    epochs_from: Literal[0, 1] | None = None
    percent: Percent = "ask"
    ignore: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How every row of one source is read.

    Attributes
    ----------
    columns : which column is which.
    shift : added to epochs.
    levels : learning rate as it stands there -> the level that it is.
    further : columns of numbers that are none of ours, kept as they are under their own names.
    factors, telling : columns of settings that are none of ours, and those of them that tell runs apart.
    audit : what was found on the way.
    """

    columns: ColumnMap
    shift: int = 0
    levels: Mapping[float, float] = {}
    further: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()
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
        for name in self.factors:
            if (level := level_of(row.get(name))) is not None:
                ours[FACTOR + name] = level
                if name in self.telling:
                    ours[TELLS + name] = level
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
    stored_rates: Callable[[], Iterable[float]] = tuple,
) -> Reading:
    """Look at all rows, each with a label for messages, and return how they are read.

    Parameters
    ----------
    read_as : how the source was read, in words.
    sure_percent : columns of the source whose values had a percent sign.
    guessed : those of our names whose column in `columns` was guessed.
    notes : what was said about the source before.
    aside : columns that are neither kept nor missed where nothing is taken from them.
    stored_rates : gives the learning rates of the study in the store; called only where they can matter.

    Raises
    ------
    DataError
        The rows leave open whether epochs start at 0 or accuracies are fractions, and `choices` does not say it.
    """
    ranges, rates, epochs = dict[str, Range](), Counter[float](), EpochsSeen()
    keys: dict[str, Counter[str]] = {name: Counter() for name in _KEYS}
    names: dict[str, None] = {}
    seen = list(rows)
    for _, row in seen:
        names.update(dict.fromkeys(row))
    free = [name for name in columns.ignored(tuple(names)) if name not in aside]
    plain = [row for _, row in seen]
    further = further_columns(plain, free, choices.ignore)
    factors = own_factors(plain, [name for name in free if name not in choices.ignore], choices.factors)
    for label, row in seen:
        try:
            ours = columns.apply(row)
        except (ValueError, HeatdriftError):
            continue  # reported with its row
        for name in METRICS:
            if (value := _number(ours, name)) is not None:
                ranges.setdefault(name, Range()).see(label, value)
        if (lr := _number(ours, "lr")) is not None:
            rates[lr] += 1
        for name in _KEYS:
            if name in ours and name != "lr":
                seed = _whole(ours, name) if name == "seed" else None
                keys[name][str(ours[name] if seed is None else seed)] += 1
        measured = any(not is_missing(row.get(name)) for name in further)
        epochs.see(label, ours, _whole(ours, "epoch"), _whole(ours, "selected_epoch"), measured=measured)
    taken = {name: columns.source(name) for name in ranges}
    refuse_percent_signs(columns, sure_percent, source)
    sure = [name for name, column in taken.items() if column.factor != 1.0 or column.column in sure_percent]
    theirs = {name: column.column for name, column in taken.items()}
    doubts = check_percent(ranges, theirs, sure, choices.percent, source, mixed_asks=True)
    shift, said = epochs.shift(choices.epochs_from, source)
    levels = lr_levels(rates, () if all(map(is_short, rates)) else stored_rates())
    notes += (*transfer_notes(ranges), *name_notes(free), *endless(seen, columns), *overruled(seen, columns))
    notes += recipe(seen, columns)
    notes = (*notes, *([said] if said else []), *([said_levels(levels, rates)] if levels else []), *doubts)
    shown = {name: tuple(sorted(found)) for name, found in keys.items() if found}
    shown["lr"] = tuple(f"{lr:g}" for lr in sorted({levels.get(lr, lr) for lr in rates}))
    reading = Reading(columns=columns, shift=shift, levels=levels, factors=factors, audit=Audit(rows=len(seen)))
    apart = telling(_readable(plain, reading), factors, choices.factors) if factors else ()
    shown |= {name: tuple(sorted({v for row in plain if (v := level_of(row.get(name)))})) for name in factors}
    audit = Audit(
        rows=len(seen),
        read_as=read_as,
        guessed=guessed,
        columns=columns.described(tuple(names)),
        keys={name: shown[name] for name in (*_KEYS, *factors) if shown.get(name)},
        factors=factors,
        telling=apart,
        measured=tuple(
            Measured(name=name, n=found.n, low=found.low, high=found.high, unit=_unit(name))
            for name, found in ranges.items()
        ),
        further=tuple(name for name in further if name not in factors),
        ignored=tuple(name for name in free if name not in (*further, *factors)),
        notes=notes,
    )
    return msgspec.structs.replace(reading, further=further, telling=apart, audit=audit)


def _readable(rows: Iterable[Row], reading: Reading) -> Iterable[dict[str, object]]:
    for row in rows:
        try:
            yield reading(row)
        except (ValueError, HeatdriftError):
            continue  # reported with its row


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
