"""Import of a table of runs (``table_file.py``), with a map of its columns (``columns.py``)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from heatdrift.errors import DataError, HeatdriftError
from heatdrift.store.importers.columns import IDENTITY, ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.guess import with_guesses
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Choices, Reading, understand
from heatdrift.store.importers.result_table import import_result_table, is_result_table
from heatdrift.store.importers.table_file import read_table_file
from heatdrift.store.importers.values import key_numbers

MAX_ROWS = 200_000  # a record.json per run; more belongs into a bulk part


def import_table(
    path: Path,
    columns: ColumnMap,
    *,
    store_folder: Path,
    study: str,
    duplicates: Rule = "refuse",
    choices: Choices = Choices(),  # noqa: B008  frozen
    dry_run: bool = False,
    before: Before = nothing,
) -> ImportReport:
    """Write the runs of a table as records of `study`; twice is once.

    One row is one run, or, with a column for ``epoch``, one epoch: rows that agree in backbone, data set, method, lr,
    seed and protocol are one run then.

    Parameters
    ----------
    dry_run : read and report, write nothing.
    before : gets the report of what would be done, before anything is written.

    Raises
    ------
    DataError
        The file is no such table, or it lacks a column that the map names.
    DuplicateRunsError
        Rows of one run have different results and `duplicates` does not say which of them count.
    StoreError
        `study` cannot be a folder name, or the store folder cannot be written.
    """
    table = read_table_file(path)
    rows = table.rows
    missing = columns.missing(table.names)
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r} (it has: {', '.join(table.names)})",
            hint="correct --map OURS=THEIRS",
        )
    if len(rows) > MAX_ROWS:
        raise DataError(
            f"{path} has {len(rows)} rows, more than the {MAX_ROWS} that become records one by one",
            hint="write runs.parquet with the columns of docs/schema.md and import its folder --format heatdrift",
        )
    if is_result_table(table, columns):
        return import_result_table(
            table,
            path,
            store_folder=store_folder,
            study=study,
            percent=choices.percent,
            dry_run=dry_run,
            before=before,
        )
    columns, guessed, unclear = with_guesses(columns, table.names)
    lacking = [
        name for name in IDENTITY if columns.source(name).column not in table.names and name not in columns.constants
    ]
    if lacking:
        raise DataError(
            f"{path}: no value for {', '.join(lacking)}, and no column that is it by its name (there are: "
            f"{', '.join(table.names)})",
            hint=" ".join(f"--map {name}=COLUMN (or --set {name}=VALUE for all runs)" for name in lacking),
        )
    reading = understand(
        ((f"row {number}", row) for number, row in enumerate(rows, start=1)),
        columns,
        choices,
        source=str(path),
        read_as=table.read_as,
        sure_percent=table.percent,
        guessed=guessed,
        notes=unclear,
    )
    return import_flat(
        _runs(rows, reading),
        reading,
        source=path,
        store_folder=store_folder,
        study=study,
        origin="table",
        duplicates=duplicates,
        dry_run=dry_run,
        before=before,
    )


def _runs(rows: list[dict[str, object]], reading: Reading) -> Iterator[FlatRun]:
    """Group the rows of one run where the table has epochs."""
    groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    first: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(rows, start=1):
        key = _key(row, reading) or (number,)
        groups.setdefault(key, []).append(row)
        first.setdefault(key, number)
    for key, members in groups.items():
        yield FlatRun(label=f"row {first[key]}", rows=tuple(members))


def _key(row: Mapping[str, object], reading: Reading) -> tuple[object, ...] | None:
    """Return what a row has in common with the other epochs of its run; None for a row that is a run by itself.

    Numbers count, not how they are written: 1e-5 and 0.00001 are one learning rate.
    """
    try:
        ours = reading(row)
        if "epoch" not in ours or any(name not in ours for name in IDENTITY):
            return None
        numbers = key_numbers(ours)
    except (ValueError, HeatdriftError):
        return None  # reported with its row
    return (*(str(ours.get(name)) for name in ("backbone", "dataset", "method", "protocol")), *numbers)
