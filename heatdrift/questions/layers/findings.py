"""Sentences of the layer tests: counts that control the false discovery rate, and where the largest effects are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import PROBE
from heatdrift.questions.claims import Claim, place_key
from heatdrift.questions.layers.result import LayerRow
from heatdrift.wording import capital, counted, method_title, p_text, percent, signed, with_unit

_HUGE: Final = 1000.0  # % of base


def layer_claims(
    rows: Sequence[LayerRow], method_a: str, method_b: str, datasets: Sequence[str], n_lrs: int, alpha: float
) -> tuple[Claim, ...]:
    """One claim per metric about the methods, and one per group about drift; heads have claims of their own.

    A claim is about the whole set of blocks or heads, that it differs or drifts anywhere: its p is the smallest of
    theirs after Benjamini-Hochberg's adjustment within the family, which is Simes' test where the family is the set.
    """
    families: dict[tuple[str, str, bool, str | None, str | None], list[LayerRow]] = {}
    for row in rows:
        if not np.isnan(row.p):
            families.setdefault((row.test, row.metric, row.head is None, row.dataset, row.method), []).append(row)
    over = f", averaged over {counted(n_lrs, 'learning rate')}" if n_lrs > 1 else ""
    claims = []
    for (test, metric, _, dataset, method), members in families.items():
        title, place = PROBE[metric].title, _place(members)
        drift = "the drift of " if PROBE[metric].has_base else ""
        here = dataset or (datasets[0] if len(datasets) == 1 else None)
        if test == "method":
            on = f" on {here}" if here else ""
            what = f"{method_title(method_a)} and {method_title(method_b)} differ in {drift}{title}{on}{over}"
            asks = f"{capital(place)}s in which {what}"
        else:
            group = f"{method_title(str(method))} on {here}"
            what = f"The mean drift of {title} with {group}{over} is not 0"
            asks = f"{capital(place)}s with a mean drift of {title}, {group}{over}"
        claims.append(
            _claim(
                f"layers/{metric}/{place}/{test}/{place_key(here)}/{method or 'all'}",
                asks,
                what,
                members,
                datasets,
                alpha,
            )
        )
    return tuple(claims)


def layer_findings(claims: Sequence[Claim], alpha: float) -> tuple[str, ...]:
    """Return the sentences of sets in which the false discovery rate leaves a block or a head."""
    return tuple(claim.sentence() for claim in claims if claim.p < alpha)


def silent_methods(claims: Sequence[Claim], alpha: float) -> tuple[str, ...]:
    """Say of each metric in which no block or head differs between the methods that none does."""
    return tuple(
        f"{claim.without_claim()[:-1]}. With so few seeds that is no proof of equality."
        for claim in claims
        if "/method/" in claim.key and not claim.p < alpha
    )


def _claim(key: str, asks: str, what: str, members: list[LayerRow], datasets: Sequence[str], alpha: float) -> Claim:
    found = [row for row in members if row.p_bh < alpha]
    first = min(members, key=lambda row: row.p_bh)
    largest = max(found or members, key=lambda row: abs(row.estimate))
    where = (
        f"{_place(members)} {largest.layer}" if largest.head is None else f"block {largest.layer}, head {largest.head}"
    )
    return Claim(
        key=key,
        p=first.p_bh,
        asks=asks,
        says=f"{what}, in {len(found)} of {counted(len(members), _place(members))}",
        measured="",
        evidence=(
            _rate(members, datasets, alpha),
            f"{sum(row.p_by < alpha for row in members)} also by Benjamini-Yekutieli",
            f"smallest adjusted {p_text(first.p_bh)}",
            f"{counted(largest.n, 'run')}, {counted(largest.n_seeds, 'seed')}",
        ),
        warning=f". Largest of these: {with_unit(signed(largest.estimate), largest.unit)} in {where} (counted from 0; "
        f"adjusted {p_text(largest.p_bh)})"
        + ("; a base value near 0 makes such a percentage" if _of_tiny_base(largest) else "")
        if found
        else "",
    )


def _of_tiny_base(row: LayerRow) -> bool:
    return PROBE[row.metric].has_base and abs(row.estimate) >= _HUGE


def _place(members: list[LayerRow]) -> str:
    return "block" if members[0].head is None else "head"


def _rate(members: list[LayerRow], datasets: Sequence[str], alpha: float) -> str:
    """The rate and its family, which for drift spans the groups."""
    family, place = members[0].family, _place(members)
    by = f"{place}, data set and method" if len(datasets) > 1 else f"{place} and method"
    over = counted(family, place) if family == len(members) else f"{family} tests by {by},"
    return f"false discovery rate {percent(alpha)} by Benjamini-Hochberg over {over} of this metric"
