"""Dates that DuckDB and Parquet have and Python lacks: before year 1, after 9999, infinite.

Polars holds them and ends in a panic where a row is read, so they are refused while they are columns.
"""

import datetime as dt
from typing import Final

import polars as pl

from heatdrift.errors import QueryError

_DAY_S: Final = 86_400
_EPOCH: Final = dt.date(1970, 1, 1)
_FIRST_DAY: Final = (dt.date.min - _EPOCH).days
_LAST_DAY: Final = (dt.date.max - _EPOCH).days
_PER_SECOND: Final = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def refuse_far_dates(frame: pl.DataFrame) -> None:
    """Raise QueryError where a column holds a date outside the years 1 to 9999, in lists and structs, too."""
    for column in frame.get_columns():
        if has_far_dates(column):
            raise QueryError(
                f"the column {column.name} of the result has dates outside the years 1 to 9999",
                hint=f"cast it to text: {column.name}::VARCHAR",
            )


def first_far_date(frame: pl.DataFrame) -> tuple[str, int] | None:
    """Return column and row, counted from 0, of a date outside the years 1 to 9999; None where there is none."""
    for column in frame.get_columns():
        if has_far_dates(column):
            before, within = 0, column.len()  # of the first rows: so many are good, among so many is one that is not
            while within - before > 1:
                middle = (before + within) // 2
                before, within = (before, middle) if has_far_dates(column.head(middle)) else (middle, within)
            return column.name, before
    return None


def has_far_dates(column: pl.Series) -> bool:
    """Whether Python has no date for some value of `column`."""
    kind = column.dtype
    if isinstance(kind, pl.Struct):
        return any(has_far_dates(column.struct.field(name)) for name in column.struct.fields)
    if isinstance(kind, pl.List | pl.Array):
        return _holds_dates(kind) and has_far_dates(column.explode())
    if isinstance(kind, pl.Date):
        return _outside(column.to_physical().cast(pl.Int64), _FIRST_DAY, _LAST_DAY)
    if isinstance(kind, pl.Datetime):
        # a time zone moves by less than a day; what rounds up to year 10000 has none
        margin = 1 if kind.time_zone else 0
        unit = _PER_SECOND[kind.time_unit] * _DAY_S
        return _outside(column.to_physical(), (_FIRST_DAY + margin) * unit, (_LAST_DAY + 1 - margin) * unit - 1)
    return False


def _holds_dates(kind: pl.DataType) -> bool:
    inner = getattr(kind, "inner", None)
    if isinstance(inner, pl.List | pl.Array):
        return _holds_dates(inner)
    return isinstance(inner, pl.Date | pl.Datetime | pl.Struct)


def _outside(numbers: pl.Series, first: int, last: int) -> bool:
    low, high = numbers.min(), numbers.max()
    return isinstance(low, int) and isinstance(high, int) and (low < first or high > last)
