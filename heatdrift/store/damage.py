"""A database file that is cut off or changed: opens, and fails when its blocks are read, in the middle of a query.

DuckDB raises its bare base class for a wrong checksum and an IOException for missing bytes, and an IOException for a
full temporary disk as well; only the words tell them apart.
"""

from pathlib import Path
from types import TracebackType
from typing import Final

import duckdb

from heatdrift.errors import NotAStoreError

_WORDS: Final = (
    "Corrupt database file",
    "Could not read enough bytes",
    "match stored checksum",
    "Failed to deserialize",
)
_FULL: Final = (
    "No space left",
    "Could not write",
    "Disk quota",
    "Could not fsync",
    "File too large",
    "to offload data",
)


def is_damage(cause: BaseException) -> bool:
    """Whether DuckDB says that a database file is cut off or was changed."""
    return isinstance(cause, duckdb.Error) and (
        isinstance(cause, duckdb.SerializationException) or any(words in str(cause) for words in _WORDS)
    )


def is_full_disk(cause: BaseException) -> bool:
    """Whether DuckDB says that a disk did not take what it wrote, a database or what a query puts aside."""
    return isinstance(cause, duckdb.Error) and any(words in str(cause) for words in _FULL)


def damaged(path: Path, cause: duckdb.Error) -> NotAStoreError:
    """Return the error for a damaged database file, with the command that makes it anew."""
    return NotAStoreError(f"{path} is damaged: {first_line(cause)}", hint=rebuilding(path))


def rebuilding(path: Path) -> str:
    """Return the hint that makes a database anew."""
    return f"heatdrift store rebuild --store {path} makes it anew from the records (the old file is kept next to it)"


def first_line(cause: duckdb.Error) -> str:
    """Return DuckDB's message without its explanations."""
    text = str(cause).strip()
    return text.splitlines()[0] if text else "no reason given"


class Opened:
    """An open database, as a context manager that gives its connection and closes it.

    A block in which DuckDB finds the file damaged ends in a NotAStoreError that names it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection, self._path = connection, path

    def __enter__(self) -> duckdb.DuckDBPyConnection:
        return self._connection

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.close()
        if isinstance(error, duckdb.Error) and is_damage(error):
            raise damaged(self._path, error) from error

    def close(self) -> None:
        """Close the connection, for those who only wanted the file made or brought up to date."""
        self._connection.close()
