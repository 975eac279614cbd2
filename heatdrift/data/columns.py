"""Columns of a Parquet file of pictures, with the file's name in every error."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.parquet_file import footer, read_parquet


def read_footer(path: Path) -> pq.FileMetaData:
    """What a file declares of itself; DataError where it is no Parquet file."""
    with decoding(lambda said: _unreadable(path, said)):
        return footer(path)


def read_schema(path: Path) -> pa.Schema:
    """Columns and their types; DataError where it is no Parquet file."""
    with decoding(lambda said: _unreadable(path, said)):
        return footer(path).schema.to_arrow_schema()


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read whole columns; DataError where the file is none, damaged, or declares more than it can mean."""
    with decoding(lambda said: _unreadable(path, said)):
        return read_parquet(path, columns)


def _unreadable(path: Path, reason: str) -> DataError:
    problem = f"{path} is not a readable Parquet file: {reason}"
    return DataError(problem, hint="it may be truncated: copy or download it again")
