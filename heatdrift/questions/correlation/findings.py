"""Sentences about how two metrics go together: only what interval, permutation and seeds all support."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import MANY, Claim
from heatdrift.questions.correlation.result import Association
from heatdrift.wording import capital, counted, method_title, number, p_text, percent, signed

# A group of fewer cells has no correlation to speak of: one cell varies over its seeds alone, two have one slope.
REVERSAL_CELLS: Final = 3


def correlation_claims(
    x: Column,
    y: Column,
    pooled: Association,
    rmcorr: Association | None,
    by_group: Mapping[str, Association],
) -> tuple[Claim, ...]:
    """What interval, permutation and seeds must all support: the pooled relation, and the one within groups.

    None of them is enough: the interval takes the seeds at hand for given, cells may change places only if their
    variances are equal, and seeds are few (docs/calibration_commands.md). So p is the largest of the two that are
    tests, and at least 5 % where the interval includes 0.
    """
    where = f"Pooled over {len(by_group)} groups" if len(by_group) > 1 else f"With {_group(next(iter(by_group)))}"
    mixed = ". A pooled r mixes differences between groups with what happens within them"
    levels = [("pooled", where, "pooled r" if len(by_group) > 1 else "r", pooled, mixed if len(by_group) > 1 else "")]
    if rmcorr is not None:
        levels.insert(0, ("within", "Within groups (their means removed)", "r", rmcorr, ""))
    return tuple(
        Claim(
            key=f"correlation/{y.name}/{x.name}/{level}",
            p=_p(found),
            asks=f"{capital(x.title)} against {y.title}, {words[0].lower()}{words[1:]}",
            says=f"{words}, higher {x.title} goes with {_direction(found)} {y.title}",
            measured=f"{symbol} = {number(found.pearson)}",
            evidence=_evidence(found),
            warning=warning,
        )
        for level, words, symbol, found, warning in levels
    )


def correlation_findings(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Sentences of what interval, permutation and seeds all support, the pooled relation first."""
    return tuple(claim.sentence() for claim in reversed(claims) if claim.p < ALPHA)


def reversal_note(x: Column, y: Column, pooled: Association, by_group: Mapping[str, Association]) -> str:
    """Say that groups do not follow the pooled correlation, and what they follow."""
    groups = {name: a for name, a in by_group.items() if a.n_cells >= REVERSAL_CELLS}
    cells = sorted({a.n_cells for a in groups.values()})
    each = f"{cells[0]} cells" if len(cells) == 1 else f"{cells[0]} to {cells[-1]} cells"
    return (
        f"The pooled correlation of {x.title} and {y.title} ({signed(pooled.pearson)}) does not describe every "
        f"group: r within groups is {_groups(groups)} (descriptive, over runs of {each} each; no test). Read the "
        "groups, not the pooled value."
    )


def _groups(groups: Mapping[str, Association]) -> str:
    """The r of every group; of many their counts by sign and the ends."""
    if len(groups) <= MANY:
        return ", ".join(f"{signed(a.pearson)} with {_group(name)}" for name, a in groups.items())
    order = sorted(groups, key=lambda name: groups[name].pearson)
    below = sum(a.pearson < 0 for a in groups.values())
    ends = " to ".join(f"{signed(groups[name].pearson)} ({_group(name)})" for name in (order[0], order[-1]))
    return f"below 0 in {below} of {len(groups)} groups, from {ends}"


def _group(name: str) -> str:
    """`Full FT on eurosat` for eurosat/full_ft."""
    dataset, method = name.rsplit("/", 1)
    return f"{method_title(method)} on {dataset}"


def _p(association: Association) -> float:
    excludes_zero = association.ci_low > 0 or association.ci_high < 0
    tests = (association.p_permutation, association.seed_level_p)
    if any(math.isnan(p) for p in tests):
        return math.nan
    return max(*tests, 0.0 if excludes_zero else ALPHA)


def _direction(association: Association) -> str:
    return "higher" if association.pearson > 0 else "lower"


def _evidence(association: Association) -> tuple[str, ...]:
    return (
        f"{percent(association.conf_level)} CI {number(association.ci_low)} to {number(association.ci_high)} by "
        f"resampling {counted(association.n_cells, 'cell')}",
        f"permutation {p_text(association.p_permutation)}",
        f"seed-level {p_text(association.seed_level_p)}",
        counted(association.n, "run"),
    )
