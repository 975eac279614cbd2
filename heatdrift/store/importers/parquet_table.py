"""A Parquet file -> a frame, refused by what its footer declares before anything of it is read."""

from pathlib import Path
from typing import Final

import polars as pl

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.parquet_file import read_parquet

MOST_VALUES: Final = 2_000_000_000  # rows times columns of a frame; 16 GB where each is a number


def read_parquet_table(path: Path, *, hint: str, most_values: int = MOST_VALUES) -> pl.DataFrame:
    """Read a table.

    Parameters
    ----------
    hint : what to name instead.
    most_values : rows times columns that are read.

    Raises
    ------
    DataError
        It cannot be read, or declares more values or bytes than its file can mean.
    """
    with decoding(lambda said: DataError(f"cannot read {path}: {said}", hint=hint)):
        frame = pl.from_arrow(read_parquet(path, most_values=most_values))
        assert isinstance(frame, pl.DataFrame)
        return frame
