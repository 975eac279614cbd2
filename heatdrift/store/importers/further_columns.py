"""Columns of a source that are none of ours: those that hold numbers are kept, as metrics under their own names."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from heatdrift.errors import UnknownNameError
from heatdrift.store.importers.values import is_missing, number_from
from heatdrift.store.validate import LONGEST_NAME
from heatdrift.wording import shortened

# counters, clocks and values of single steps (Lightning's): they differ between two copies of a run
_NO_RESULTS: Final = re.compile(
    r"unnamed: \d+|index|idx|id|row|level_\d+|column \d+|_?(time)?stamp|_?step|_?runtime|_?timestamp|tags\..*"
    r"|run_(id|name)|(start|end)_time|created(_at)?|updated(_at)?|date|.*_step|lr-.*",
    re.IGNORECASE,
)


def further_columns(
    rows: Sequence[Mapping[str, object]], names: Sequence[str], ignore: Collection[str] = ()
) -> tuple[str, ...]:
    """Return those of `names` in which all values are numbers and at least one is there, in their order.

    Row numbers, step counters, times and ids are left out: they are no results.

    Raises
    ------
    UnknownNameError
        A name in `ignore` is no column among `names`.
    """
    for name in ignore:
        if name not in names:
            raise UnknownNameError("column", name, names, where="--ignore")
    return tuple(
        name
        for name in names
        if name not in ignore
        and len(name) <= LONGEST_NAME
        and not _NO_RESULTS.fullmatch(name)
        and _holds_numbers([row.get(name) for row in rows])
    )


def name_notes(names: Sequence[str]) -> tuple[str, ...]:
    """Say which columns cannot be metrics because of their names."""
    return tuple(
        f"column {shortened(name)!r} cannot be a metric: its name has {len(name)} letters, more than {LONGEST_NAME}"
        for name in names
        if len(name) > LONGEST_NAME
    )


def transfer_notes(seen: Collection[str]) -> tuple[str, ...]:
    """Say that a zero-shot accuracy without that of its base gives no retention; `seen` are the metrics there."""
    there = [name for name in ("zero_shot_pct", "zero_shot_base_pct") if name in seen]
    if len(there) != 1:
        return ()
    lacks = {"zero_shot_pct", "zero_shot_base_pct"} - set(there)
    return (
        f"{there[0]} is kept as further.{there[0]}: retention needs {lacks.pop()}, transfer_set and n_transfer too "
        "(--map OURS=COLUMN, or --set OURS=VALUE for all runs)",
    )


def _holds_numbers(values: Sequence[object]) -> bool:
    found = [value for value in values if not is_missing(value)]
    return bool(found) and all(_is_number(value) for value in found)


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    try:
        number_from(value)
    except ValueError:
        return False
    return True
