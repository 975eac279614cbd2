"""A frame -> the rows and columns that a formula uses; what cannot be used is counted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.wording import counted

if TYPE_CHECKING:
    import pandas as pd


def usable_rows(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows in which all `columns` have a value, those columns alone, and what was left out and why.

    Raises
    ------
    UnknownNameError
        A column that the frame does not have. StatsError: no row is left.
    """
    for name in columns:
        if name not in frame.columns:
            raise UnknownNameError("column", name, frame.columns, where="this table")
    chosen = frame.select(columns).with_row_index("_row", offset=1)
    kept = pl.lit(True)
    left_out = []
    for name in columns:
        absent, infinite = pl.col(name).is_null(), pl.lit(False)
        if chosen[name].dtype.is_float():
            absent = absent | pl.col(name).is_nan().fill_null(True)
            infinite = pl.col(name).is_infinite().fill_null(False)
        for what, found in (("no value", absent), ("an infinite value", infinite)):
            n = chosen.filter(found).height
            if n:
                left_out.append(f"{counted(n, 'row')} with {what} in {name}")
        kept = kept & ~absent & ~infinite
    rows = chosen.filter(kept)
    if rows.is_empty():
        why = f" ({'; '.join(left_out)})" if left_out else ""
        raise StatsError(f"no row has all of {', '.join(columns)}{why}", hint="name columns that have values")
    return rows, tuple(left_out)


def as_pandas(rows: pl.DataFrame) -> "pd.DataFrame":
    """Return a frame that patsy reads: numbers as float, everything else as text."""
    import pandas as pd

    made = {}
    for name in rows.columns:
        column = rows[name]
        numeric = column.dtype.is_numeric() and column.dtype != pl.Boolean
        made[name] = column.cast(pl.Float64).to_numpy() if numeric else _texts(column)
    return pd.DataFrame(made)


def _texts(column: pl.Series) -> list[str]:
    return [str(value) for value in column.to_list()]
