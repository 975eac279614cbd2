"""Sentences about how two metrics go together: only what interval, permutation and seeds all support."""

from collections.abc import Mapping
from typing import Final

from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import MANY
from heatdrift.questions.correlation.result import Association
from heatdrift.wording import counted, method_title, number, p_text, percent, signed

# A group of fewer cells has no correlation to speak of: one cell varies over its seeds alone, two have one slope.
REVERSAL_CELLS: Final = 3


def correlation_findings(
    x: Column,
    y: Column,
    pooled: Association,
    rmcorr: Association | None,
    by_group: Mapping[str, Association],
    *,
    reversal: bool,
) -> tuple[str, ...]:
    """Sentences for what interval, permutation and seeds all support; a reversal is reported whenever there is one.

    Neither of the first two is enough: the interval takes the seeds at hand for given, and cells may change places only
    if their variances are equal (docs/calibration_commands.md).
    """
    sentences = []
    where = f"Pooled over {len(by_group)} groups" if len(by_group) > 1 else f"With {_group(next(iter(by_group)))}"
    if _supported(pooled):
        sentences.append(
            f"{where}, higher {x.title} goes with {_direction(pooled)} {y.title}: "
            f"{'pooled ' if len(by_group) > 1 else ''}r = {_evidence(pooled)}."
            + (
                " A pooled r mixes differences between groups with what happens within them."
                if len(by_group) > 1
                else ""
            )
        )
    if rmcorr is not None and _supported(rmcorr):
        sentences.append(
            f"Within groups (their means removed), higher {x.title} goes with {_direction(rmcorr)} {y.title}: "
            f"r = {_evidence(rmcorr)}."
        )
    if reversal:
        groups = {name: a for name, a in by_group.items() if a.n_cells >= REVERSAL_CELLS}
        cells = sorted({a.n_cells for a in groups.values()})
        each = f"{cells[0]} cells" if len(cells) == 1 else f"{cells[0]} to {cells[-1]} cells"
        shown = _groups(groups)
        sentences.append(
            f"The pooled correlation of {x.title} and {y.title} ({signed(pooled.pearson)}) does not describe every "
            f"group: r within groups is {shown} (descriptive, over runs of {each} each; no test). Read the groups, not "
            "the pooled value."
        )
    return tuple(sentences)


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


def _supported(association: Association) -> bool:
    excludes_zero = association.ci_low > 0 or association.ci_high < 0
    return bool(excludes_zero and association.p_permutation < ALPHA and association.seed_level_p < ALPHA)


def _direction(association: Association) -> str:
    return "higher" if association.pearson > 0 else "lower"


def _evidence(association: Association) -> str:
    return (
        f"{number(association.pearson)} ({percent(association.conf_level)} CI {number(association.ci_low)} to "
        f"{number(association.ci_high)} by resampling {counted(association.n_cells, 'cell')}; permutation "
        f"{p_text(association.p_permutation)}; seed-level {p_text(association.seed_level_p)}; "
        f"{counted(association.n, 'run')})"
    )
