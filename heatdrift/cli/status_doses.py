"""What finished cells say already, as small drawings: retention, or accuracy, along the learning rates."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Final

from heatdrift.wording import learning_rate, method_title, number, sparkline

if TYPE_CHECKING:
    from heatdrift.train.status import CellState

MOST: Final = 12  # lines of a study: what is running is at the top of the terminal, and must stay there
_TITLES: Final = {"retention_pct": "zero-shot retention (% of base)", "test_acc_pct": "test accuracy (%)"}


def dose_lines(states: "Sequence[CellState]", study: str) -> Iterator[str]:
    """Yield a heading and a line per group with finished cells at two learning rates or more; nothing without one.

    A line has the means over the seeds that are finished: a look at runs, not a result. Retention where any cell has
    it, test accuracy else. A cell that planned a rate and has no run yet is a dot.
    """
    done = [s for s in states if s.status == "done"]
    measured = [name for name in _TITLES if any(getattr(s, name) is not None for s in done)]
    if not measured:
        return
    metric = measured[0]
    lines = []
    several = len({s.cell.backbone for s in states}) > 1
    for group in dict.fromkeys(_group(s) for s in states):
        own = [s for s in states if _group(s) == group]
        means = {lr: _mean([getattr(s, metric) for s in own if s.cell.lr == lr and s.status == "done"])
                 for lr in sorted({s.cell.lr for s in own})}  # fmt: skip
        known = [lr for lr, mean in means.items() if mean is not None]
        if len(known) < 2:
            continue
        ends = f"{number(means[known[0]])} at {learning_rate(known[0])} to {number(means[known[-1]])} at "
        drawn = sparkline([float("nan") if mean is None else mean for mean in means.values()])
        name = f"{group[0]}  {method_title(group[1])}{f'  {group[2]}' if several else ''}"
        lines.append((name, f"{drawn}  {ends}{learning_rate(known[-1])}"))
    if not lines:
        return
    yield f"study {study}: mean {_TITLES[metric]} by learning rate"
    width = max(len(name) for name, _ in lines[:MOST])
    yield from (f"  {name:<{width}}  {drawn}" for name, drawn in lines[:MOST])
    if len(lines) > MOST:
        yield f"  and {len(lines) - MOST} more groups: heatdrift stats dose --study {study}"


def _group(state: "CellState") -> tuple[str, str, str]:
    return (state.cell.dataset, state.cell.method, state.cell.backbone)


def _mean(values: "Sequence[float | None]") -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
