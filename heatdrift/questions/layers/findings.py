"""Sentences of the layer tests: counts that control the false discovery rate, and where the largest effects are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import PROBE
from heatdrift.questions.layers.result import LayerRow
from heatdrift.wording import counted, method_title, p_text, percent, signed, with_unit

_HUGE: Final = 1000.0  # % of base


def layer_findings(
    rows: Sequence[LayerRow], method_a: str, method_b: str, datasets: Sequence[str], n_lrs: int, alpha: float
) -> tuple[str, ...]:
    """One sentence per metric about the methods, and one per group that drifted; heads in sentences of their own."""
    families: dict[tuple[str, str, bool, str | None, str | None], list[LayerRow]] = {}
    for row in rows:
        if not np.isnan(row.p):
            families.setdefault((row.test, row.metric, row.head is None, row.dataset, row.method), []).append(row)
    over = f", averaged over {counted(n_lrs, 'learning rate')}" if n_lrs > 1 else ""
    sentences = []
    for (test, metric, _, dataset, method), members in families.items():
        title = PROBE[metric].title
        drift = "the drift of " if PROBE[metric].has_base else ""
        found = [row for row in members if row.p_bh < alpha]
        if test == "method":
            what = (
                f"{method_title(method_a)} and {method_title(method_b)} differ in {drift}{title}{over and over + ','}"
            )
        else:
            place = f"{method_title(str(method))} on {dataset or datasets[0]}"
            what = f"The mean drift of {title} with {place}{over and over + ','} is not 0"
        if found:
            sentences.append(_supported(what, members, found, datasets, alpha))
        elif test == "method":
            sentences.append(_unsupported(what, members, datasets, alpha))
    return tuple(sentences)


def _supported(what: str, members: list[LayerRow], found: list[LayerRow], datasets: Sequence[str], alpha: float) -> str:
    cautious = sum(row.p_by < alpha for row in found)
    largest = max(found, key=lambda row: abs(row.estimate))
    where = f"block {largest.layer}" + ("" if largest.head is None else f", head {largest.head}")
    return (
        f"{what} in {len(found)} of {counted(len(members), _place(members))} ({_rate(members, datasets, alpha)}; "
        f"{cautious} also by Benjamini-Yekutieli; {counted(largest.n, 'run')}, {counted(largest.n_seeds, 'seed')}). "
        f"Largest of these: {with_unit(signed(largest.estimate), largest.unit)} in {where} (counted from 0; adjusted "
        f"{p_text(largest.p_bh)})"
        + ("; a base value near 0 makes such a percentage" if _of_tiny_base(largest) else "")
        + "."
    )


def _of_tiny_base(row: LayerRow) -> bool:
    return PROBE[row.metric].has_base and abs(row.estimate) >= _HUGE


def _unsupported(what: str, members: list[LayerRow], datasets: Sequence[str], alpha: float) -> str:
    smallest = min(members, key=lambda row: row.p_bh)
    return (
        f"{what} in none of {counted(len(members), _place(members))} ({_rate(members, datasets, alpha)}; smallest "
        f"adjusted {p_text(smallest.p_bh)}; {counted(smallest.n, 'run')}, {counted(smallest.n_seeds, 'seed')}). "
        "With so few seeds that is no proof of equality."
    )


def _place(members: list[LayerRow]) -> str:
    return "block" if members[0].head is None else "head"


def _rate(members: list[LayerRow], datasets: Sequence[str], alpha: float) -> str:
    """The rate and its family, which for drift spans the groups."""
    family, place = members[0].family, _place(members)
    by = f"{place}, data set and method" if len(datasets) > 1 else f"{place} and method"
    over = counted(family, place) if family == len(members) else f"{family} tests by {by},"
    return f"false discovery rate {percent(alpha)} by Benjamini-Hochberg over {over} of this metric"
