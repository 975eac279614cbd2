"""Sentences about trends over learning rates: what permutation and seeds both support, and what cannot be asked."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim, ranked
from heatdrift.questions.dose.result import DoseRow
from heatdrift.wording import (
    capital,
    counted,
    difference_interval,
    difference_unit,
    family_text,
    method_title,
    number,
    p_text,
    signed,
    with_unit,
)


def dose_claims(rows: Sequence[DoseRow], columns: Mapping[str, Column], level: float) -> tuple[Claim, ...]:
    """One claim per row: a trend over the learning rate in one group.

    The permutation also rejects when only the variance grows with the learning rate, and not the mean
    (docs/calibration_commands.md): seeds must agree on the trend, too, where they can be asked. So p is the larger one.

    Parameters
    ----------
    rows : adjusted rows, each with its data set. columns : metric -> its column, with the title that sentences use.
    """
    return tuple(_claim(row, columns[row.metric], level) for row in rows)


def dose_findings(rows: Sequence[DoseRow], claims: Sequence[Claim], columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the trends that hold after Holm's adjustment over all rows, and over seeds."""
    family = _family([row for row in rows if not np.isnan(row.p_exact)])
    supported = [
        (row, claim)
        for row, claim in zip(rows, claims, strict=True)
        if row.p_exact_holm < ALPHA and not row.seed_trend_p >= ALPHA
    ]
    sentences = [
        ((row.p_exact_holm, -abs(row.rho)), claim.sentence(f"{family} {p_text(row.p_exact_holm)}" if family else ""))
        for row, claim in supported
    ]
    titles = {metric: column.title for metric, column in columns.items()}
    return tuple(ranked(sentences, _summary([row for row, _ in supported], rows, titles)))


def _claim(row: DoseRow, column: Column, level: float) -> Claim:
    unit = difference_unit(row.unit)
    slope = (
        f"{with_unit(signed(row.slope), unit)} per tenfold, seed-level "
        f"{difference_interval(level, row.ci_low, row.ci_high)}"
    )
    place = f"on {row.dataset} with {method_title(row.method)}"
    over_seeds = "" if np.isnan(row.seed_trend_p) else f", over seeds {p_text(row.seed_trend_p)}"
    return Claim(
        key=f"dose/{row.metric}/{row.dataset}/{row.method}",
        p=row.p_exact if np.isnan(row.seed_trend_p) else max(row.p_exact, row.seed_trend_p),
        asks=f"Trend of {column.title} over the learning rate {place}",
        says=f"{capital(column.title)} {'rises' if row.rho > 0 else 'falls'} with the learning rate {place}",
        measured=f"Spearman ρ = {number(row.rho)} over {counted(row.n, 'run')}",
        evidence=(
            f"{row.n_lrs} learning rates x {counted(row.n_seeds, 'seed')}",
            f"permutation within seeds {p_text(row.p_exact)}{over_seeds}",
            *([] if np.isnan(row.ci_low) else [slope]),
        ),
        warning="" if row.monotone else ". The means are not monotone: look at the curve before calling it a trend",
    )


def _family(tested: list[DoseRow]) -> str:
    """Words for what Holm's adjustment runs over; none for a single test."""
    levels: dict[str, list[str | None]] = {
        "metric": [row.metric for row in tested],
        "data set": [row.dataset for row in tested],
        "method": [row.method for row in tested],
    }
    return f"Holm over {family_text(len(tested), levels)}" if len(tested) > 1 else ""


def _summary(supported: Sequence[DoseRow], rows: Sequence[DoseRow], titles: Mapping[str, str]) -> str:
    """How many trends of how many groups, by metric and direction."""
    parts = []
    for metric in dict.fromkeys(row.metric for row in rows):
        here = [row for row in supported if row.metric == metric]
        up = sum(row.rho > 0 for row in here)
        groups = counted(sum(row.metric == metric for row in rows), "group")
        parts.append(f"{titles[metric]} rises in {up} and falls in {len(here) - up} of {groups}")
    return (
        f"{len(supported)} of {counted(len(rows), 'trend')} over the learning rate are supported (permutation within "
        f"seeds, Holm over {counted(len(rows), 'row')}, and over seeds): {'; '.join(parts)}."
    )


def out_of_reach(rows: Sequence[DoseRow]) -> tuple[str, ...]:
    """Say so when no data of this shape could be significant: silence would read as 'no trend'."""
    smallest = min((row.p_smallest for row in rows if not np.isnan(row.p_smallest)), default=float("nan"))
    tested = sum(not np.isnan(row.p_exact) for row in rows)
    if not smallest * tested >= ALPHA:
        return ()
    per_metric = min(Counter(row.metric for row in rows if not np.isnan(row.p_exact)).values())
    one_metric_helps = smallest * per_metric < ALPHA
    return (
        f"No trend can be supported here, whatever the data: so few learning rates and seeds allow no exact p below "
        f"{number(smallest)}, and Holm over {counted(tested, 'test')} makes that "
        f"{number(min(smallest * tested, 1.0))}. "
        + ("Ask about one metric with --metric, or train more seeds." if one_metric_helps else "Train more seeds."),
    )
