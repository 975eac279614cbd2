"""Rows of one run -> one row per epoch: rows that complete each other are one, rows that disagree need a rule."""

from collections.abc import Mapping, Sequence
from math import isinf, isnan
from pathlib import Path
from typing import Final

from heatdrift.errors import DuplicateRunsError
from heatdrift.metrics import FURTHER_PREFIX
from heatdrift.store.importers.columns import PER_EPOCH, RUN
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.values import number_from
from heatdrift.wording import counted, listed

_AVERAGED: Final = (
    *PER_EPOCH,
    *(name for name in RUN if name.endswith("_pct") or name == "wall_s"),
)
_SHOWN: Final = 3


class EpochTwiceError(ValueError):
    """An epoch of a run is given several times with different values, and no rule says which of them counts."""


def one_per_epoch(rows: Sequence[Mapping[str, object]], rule: Rule) -> tuple[list[dict[str, object]], int]:
    """Merge the rows of one run that have the same epoch; rows without an epoch are left as they are.

    Parameters
    ----------
    rows : in our columns, in the order of the source.
    rule : what to take of values that differ; "mean" averages what was measured and takes the first of anything else.

    Returns
    -------
    The rows, and how often an epoch was given with different values at most; 1 where none was.

    Raises
    ------
    EpochTwiceError
        Values differ and `rule` is "refuse".
    """
    found: dict[object, list[Mapping[str, object]]] = {}
    for number, row in enumerate(rows):
        found.setdefault(_epoch(row) if "epoch" in row else ("no epoch", number), []).append(row)
    merged, most = [], 1
    for epoch, same in found.items():
        whole: dict[str, object] = {}
        for name in dict.fromkeys(name for one in same for name in one):
            values = [one[name] for one in same if name in one]
            if all(_equal(values[0], value) for value in values):
                whole[name] = values[0]
                continue
            if rule == "refuse":
                shown = listed([str(value) for value in values[:_SHOWN]])
                raise EpochTwiceError(f"epoch {epoch} is given {len(values)} times, with {name} {shown}")
            most = max(most, len(values))
            whole[name] = _chosen(name, values, rule)
        merged.append(whole)
    return merged, most


def epochs_twice(runs: Sequence[str], source: Path) -> DuplicateRunsError:
    """Return the error about runs in which an epoch is given several times."""
    more = f"; and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return DuplicateRunsError(
        f"{source} gives an epoch several times, with different values, in {counted(len(runs), 'run')}: "
        f"{'; '.join(runs[:_SHOWN])}{more}; nothing was imported",
        hint="--duplicates first, last or mean takes one of them, and every result that uses the run says so; "
        "or correct the source",
    )


def _epoch(row: Mapping[str, object]) -> object:
    """Epochs 1, "1" and 1.0 are the same."""
    number = _number(row["epoch"])
    if number is not None and isinf(number):
        raise ValueError(f"epoch is {str(row['epoch'])[:40]!r}, not a whole number")
    return row["epoch"] if number is None or isnan(number) else int(number) if number == int(number) else number


def _chosen(name: str, values: Sequence[object], rule: Rule) -> object:
    numbers = [_number(value) for value in values]
    if rule == "mean" and (name in _AVERAGED or name.startswith(FURTHER_PREFIX)):
        known = [n for n in numbers if n is not None]
        return sum(known) / len(known) if known else values[0]
    return values[-1] if rule == "last" else values[0]


def _equal(a: object, b: object) -> bool:
    x, y = _number(a), _number(b)
    if x is not None and y is not None:
        return x == y or (isnan(x) and isnan(y))
    return bool(a == b)


def _number(value: object) -> float | None:
    try:
        return number_from(value)
    except ValueError:
        return None
