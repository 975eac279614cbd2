"""Reading a Parquet file: refused by what its footer declares, then in pieces that fit; for a block of ``decoding``.

A few kilobytes can mean terabytes: compression makes 2 GB out of a few bytes, run lengths and dictionaries make 10^12
rows out of one. Arrow's own reader is used because it raises for damaged files, where polars' aborts the process.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from heatdrift.machine import machine_memory_bytes

MOST_RATIO: Final = 200  # of what columns unpack to, to the file: tables of numbers have 2 to 20, pictures 1
SMALL: Final = 2**30  # bytes that are unpacked whatever the ratio
_AT_ONCE: Final = 2**30  # bytes that one piece of a file may become
_STREAMED: Final = 2**40  # bytes of a table that DuckDB reads piece by piece
_VALUE: Final = 8  # bytes that a value has in memory, about


def read_parquet(path: Path, columns: Sequence[str] | None = None, *, most_values: int | None = None) -> pa.Table:
    """Read whole columns (None = all).

    The footer does not say how large values are of which a dictionary holds one copy: a picture of 1 MB named by 10^6
    rows declares 1 MB. Where that could be, the file is read in pieces, so that it is noticed in time.

    Raises
    ------
    ValueError
        It is no regular file, or more than it may be (:func:`refuse_bomb`).
    pyarrow.ArrowException, OSError
        It is damaged.
    """
    refuse_bomb(path, columns, most_values=most_values)
    wanted = None if columns is None else list(columns)
    with pq.ParquetFile(path) as opened:
        largest = _most_of_a_row(opened.metadata, columns)
        if largest * opened.metadata.num_rows <= _AT_ONCE:
            return opened.read(columns=wanted)
        most, held, pieces = machine_memory_bytes() // 2, 0, []
        for piece in opened.iter_batches(max(1, _AT_ONCE // largest), columns=wanted):
            held += piece.nbytes
            if held > most:
                raise ValueError(f"its rows need more than {most / 2**20:,.0f} MiB, half of the memory")
            pieces.append(piece)
        schema = opened.schema_arrow
        return pa.Table.from_batches(pieces, schema if wanted is None else pa.schema([schema.field(n) for n in wanted]))


def footer(path: Path) -> pq.FileMetaData:
    """Return what a file declares of itself.

    Raises
    ------
    ValueError, pyarrow.ArrowException, OSError
        It is no regular file, or has no readable footer.
    """
    if not path.is_file():  # opening a FIFO would wait for its writer
        raise ValueError("not a regular file" if path.exists() else "there is no such file")
    return pq.read_metadata(path)


def refuse_bomb(
    path: Path, columns: Collection[str] | None = None, *, most_values: int | None = None, streamed: bool = False
) -> None:
    """Refuse a file by what its footer declares of `columns` (None = all).

    Parameters
    ----------
    columns : names of the top-level columns that will be read.
    most_values : rows times columns; None = as many as half of the machine's memory holds.
    streamed : whether it will be read piece by piece, so that memory is no limit.

    Raises
    ------
    ValueError
        It is no regular file, or declares too much; the text says how much.
    """
    declared = footer(path)
    unpacked = n_values = 0
    for group in map(declared.row_group, range(declared.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if _is_of(column, columns):
                unpacked += max(column.total_uncompressed_size, 0)
                n_values += max(column.num_values, group.num_rows, 0)
    n_columns = declared.num_columns if columns is None else len(columns)
    n_values = max(n_values, declared.num_rows * n_columns)
    size, memory = path.stat().st_size, _STREAMED if streamed else machine_memory_bytes() // 2
    most = min(memory, max(SMALL, MOST_RATIO * size))
    if unpacked > most:
        raise ValueError(
            f"it declares {unpacked / 2**20:,.0f} MiB unpacked in a file of {size / 2**20:,.1f} MiB "
            f"(the limit is {most / 2**20:,.0f})"
        )
    most_values = min(memory // _VALUE, most_values or memory // _VALUE)
    if n_values > most_values:
        raise ValueError(
            f"it declares {n_values:,} values in a file of {size / 2**20:,.1f} MiB (the limit is {most_values:,})"
        )


def _most_of_a_row(declared: pq.FileMetaData, columns: Collection[str] | None) -> int:
    """Bytes that one row can have at most: everything that a row group declares of these columns."""
    sizes = [
        sum(
            max(_VALUE, column.total_uncompressed_size)
            for column in map(group.column, range(group.num_columns))
            if _is_of(column, columns)
        )
        for group in map(declared.row_group, range(declared.num_row_groups))
    ]
    return int(max([_VALUE, *sizes]))


def _is_of(column: pq.ColumnChunkMetaData, columns: Collection[str] | None) -> bool:
    return columns is None or column.path_in_schema.split(".")[0] in columns
