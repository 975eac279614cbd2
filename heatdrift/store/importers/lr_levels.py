"""Learning rates that passed through single precision or were multiplied out are the level that was meant.

1e-5 kept as a 32-bit float is read back as 9.999999747378752e-06, and 0.1 * 1e-4 is 1.0000000000000001e-05. Taken as
they are, one level of a grid becomes several, and no two runs of it are compared.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import or_none, read_whole
from heatdrift.store.folder import find_cells

SAME: Final = 1e-6  # relative distance below which two rates are one level
_SINGLE: Final = 1e-7  # relative; rounding to single precision moves a number by at most 6e-8
_DIGITS: Final = 3  # of rates that people write down


class _Cell(msgspec.Struct):
    lr: float


class _Record(msgspec.Struct):
    """The part of a record that is needed here."""

    cell: _Cell


def lr_levels(values: Iterable[float], known: Iterable[float] = ()) -> dict[float, float]:
    """Return rate -> level for those rates whose level is another number; what is alone and exact is not among them.

    A rate that is a level of the store (`known`), or is closer than `SAME` to one, is that level: which rates a file
    holds besides must not decide what a run is called, or a table that grew would store its runs twice.

    Of the others, those closer than `SAME` (relative) are one level: the one of them, or of their roundings to three
    digits within single precision, that has the fewest digits.

    >>> lr_levels([1e-5, 9.999999747378752e-06, 3e-5, 0.0])
    {9.999999747378752e-06: 1e-05}
    """
    groups: list[list[float]] = []
    there = sorted(set(known))
    levels = {value: level for value in set(values) if (level := _nearest(value, there)) is not None}
    for value in sorted(set(values) - set(levels)):
        if groups and value - groups[-1][0] <= SAME * abs(groups[-1][0]):
            groups[-1].append(value)
        else:
            groups.append([value])
    for group in groups:
        level = min({*group, *map(_written, group)}, key=lambda value: (_n_digits(value), value))
        levels |= dict.fromkeys(group, level)
    return {value: level for value, level in levels.items() if value != level}


def is_short(value: float) -> bool:
    """Whether a rate has so few digits that it is its own level whatever stands next to it."""
    return _n_digits(value) <= _DIGITS


def stored_rates(store_folder: Path, study: str) -> set[float]:
    """Return the learning rates of the records of a study; what cannot be read has none."""
    rates = set[float]()
    for cell in find_cells(store_folder, study):
        path = cell / "record.json"
        found = or_none(lambda path=path: msgspec.json.decode(read_whole(path), type=_Record))  # type: ignore[misc]
        if found is not None:
            rates.add(found.cell.lr)
    return rates


def said_levels(levels: Mapping[float, float], rows: Mapping[float, int]) -> str:
    """Say which rates were taken for which level; `rows`: rate -> rows that have it."""
    parts = []
    for level in sorted(set(levels.values())):
        own = [f"{value!r} ({rows[value]} rows)" for value in sorted(levels) if levels[value] == level]
        parts.append(f"{', '.join(own)} as {level!r}")
    return f"learning rates closer than {SAME:g} (relative) are one level: {'; '.join(parts)}"


def _nearest(value: float, there: Sequence[float]) -> float | None:
    """Return the level of sorted `there` that a rate is, or the nearest one within `SAME`; None without one."""
    at = bisect_left(there, value)
    near = [level for level in there[max(at - 1, 0) : at + 1] if abs(level - value) <= SAME * abs(level)]
    return min(near, key=lambda level: abs(level - value), default=None)


def _written(value: float) -> float:
    """Return the rate that a person would have written, where `value` is it in single precision; else `value`."""
    short = float(f"{value:.{_DIGITS}g}")
    return short if abs(short - value) <= _SINGLE * abs(value) else value


def _n_digits(value: float) -> int:
    return len(Decimal(repr(value)).normalize().as_tuple().digits)
