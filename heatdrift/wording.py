"""Numbers and names as text: the only place of the report where anything is rounded."""

import math
import re
from collections.abc import Iterable

from heatdrift.methods import learning_rate_text

MINUS = "\u2212"
NOT_MEASURED = "–"
_DIGIT = re.compile(r"\d")
_PLAIN = re.compile(r"\(\d+ %\)")  # part of a name, as in `attention support (95 %)`


def number(value: float | None, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, with a true minus sign; an en dash for NULL or NaN."""
    if value is None or math.isnan(value):
        return NOT_MEASURED
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    size = int(exponent)  # of the rounded number: 99.96 has the size of 100
    if size < -4 or size > 6:
        return f"{mantissa}e{size}".replace("-", MINUS)
    return f"{value:,.{max(digits - 1 - size, 0)}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return `number` with a plus where the value is above 0."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def degrees(df: float) -> str:
    """Return degrees of freedom with one decimal, none where they are whole."""
    return NOT_MEASURED if math.isnan(df) else f"{df:,.1f}".removesuffix(".0")


def p_value(p: float | None) -> str:
    """Return a p-value as the sentences of the statistics print it: `0.034`, more digits next to 0.05, `< 0.0001`."""
    if p is None or math.isnan(p):
        return NOT_MEASURED
    if p < 1e-4:
        return "< 0.0001"
    digits = next(n for n in range(2, 18) if p == 0.05 or float(f"{p:.{n}g}") != 0.05)
    return f"{p:.{digits}g}"


def holm_head(p: Iterable[float]) -> str:
    """Return the heading of the p-values `p` adjusted over all of them that exist: `p (Holm over 8 rows)`."""
    return f"p (Holm over {counted(sum(not math.isnan(value) for value in p), 'row')})"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]`; an en dash where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NOT_MEASURED
    return f"[{number(low)}, {number(high)}]"


def learning_rate(lr: float | None) -> str:
    """Return a learning rate as written in a study file: 1e-05 is `1e-5`, averaged (None) is `all`."""
    if lr is None:
        return "all"
    return learning_rate_text(lr)


def evidence_parts(sentence: str) -> list[tuple[str, bool]]:
    """Split a sentence into its claim and its bracketed numbers: (text, whether it is such a bracket), in order.

    A bracket counts where a space stands before it, so `F(3, 12)` outside of brackets stays with the claim.
    """
    parts: list[tuple[str, bool]] = []
    start, depth = 0, 0
    for i, character in enumerate(sentence):
        if character == "(" and (depth or sentence[i - 1 : i] == " "):
            if not depth and i > start:
                parts.append((sentence[start:i], False))
                start = i
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            if not depth:
                bracket = sentence[start : i + 1]
                parts.append((bracket, _DIGIT.search(bracket) is not None and _PLAIN.fullmatch(bracket) is None))
                start = i + 1
    return [*parts, (sentence[start:], False)] if start < len(sentence) else parts


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it is."""
    return text[:1].upper() + text[1:]


def unbroken(text: str) -> str:
    """Return `text` with a word joiner after each hyphen, so that no line ends inside `1e-5`."""
    return text.replace("-", "-\u2060")


def percent(level: float) -> str:
    """Return a confidence level as `95 %`."""
    return f"{100 * level:g} %"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return `1 run`, `2 runs`, with thousands separated."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(items: list[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"
