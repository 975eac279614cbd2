"""Numbers, units, names, p-values and lists as text: the one place that rounds.

Sentences, figures and the tables of a page say the same number with the same digits: three significant ones, trailing
zeros kept (3.00, not 3), a true minus sign, an en dash for what does not exist. Tables on a terminal are for copying:
six digits at most, an ASCII minus, nothing for what does not exist (`six_digits`).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from heatdrift import methods

MINUS: Final = "\u2212"
NOT_MEASURED: Final = "–"
_UNNAMED_UNITS: Final = ("0..1", "0..2", "<= 1", "ratio", "fraction", "count")
_MOST_DECIMALS: Final = 4
_SAME: Final = 1e-4
_ROUNDING: Final = 1e-12  # nothing that is measured is smaller; differences of equal numbers are
_MOST_DIGITS: Final = 6
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_END: Final = re.compile(r"[.:;] ")


def number(value: float | None, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, with a true minus sign; an en dash for NULL or NaN.

    >>> number(3.0), number(1234.5), number(0.00004)
    ('3.00', '1,234', '4.00e−5')
    """
    if value is None or math.isnan(value):
        return NOT_MEASURED
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if abs(value) < _ROUNDING:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    size = int(exponent)  # of the rounded number: 99.96 has the size of 100
    if size < -4 or size > 6:
        return f"{mantissa}e{size}".replace("-", MINUS)
    return f"{value:,.{max(digits - 1 - size, 0)}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return `number` with a plus where the value is above 0."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text != "0" else text


def six_digits(value: float) -> str:
    """Return a number of a terminal's table: six significant digits at most, as Python reads them; nothing for NaN.

    >>> six_digits(-0.5), six_digits(12.3456789), six_digits(float("nan"))
    ('-0.5', '12.3457', '')
    """
    return "" if math.isnan(value) else f"{value:.6g}"


def megabytes(n_bytes: int) -> str:
    """Return the size of a file, with two decimals: `2.50 MB`."""
    return f"{n_bytes / 1e6:.2f} MB"


def degrees(df: float) -> str:
    """Return degrees of freedom with three significant digits at most, none after the point where they are whole.

    >>> degrees(4.0), degrees(5.7235), degrees(1200.4)
    ('4', '5.72', '1,200')
    """
    if math.isnan(df):
        return NOT_MEASURED
    return f"{df:.3g}" if df < 999.5 else f"{df:,.0f}"


def t_text(df: float, t: float) -> str:
    """Return a t statistic as sentences print it: `t(4) = +20.3`."""
    return f"t({degrees(df)}) = {signed(t)}"


def f_text(df_num: float, df_den: float, f: float) -> str:
    """Return an F statistic as sentences and tables print it: `F(1.43, 5.72) = 41.5`."""
    return f"F({degrees(df_num)}, {degrees(df_den)}) = {number(f)}"


def p_value(p: float | None) -> str:
    """Return a p-value: `0.034`, below 0.0001 only that, next to 0.05 as many digits as tell the side."""
    if p is None or math.isnan(p):
        return NOT_MEASURED
    if p < 1e-4:
        return "< 0.0001"
    digits = next(n for n in range(2, 18) if p == 0.05 or float(f"{p:.{n}g}") != 0.05)
    return f"{p:.{digits}g}"


def p_text(p: float | None) -> str:
    """Return a p-value in a sentence: `p = 0.034`, `p < 0.0001`, `p not defined`."""
    if p is None or math.isnan(p):
        return "p not defined"
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def p_span(values: Sequence[float]) -> str:
    """Return `p = 0.018 to 0.39`; one value where both ends read the same; NaN do not count."""
    known = [p for p in values if not math.isnan(p)]
    if not known:
        return p_text(math.nan)
    low, high = p_text(min(known)), p_text(max(known))
    return low if low == high else f"{low} to {high.removeprefix('p ').removeprefix('= ')}"


def holm_head(p: Iterable[float]) -> str:
    """Return the heading of the p-values `p` adjusted over all of them that exist: `p (Holm over 8 rows)`."""
    return f"p (Holm over {counted(sum(not math.isnan(value) for value in p), 'row')})"


def percent(level: float) -> str:
    """Return a confidence level as `95 %`."""
    return f"{100 * level:g} %"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]`; an en dash where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NOT_MEASURED
    return f"[{number(low)}, {number(high)}]"


def difference_interval(level: float, low: float, high: float) -> str:
    """Return the interval of a difference in a sentence, with signs: `95 % CI +54.6 to +59.0`.

    Ends that differ read differently; an interval of no width says where it comes from.
    """
    if math.isnan(low) or math.isnan(high):
        return f"no {percent(level)} CI"
    if abs(high - low) <= _ROUNDING * max(abs(low), abs(high), 1.0):
        return f"no {percent(level)} CI: no spread between seeds"
    digits = next((n for n in range(3, _MOST_DIGITS) if signed(low, n) != signed(high, n)), _MOST_DIGITS)
    return f"{percent(level)} CI {signed(low, digits)} to {signed(high, digits)}"


def at_equal_decimals(values: Sequence[float], decimals: int = 1) -> list[str]:
    """Return numbers with equal decimals, as few (but at least `decimals`) as keep values apart that differ."""
    known = sorted(v for v in values if not math.isnan(v))
    different = sum(b - a > _SAME for a, b in pairwise(known)) + bool(known)
    while decimals < _MOST_DECIMALS and len({f"{v:.{decimals}f}" for v in known}) < different:
        decimals += 1
    return [NOT_MEASURED if math.isnan(v) else f"{v:.{decimals}f}".replace("-", MINUS) for v in values]


def learning_rate(lr: float | None) -> str:
    """Return a learning rate as study files write it: 1e-05 is `1e-5`, 0.003 is `3e-3`, averaged (None) is `all`."""
    if lr is None:
        return "all"
    if lr == 0:
        return "0"
    mantissa, exponent = f"{lr:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def method_title(name: str) -> str:
    """Return the words for a method; its own name where there are none."""
    return methods.method_title(name)


def method_difference(method_a: str, method_b: str) -> str:
    """Return the heading of a difference: `LoRA r=8 − Full FT`."""
    return f"{method_title(method_a)} {MINUS} {method_title(method_b)}"


def with_unit(text: str, unit: str) -> str:
    """Append a unit that has a name; ranges, ratios and counts have none."""
    return text if unit in _UNNAMED_UNITS else f"{text} {unit}"


def difference_unit(unit: str) -> str:
    """Return the unit of a difference: that of two percentages is percentage points."""
    return "points" if unit == "%" or unit.startswith("% of base") else unit


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return `1 run`, `2 runs`, with thousands separated."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def listed(items: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`; `none` for an empty list."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def shortened(text: str, most: int = 60) -> str:
    """Return a name as it is, or its beginning where it has more than `most` letters.

    >>> shortened("x" * 70, 5)
    'xxxxx… (70 letters)'
    """
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} letters)"


def quoted(titles: Sequence[str], shown: int = 3) -> str:
    """Return `“a”, “b” and “c”`; of a longer list the first `shown` and how many more (never `1 more`)."""
    names = [f"“{title}”" for title in titles]
    if len(names) > shown + 1:
        names = [*names[:shown], f"{len(names) - shown} more"]
    return listed(names)


def family_text(n: int, levels: Mapping[str, Sequence[str | None]]) -> str:
    """Return the family of an adjusted p, by what differs between its tests: `16 tests by metric and data set`."""
    names = [name for name, values in levels.items() if len(set(values)) > 1]
    return counted(n, "test") + (f" by {listed(names)}" if names else "")


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it is."""
    return text[:1].upper() + text[1:]


def gist(text: str) -> tuple[str, str]:
    """Split a text into what can be read in a line, and the rest; brackets stay whole.

    >>> gist("Seeds scatter more in some cells (F(15, 64) = 3.6). Read the seed-level test.")
    ('Seeds scatter more in some cells (F(15, 64) = 3.6).', 'Read the seed-level test.')
    """
    for end in _END.finditer(text):
        head = text[: end.start()]
        if head.count("(") == head.count(")"):
            return text[: end.start() + (text[end.start()] == ".")], text[end.end() :]
    return text, ""


def sparkline(values: Sequence[float]) -> str:
    """Return values as blocks between their lowest and their highest; a dot for NaN, one height where all are equal.

    >>> sparkline([0.0, 5.0, 10.0, float("nan")])
    '▁▅█·'
    """
    known = [v for v in values if not math.isnan(v)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = (high - low) / (len(_BLOCKS) - 1)

    def block(value: float) -> str:
        return _BLOCKS[round((value - low) / step) if step > 0 else len(_BLOCKS) // 2]

    return "".join("·" if math.isnan(v) else block(v) for v in values)


def unbroken(text: str) -> str:
    """Return `text` with a word joiner after each hyphen, so that no line ends inside `1e-5`."""
    return text.replace("-", "-\u2060")
