"""Numbers as words of a sentence: the one place where statistics round."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from heatdrift import methods

_UNNAMED_UNITS: Final = ("0..1", "0..2", "<= 1", "ratio", "fraction", "count")
_MOST_DECIMALS: Final = 4
_SAME: Final = 1e-4


def number(value: float) -> str:
    """Three significant digits with a true minus; NaN as 'n/a', whole thousands without an exponent."""
    if math.isnan(value):
        return "n/a"
    size = abs(value)
    return ("−" if value < 0 else "") + (f"{size:.0f}" if 999.5 <= size < 1e6 else f"{size:.3g}")


def signed(value: float) -> str:
    """Like `number`, with a plus where not negative and with all three digits: an interval reads +54.6 to +59.0."""
    if math.isnan(value):
        return "n/a"
    size = abs(value)
    digits = f"{size:#.3g}".rstrip(".") if 1e-4 <= size < 999.5 else number(size)
    return ("−" if value < 0 else "+") + digits


def p_text(p: float) -> str:
    """`p = 0.034`; below 0.0001 only that; next to 0.05 as many digits as tell the side."""
    if math.isnan(p):
        return "p n/a"
    if p < 1e-4:
        return "p < 0.0001"
    digits = next(n for n in range(2, 18) if p == 0.05 or float(f"{p:.{n}g}") != 0.05)
    return f"p = {p:.{digits}g}"


def p_span(values: Sequence[float]) -> str:
    """`p = 0.018 to 0.39`; one value where both ends read the same; NaN do not count."""
    known = [p for p in values if not math.isnan(p)]
    if not known:
        return p_text(math.nan)
    low, high = p_text(min(known)), p_text(max(known))
    return low if low == high else f"{low} to {high.removeprefix('p ').removeprefix('= ')}"


def apart(values: Sequence[float], decimals: int = 1) -> list[str]:
    """Numbers with equal decimals, as few (but at least `decimals`) as keep values apart that differ."""
    known = sorted(v for v in values if not math.isnan(v))
    different = sum(b - a > _SAME for a, b in pairwise(known)) + bool(known)
    while decimals < _MOST_DECIMALS and len({f"{v:.{decimals}f}" for v in known}) < different:
        decimals += 1
    return ["n/a" if math.isnan(v) else f"{v:.{decimals}f}".replace("-", "−") for v in values]


def named(titles: Sequence[str], shown: int = 3) -> str:
    """`“a”, “b” and “c”`; of a longer list the first `shown` and how many more (never `1 more`: that one is named)."""
    quoted = [f"“{title}”" for title in titles]
    if len(quoted) > shown + 1:
        quoted = [*quoted[:shown], f"{len(quoted) - shown} more"]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def family_by(n: int, levels: Mapping[str, Sequence[str | None]]) -> str:
    """`16 tests by metric, data set and method`: the family of an adjusted p, by what differs between its tests."""
    names = [name for name, values in levels.items() if len(set(values)) > 1]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
    return counted(n, "test") + (f" by {listed}" if listed else "")


def counted(n: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n} {what}" + ("" if n == 1 else "s")


def percent(level: float) -> str:
    """`95 %` for 0.95."""
    return f"{100 * level:g} %"


def with_unit(text: str, unit: str) -> str:
    """Append a unit that has a name; ranges, ratios and counts have none."""
    return text if unit in _UNNAMED_UNITS else f"{text} {unit}"


def method_title(name: str) -> str:
    """Words for a method; its own name where there are none."""
    return methods.method_title(name)


def difference_unit(unit: str) -> str:
    """Unit of a difference: that of two percentages is percentage points."""
    return "points" if unit in ("%", "% of base") else unit
