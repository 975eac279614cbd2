"""Sentences about the accuracy-retention front and the matched comparisons."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import Column, run_column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import MANY, Claim, ranked
from heatdrift.questions.frontier.result import FrontierCell, MatchedRow
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.multiplicity import holm
from heatdrift.wording import (
    at_equal_decimals,
    counted,
    difference_interval,
    learning_rate,
    method_title,
    number,
    p_text,
    percent,
    signed,
    t_text,
    with_unit,
)

_FEW_SEEDS: Final = 5
_NAMED: Final = (8, 3)  # cells of one front that its sentence names: usually, and where there are many data sets
_FEW_DATASETS: Final = 4


def matched_claims(
    matched: Sequence[MatchedRow], datasets: Sequence[str], level: float, accuracy: Column
) -> tuple[Claim, ...]:
    """One claim per comparison of two methods at equal accuracy or weight drift."""
    titles = {accuracy.name: accuracy.title}
    return tuple(_claim(row, row.dataset or datasets[0], level, titles) for row in matched)


def frontier_findings(matched: Sequence[MatchedRow], claims: Sequence[Claim]) -> tuple[str, ...]:
    """Return the comparisons that hold after Holm's adjustment over all of them."""
    adjusted = holm([claim.p for claim in claims]).tolist()
    tested = sum(not np.isnan(p) for p in adjusted)
    held = [(claim, p) for claim, p in zip(claims, adjusted, strict=True) if p < ALPHA]
    family = f"Holm over {counted(tested, 'comparison')}"
    sentences = [((p,), claim.sentence(f"{family} {p_text(p)}" if tested > 1 else "")) for claim, p in held]
    return tuple(ranked(sentences, _summary(matched)))


def frontier_descriptions(
    cells: Sequence[FrontierCell],
    matched: Sequence[MatchedRow],
    claims: Sequence[Claim],
    datasets: Sequence[str],
    accuracy: Column,
) -> tuple[str, ...]:
    """Per data set: the front, then what the comparisons that are not supported estimate, or why they say nothing."""
    named = _NAMED[len(datasets) > _FEW_DATASETS]
    adjusted = holm([claim.p for claim in claims]).tolist()
    found: list[str] = []
    for dataset in datasets:
        here = [c for c in cells if (c.dataset or datasets[0]) == dataset]
        found.append(_front(here, dataset, accuracy.title, named))
        if len(matched) > MANY:
            continue
        for row, claim, p in zip(matched, claims, adjusted, strict=True):
            if (row.dataset or datasets[0]) != dataset or p < ALPHA:
                continue
            found.append(
                f"{claim.asks}: not possible, {row.note}." if np.isnan(row.difference) else claim.without_claim()
            )
    return (*found, _summary(matched)) if len(matched) > MANY else tuple(found)


def _summary(matched: Sequence[MatchedRow]) -> str:
    above, below = sum(row.ci_low > 0 for row in matched), sum(row.ci_high < 0 for row in matched)
    unknown = sum(bool(np.isnan(row.se)) for row in matched)
    return (
        f"Of {counted(len(matched), 'comparison')} of two methods at equal accuracy or weight drift, {above} have an "
        f"interval above 0, {below} below 0, {len(matched) - above - below - unknown} include 0 and {unknown} have "
        "none; the intervals are not adjusted for their number."
    )


def _front(cells: Sequence[FrontierCell], dataset: str, accuracy: str, n_named: int) -> str:
    front = sorted((c for c in cells if c.on_front), key=lambda c: -c.acc_pct)
    surest = sorted(front, key=lambda c: (np.isnan(c.front_share), -c.front_share))[:n_named]
    named = [c for c in front if c in surest]
    others = f"; and {len(front) - len(named)} more, on it in fewer resamples" if len(named) < len(front) else ""
    shown = "; ".join(
        f"{method_title(c.method)} at lr {learning_rate(c.lr)} (accuracy {acc} %, retention {kept} %"
        + ("" if np.isnan(c.front_share) else f", on the front in {_share(c)} of resamples of seeds")
        + ")"
        for c, acc, kept in zip(
            named,
            at_equal_decimals([c.acc_pct for c in named]),
            at_equal_decimals([c.retention_pct for c in named]),
            strict=True,
        )
    )
    seeds = sorted({c.n_seeds for c in cells})
    per_cell = counted(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    verb = "is" if len(front) == 1 else "are"
    return (
        f"On {dataset} {len(front)} of {counted(len(cells), 'cell')} ({per_cell} each) {verb} on the front: no other "
        f"cell is as good in both {accuracy} and retention and better in one. By falling accuracy: {shown}{others}."
    )


def _reach(row: MatchedRow) -> str:
    """The overlap; a method with one learning rate has a point."""
    ends = [row.overlap_low, row.overlap_high]
    unit = run_column(row.matched_on).unit
    low, high = at_equal_decimals(ends) if unit == "%" else (number(end) for end in ends)
    return with_unit(low if low == high else f"{low} to {high}", unit)


def _share(cell: FrontierCell) -> str:
    return percent(round(cell.front_share, 2))


def _claim(row: MatchedRow, dataset: str, level: float, titles: Mapping[str, str]) -> Claim:
    a, b = method_title(row.method_a), method_title(row.method_b)
    title = titles.get(row.matched_on) or run_column(row.matched_on).title
    known = not np.isnan(row.difference)
    t = row.difference / row.se if row.se > 0 else float("nan")
    p = t_p_value(t, row.df)
    rough = ", rough with so few" if row.n_seeds < _FEW_SEEDS else ""
    return Claim(
        key=f"frontier/{row.matched_on}/{dataset}",
        p=p,
        asks=f"{a} against {b} in retention on {dataset}, compared at equal {title}",
        says=f"At equal {title} ({_reach(row)}) on {dataset}, {a} keeps {'more' if row.difference > 0 else 'less'} "
        f"retention than {b}"
        if known
        else "",
        measured=f"difference {signed(row.difference)} points" if known else "",
        evidence=tuple([row.note] if row.note else [])
        if np.isnan(row.se)
        else (
            difference_interval(level, row.ci_low, row.ci_high),
            f"{t_text(row.df, t)}, {p_text(p)}",
            f"jackknife over {counted(row.n_seeds, 'seed')}{rough}",
        ),
    )
