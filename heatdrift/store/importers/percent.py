"""Percentages that may be fractions: a column of which all values are at most 1 is a question, never a guess."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import PER_EPOCH, RUN
from heatdrift.wording import counted, listed

PERCENT: Final = tuple(name for name in (*RUN, *PER_EPOCH) if name.endswith("_pct"))
Percent = Literal["ask", "as-is"]  # what to do with such a column


class Range(msgspec.Struct, kw_only=True):
    """Values of one of our columns in a source, as they would be stored.

    Attributes
    ----------
    n, low, high : how many, smallest and largest.
    n_small : values above 0 that are at most 1.
    small : a label of the first of them.
    """

    n: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    n_small: int = 0
    small: str = ""

    def see(self, label: str, value: float) -> None:
        """Take in one value."""
        self.n, self.low, self.high = self.n + 1, min(self.low, value), max(self.high, value)
        if 0 < value <= 1:
            self.n_small += 1
            self.small = self.small or label


def check_percent(
    ranges: Mapping[str, Range],
    columns: Mapping[str, str],
    sure: Sequence[str],
    rule: Percent,
    source: str,
    *,
    mixed_asks: bool = False,
) -> tuple[str, ...]:
    """Return sentences about percentages that look like fractions here and there.

    Parameters
    ----------
    ranges : our column -> its values.
    columns : our column -> the source's name for it, empty for a constant.
    sure : columns whose values the source or the map makes percentages: a factor, a percent sign.

    mixed_asks : whether some values of at most 1 among larger ones are a question too: in tables that people put
        together; what heatdrift wrote itself may hold 0.6 %.

    Raises
    ------
    DataError
        All values of a percentage are at most 1, or some and `mixed_asks`, and `rule` is "ask".
    """
    asked, mixed = [], []
    for name, seen in sorted(ranges.items()):
        if not name.endswith("_pct") or not seen.n_small or name in sure:
            continue
        if seen.high <= 1:
            asked.append(name)
        else:
            mixed.append(
                f"{name}: {counted(seen.n_small, 'value')} of {seen.n} at most 1 ({seen.small}), the largest "
                f"{seen.high:g}"
            )
    if asked and rule == "ask":
        shown = listed([f"{name} ({ranges[name].low:g} to {ranges[name].high:g})" for name in asked])
        maps = " ".join(
            f'--map "{name}={columns[name]}*100"' if columns[name] else f"--set {name}={100 * ranges[name].high:g}"
            for name in asked
        )
        raise DataError(
            f"{source}: no value of {shown} is above 1; are they fractions, or less than 1 %? nothing was imported",
            hint=f"fractions: {maps}; percent: --percent as-is",
        )
    if mixed and mixed_asks and rule == "ask":
        raise DataError(
            f"{source}: {'; '.join(mixed)}; are the small ones fractions, or less than 1 %? nothing was imported",
            hint="write one unit in the whole column; --percent as-is takes every value as percent",
        )
    said = [
        f"{words}: taken as percent, so 0.6 is 0.6 %; if the small ones are fractions, write them times 100 and import "
        "again with --duplicates last"
        for words in mixed
    ]
    said += [f"{name}: all values are at most 1, taken as percent (--percent as-is)" for name in asked]
    return tuple(said)
