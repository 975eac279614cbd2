"""Import of a CSV, Parquet or JSON-lines table of runs, with a map of its columns (``columns.py``)."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import polars as pl

from heatdrift.errors import DataError, HeatdriftError
from heatdrift.store.importers.columns import IDENTITY, ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.outcome import ImportReport

MAX_ROWS = 200_000  # a record.json per run; more belongs into a bulk part


def import_table(
    path: Path, columns: ColumnMap, *, store_folder: Path, study: str, duplicates: Rule = "refuse"
) -> ImportReport:
    """Write the runs of a table as records of `study`; twice is once.

    One row is one run, or, with a column for ``epoch``, one epoch: rows that agree in backbone, data set, method, lr,
    seed and protocol are one run then.

    Raises
    ------
    DataError
        The file is no such table, or it lacks a column that the map names.
    DuplicateRunsError
        Rows of one run have different results and `duplicates` does not say which of them count.
    StoreError
        `study` cannot be a folder name, or the store folder cannot be written.
    """
    frame = _read(path)
    missing = columns.missing(frame.columns)
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r} (it has: {', '.join(frame.columns)})",
            hint="correct --map OURS=THEIRS",
        )
    if frame.height > MAX_ROWS:
        raise DataError(
            f"{path} has {frame.height} rows, more than the {MAX_ROWS} that become records one by one",
            hint="write runs.parquet with the columns of docs/schema.md and import its folder --format heatdrift",
        )
    runs = _runs(frame.rows(named=True), columns)
    report = import_flat(
        runs, columns, source=path, store_folder=store_folder, study=study, origin="table", duplicates=duplicates
    )
    return msgspec.structs.replace(report, ignored=columns.ignored(frame.columns))


def _read(path: Path) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": lambda file: pl.read_csv(file, infer_schema=False),  # a seed or a hash must not become a float
        ".jsonl": pl.read_ndjson,
    }
    if path.suffix not in readers:
        raise DataError(f"{path} is no .csv, .parquet or .jsonl file", hint="heatdrift import FILE.csv --format table")
    try:
        return readers[path.suffix](path)
    except (OSError, pl.exceptions.PolarsError, ValueError) as cause:
        reason = str(cause).splitlines()[0]
        raise DataError(f"cannot read {path}: {reason}", hint="name a CSV, Parquet or JSON-lines table") from cause


def _runs(rows: list[dict[str, object]], columns: ColumnMap) -> Iterator[FlatRun]:
    """Group the rows of one run where the table has epochs."""
    groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    first: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            ours = columns.apply(row)
        except (ValueError, HeatdriftError):
            ours = {}  # reported with its row
        alone = "epoch" not in ours or any(name not in ours for name in IDENTITY)
        key: tuple[object, ...] = (number,) if alone else tuple(str(ours.get(name)) for name in (*IDENTITY, "protocol"))
        groups.setdefault(key, []).append(row)
        first.setdefault(key, number)
    for key, members in groups.items():
        yield FlatRun(label=f"row {first[key]}", rows=tuple(members))
