"""A sentence as the page shows it: its claim, and its numbers in brackets set apart."""

import re
from typing import Final

from heatdrift.wording import unbroken

_DIGIT: Final = re.compile(r"\d")
_INTERVAL: Final = re.compile(r"\bCI\b|\binterval\b")
_RATE: Final = re.compile(r"\b\d[\d.]*e-\d+\b")
_PLAIN: Final = re.compile(r"\(\d+ %\)")  # part of a name, as in `attention support (95 %)`


def evidence_parts(sentence: str) -> list[tuple[str, bool]]:
    """Split a sentence into its claim and its bracketed numbers: (text, whether it is such a bracket), in order.

    A bracket counts where a space comes before it, so `F(3, 12)` outside of brackets stays with the claim.
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


def whole_rates(text: str) -> str:
    """Return a sentence in which no line ends inside a learning rate such as `1e-5`."""
    return _RATE.sub(lambda found: unbroken(found[0]), text)


def shown_and_tested(sentence: str) -> tuple[list[tuple[str, bool]], str]:
    """Split a sentence into what is read first and how it was tested: brackets keep their interval, and lose the rest.

    >>> shown_and_tested("A is higher (95 % CI +1 to +2; t(4) = +9, p = 0.01)")
    ([('A is higher ', False), ('(95 % CI +1 to +2)', True)], 't(4) = +9, p = 0.01')
    """
    shown: list[tuple[str, bool]] = []
    tests: list[str] = []
    for text, bracketed in evidence_parts(sentence):
        if not bracketed:
            shown.append((text, bracketed))
            continue
        pieces = text[1:-1].split("; ")
        kept = [piece for piece in pieces if _INTERVAL.search(piece)]
        tests += [piece for piece in pieces if piece not in kept]
        if kept:
            shown.append((f"({'; '.join(kept)})", True))
        elif shown and not shown[-1][1]:
            shown[-1] = (shown[-1][0].rstrip(), False)
    return shown, "; ".join(tests)
