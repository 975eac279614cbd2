"""Sentences about blocks and heads of several data sets, each tested apart, which a page sets side by side."""

from collections.abc import Sequence
from itertools import product, zip_longest

from heatdrift import wording
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import MANY
from heatdrift.questions.layers.result import LayerRow, LayersResult


def sentences(results: Sequence[LayersResult]) -> list[str]:
    """Return the sentences of all data sets; of many, a count first and data sets in turn."""
    each = [named_findings(result) for result in results]
    if sum(map(len, each)) <= MANY:
        return [text for texts in each for text in texts]
    by_turns = [text for texts in zip_longest(*each) for text in texts if text is not None]
    return [*_counts([row for result in results for row in result.rows]), *by_turns]


def _counts(rows: Sequence[LayerRow]) -> list[str]:
    """Return how many tests are supported, of blocks and of heads, of differences and of drifts."""
    words = {"method": "differences of the methods", "drift": "mean drifts of a group"}
    parts = []
    for test, heads in product(words, (False, True)):
        here = [row for row in rows if row.test == test and (row.head is not None) == heads and row.p_bh == row.p_bh]
        if here:
            n = sum(row.p_bh < ALPHA for row in here)
            parts.append(f"{n:,} of {len(here):,} {words[test]} in a {'head' if heads else 'block'}")
    if not parts:
        return []
    return [
        f"Supported at false discovery rate 5 %, Benjamini–Hochberg within each family of a data set and metric: "
        f"{wording.listed(parts)}. Below, each data set in turn."
    ]


def named_findings(result: LayersResult) -> list[str]:
    """Return the sentences of a result on one data set, each with its name."""
    only = result.datasets[0] if len(result.datasets) == 1 else ""
    return [text if not only or only in text else f"On {only}, {text}" for text in result.findings]
