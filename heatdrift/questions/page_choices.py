"""What a page asks about methods: which pairs, in which metrics, and whether at learning rates of their own."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import polars as pl

from heatdrift.questions.base import StudyRuns
from heatdrift.questions.pairs import PAIR

ALL_PAIRS: Final = 3  # methods of which every pair is compared; of more, each with the first


def page_pairs(runs: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """Return the pairs (method_a, method_b) that a page compares: the usual one, else those of the methods at hand.

    Parameters
    ----------
    runs : rows of the view ``runs``; those that finished count.
    """
    known = _methods(runs.filter(pl.col("status") == "done"))
    if set(PAIR) <= set(known):
        return (PAIR,)
    pairs = combinations(known, 2) if len(known) <= ALL_PAIRS else ((known[0], name) for name in known[1:])
    return tuple((a, b) for b, a in pairs)


def asked_metrics(study: StudyRuns, term: str) -> tuple[str, ...]:
    """Return the metrics of the study's primary questions about `term` that any run has."""
    named = dict.fromkeys(question.metric for question in study.asked.primary if question.term == term)
    return tuple(name for name in named if name in study.runs.columns and study.runs[name].count())


def own_grids(runs: pl.DataFrame) -> bool:
    """Whether the methods that a page compares were planned at learning rates of their own.

    They were if two of them share fewer than two rates, or each has a rate that the other lacks. One that lacks some of
    the other's rates (a cell is missing) can be compared at those that both have.

    Parameters
    ----------
    runs : rows of the view ``runs`` of every status: a run that failed does not change what was planned.
    """
    planned = runs.drop_nulls(["method", "lr"])
    rates = {name: set(planned.filter(pl.col("method") == name)["lr"].to_list()) for name in _methods(planned)}
    compared: Sequence[str] = PAIR if set(PAIR) <= set(rates) else tuple(rates)
    for a, b in combinations(compared, 2):
        only_a, only_b, both = rates[a] - rates[b], rates[b] - rates[a], rates[a] & rates[b]
        if (only_a and only_b) or ((only_a or only_b) and len(both) < 2):
            return True
    return False


def _methods(runs: pl.DataFrame) -> list[str]:
    """Return the methods of some runs, full_ft first, as models order them."""
    return sorted(set(runs["method"].drop_nulls().to_list()), key=lambda name: (name != "full_ft", name))
