"""A table file -> a frame with types: a column is numeric where every value is a number, else text."""

from pathlib import Path

import polars as pl

from heatdrift.store.importers.table_file import read_table_file
from heatdrift.store.importers.values import is_missing


def read_typed_table(path: Path) -> pl.DataFrame:
    """Read a table as `read_table_file` does; what counts as missing becomes null.

    Raises
    ------
    DataError
        It cannot be read.
    """
    table = read_table_file(path)
    return pl.DataFrame(
        [_column(name, [row.get(name) for row in table.rows]) for name in table.names],
    )


def _column(name: str, values: list[object]) -> pl.Series:
    known = [None if is_missing(value) else value for value in values]
    try:
        numbers = [None if value is None or isinstance(value, bool) else float(str(value)) for value in known]
    except ValueError:
        return pl.Series(name, [None if value is None else str(value).strip() for value in known], dtype=pl.String)
    if any(isinstance(value, bool) for value in known):
        return pl.Series(name, [None if value is None else str(value) for value in known], dtype=pl.String)
    return pl.Series(name, numbers, dtype=pl.Float64)
