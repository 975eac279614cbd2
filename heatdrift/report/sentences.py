"""A sentence as the page shows it: its claim, and its numbers in brackets set apart."""

import re
from typing import Final

_DIGIT: Final = re.compile(r"\d")
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
