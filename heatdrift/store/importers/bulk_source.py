"""Where the tables of a bulk import come from (Parquet files or an exported .duckdb), and their names in SQL."""

import hashlib
from pathlib import Path

import duckdb

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.parquet_file import refuse_bomb
from heatdrift.store.bulk_parts import LONG_VIEWS, file_sha256
from heatdrift.store.connect import attach, quoted
from heatdrift.store.damage import first_line
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.limits import duckdb_limits
from heatdrift.store.migrate import migrate


class BulkSource:
    """Where the tables come from, and how SQL names them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_database = path.is_file()

    def files(self) -> list[Path]:
        """Return the files that are there."""
        found = [self.path] if self.is_database else [self.path / f"{view}.parquet" for view in ("runs", *LONG_VIEWS)]
        return [file for file in found if file.is_file()]

    def sha256(self, study: str | None, duplicates: Rule) -> str:
        """Return the hash of the tables' bytes, of the name that their runs get and of the rule for duplicates."""
        parts = [f"{file.name} {file_sha256(file)}" for file in self.files()]
        parts += [f"duplicates {duplicates}"] if duplicates != "refuse" else []
        return hashlib.sha256("\n".join([*parts, study or ""]).encode()).hexdigest()

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return a connection to an empty store in memory, next to which the source can be read.

        Raises
        ------
        DataError
            A Parquet file is damaged, or declares far more than its size can mean.
        """
        for file in () if self.is_database else self.files():
            _refuse_bomb(file)
        connection = (
            attach(self.path, read_only=True)
            if self.is_database
            else duckdb.connect(":memory:", config=duckdb_limits())
        )
        try:
            connection.execute("ATTACH ':memory:' AS mine")
            connection.execute("USE mine")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def relation(self, view: str) -> str:
        """Return what stands after FROM to read a view of the source."""
        if self.is_database:
            return f"store.main.{view}"
        return f"read_parquet({quoted(self.path / f'{view}.parquet')})"

    def columns(self, connection: duckdb.DuckDBPyConnection, view: str) -> set[str]:
        """Return the columns of a table; none when it is not there."""
        if not self.is_database and not (self.path / f"{view}.parquet").is_file():
            return set()
        try:
            return {row[0] for row in connection.sql(f"DESCRIBE FROM {self.relation(view)}").fetchall()}
        except duckdb.CatalogException:
            return set()
        except duckdb.Error as cause:
            raise DataError(
                f"cannot read {view} of {self.path}: {first_line(cause)}", hint="export it again"
            ) from cause


def _refuse_bomb(file: Path) -> None:
    with decoding(lambda said: DataError(f"cannot read {file}: {said}", hint="export it again")):
        refuse_bomb(file, streamed=True)
