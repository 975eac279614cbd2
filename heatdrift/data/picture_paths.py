"""Parquet files that name their pictures instead of holding them: files next to the Parquet file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from heatdrift.data.columns import read_columns, read_footer, read_schema
from heatdrift.errors import DataError

_SHOWN: Final = 3


def named_pictures(shard: Path, column: str) -> Mapping[int, Path]:
    """Return row -> file of the pictures that `shard` does not hold itself; empty where it holds all or names none.

    A path is relative to the folder of the Parquet file, or absolute and inside it.

    Raises
    ------
    DataError
        Files are not there, or outside that folder: one error for all rows.
    """
    kind = read_schema(shard).field(column).type
    if pa.types.is_struct(kind):
        if not {"bytes", "path"} <= {field.name for field in kind} or not _lacks_bytes(shard, f"{column}.bytes"):
            return {}
        rows = read_columns(shard, [column])[column].to_pylist()
        named = {i: row["path"] for i, row in enumerate(rows) if row and not row["bytes"] and row["path"]}
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        named = {i: path for i, path in enumerate(read_columns(shard, [column])[column].to_pylist()) if path}
    else:
        return {}
    folder = Path(os.path.abspath(shard.parent))  # noqa: PTH100  resolve() would leave the folder by a link to the shard
    files = {row: Path(os.path.normpath(folder / path)) for row, path in named.items()}
    outside = [files[row] for row in files if not files[row].is_relative_to(folder)]
    gone = [path for path in files.values() if path.is_relative_to(folder) and not path.is_file()]
    if outside or gone:
        raise _missing(shard, folder, len(files), outside, gone)
    return files


def _lacks_bytes(shard: Path, leaf: str) -> bool:
    """Whether any picture has no bytes, from the file's own statistics; True where it keeps none."""
    meta = read_footer(shard)
    for group in range(meta.num_row_groups):
        for i in range(meta.num_columns):
            chunk = meta.row_group(group).column(i)
            if chunk.path_in_schema == leaf:
                counts = chunk.statistics
                if counts is None or not counts.has_null_count or counts.null_count:
                    return True
    return False


def _missing(shard: Path, folder: Path, n: int, outside: Sequence[Path], gone: Sequence[Path]) -> DataError:
    wrong = [*gone, *outside]
    shown = ", ".join(map(str, wrong[:_SHOWN])) + (f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
    where = f"outside {folder}" if outside and not gone else "not there"
    return DataError(
        f"{shard} names {n} of its pictures by path instead of holding them, and {len(wrong)} of them are {where}: "
        f"{shown}",
        hint=f"put the pictures into {folder} under the names that the file gives, or write their bytes into the file",
    )
