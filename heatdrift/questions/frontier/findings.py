"""Sentences about the accuracy-retention front and the matched comparisons."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from heatdrift.metrics import Column, run_column
from heatdrift.questions.claims import MANY, ranked
from heatdrift.questions.frontier.result import FrontierCell, MatchedRow
from heatdrift.wording import (
    at_equal_decimals,
    counted,
    difference_interval,
    learning_rate,
    method_title,
    number,
    percent,
    signed,
    with_unit,
)

_FEW_SEEDS: Final = 5
_NAMED: Final = (8, 3)  # cells of one front that its sentence names: usually, and where there are many data sets
_FEW_DATASETS: Final = 4


def frontier_findings(
    cells: Sequence[FrontierCell],
    matched: Sequence[MatchedRow],
    datasets: Sequence[str],
    level: float,
    accuracy: Column,
) -> tuple[str, ...]:
    """Per data set: the front, then what the matched comparisons say or why they say nothing."""
    titles = {accuracy.name: accuracy.title}
    named = _NAMED[len(datasets) > _FEW_DATASETS]
    fronts = {
        dataset: _front([c for c in cells if (c.dataset or datasets[0]) == dataset], dataset, accuracy.title, named)
        for dataset in datasets
    }
    claims_of = {
        dataset: [
            (_strength(row), _matched(row, dataset, level, titles))
            for row in matched
            if (row.dataset or datasets[0]) == dataset
        ]
        for dataset in datasets
    }
    every = [claim for claims in claims_of.values() for claim in claims]
    if len(every) > MANY:
        return (*fronts.values(), *ranked(every, _summary(matched)))
    return tuple(text for dataset in datasets for text in (fronts[dataset], *(text for _, text in claims_of[dataset])))


def _strength(row: MatchedRow) -> tuple[float]:
    """The larger the difference against its standard error, the smaller; what has none comes last."""
    ratio = abs(row.difference) / row.se if row.se > 0 else float("nan")
    return (float("inf") if np.isnan(ratio) else -ratio,)


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


def _matched(row: MatchedRow, dataset: str, level: float, titles: Mapping[str, str]) -> str:
    a, b = method_title(row.method_a), method_title(row.method_b)
    title = titles.get(row.matched_on) or run_column(row.matched_on).title
    if np.isnan(row.difference):
        return f"On {dataset} {a} and {b} cannot be compared at equal {title}: {row.note}."
    place = (
        f"At equal {title} ({_reach(row)}) on {dataset}, {a} minus {b} in retention is {signed(row.difference)} points"
    )
    if np.isnan(row.se):
        return f"{place} ({row.note})."
    interval = difference_interval(level, row.ci_low, row.ci_high)
    evidence = f"{interval}, jackknife over {counted(row.n_seeds, 'seed')}"
    verdict = "" if row.ci_low > 0 or row.ci_high < 0 else "; the interval includes 0"
    rough = ", rough with so few" if row.n_seeds < _FEW_SEEDS else ""
    return f"{place} ({evidence}{rough}){verdict}."
