"""Sentences of many tests: above two dozen nobody reads them all, so the count comes first and then the strongest."""

from collections.abc import Sequence
from typing import Final

MANY: Final = 24  # sentences of one result that are given in the order of its rows


def ranked(found: Sequence[tuple[tuple[float, ...], str]], summary: str) -> list[str]:
    """Return the sentences in their own order; if they are more than MANY, `summary` and then the strongest first.

    Parameters
    ----------
    found : (strength, sentence) of every claim; the smaller the strength, a p-value for instance, the stronger.
    summary : how many of how many tests are supported, after which adjustment.
    """
    if len(found) <= MANY:
        return [sentence for _, sentence in found]
    return [f"{summary} Strongest first.", *(sentence for _, sentence in sorted(found, key=lambda claim: claim[0]))]
