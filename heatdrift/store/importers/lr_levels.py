"""Learning rates that passed through single precision or were multiplied out are the level that was meant.

1e-5 kept as a 32-bit float is read back as 9.999999747378752e-06, and 0.1 * 1e-4 is 1.0000000000000001e-05. Taken as
they are, one level of a grid becomes several, and no two runs of it are compared.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

SAME: Final = 1e-6  # relative distance below which two rates are one level
_SINGLE: Final = 1e-7  # relative; rounding to single precision moves a number by at most 6e-8
_DIGITS: Final = 3  # of rates that people write down


def lr_levels(values: Iterable[float]) -> dict[float, float]:
    """Return rate -> level for those rates whose level is another number; what is alone and exact is not among them.

    Rates closer than `SAME` (relative) are one level: the one of them, or of their roundings to three digits within
    single precision, that has the fewest digits.

    >>> lr_levels([1e-5, 9.999999747378752e-06, 3e-5, 0.0])
    {9.999999747378752e-06: 1e-05}
    """
    groups: list[list[float]] = []
    for value in sorted(set(values)):
        if groups and value - groups[-1][0] <= SAME * abs(groups[-1][0]):
            groups[-1].append(value)
        else:
            groups.append([value])
    levels: dict[float, float] = {}
    for group in groups:
        level = min({*group, *map(_written, group)}, key=lambda value: (_n_digits(value), value))
        levels |= {value: level for value in group if value != level}
    return levels


def said_levels(levels: Mapping[float, float], rows: Mapping[float, int]) -> str:
    """Say which rates were taken for which level; `rows`: rate -> rows that have it."""
    parts = []
    for level in sorted(set(levels.values())):
        own = [f"{value!r} ({rows[value]} rows)" for value in sorted(levels) if levels[value] == level]
        parts.append(f"{', '.join(own)} as {level!r}")
    return f"learning rates closer than {SAME:g} (relative) are one level: {'; '.join(parts)}"


def _written(value: float) -> float:
    """Return the rate that a person would have written, where `value` is it in single precision; else `value`."""
    short = float(f"{value:.{_DIGITS}g}")
    return short if abs(short - value) <= _SINGLE * abs(value) else value


def _n_digits(value: float) -> int:
    return len(Decimal(repr(value)).normalize().as_tuple().digits)
