"""Import of a table of runs (``table_file.py``), with a map of its columns (``columns.py``)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from heatdrift.errors import DataError, HeatdriftError
from heatdrift.store.importers.chart import chart_rows, is_chart
from heatdrift.store.importers.columns import IDENTITY, PER_EPOCH, ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.guess import with_guesses, with_status
from heatdrift.store.importers.lr_levels import stored_rates
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.own_factors import TELLS
from heatdrift.store.importers.reading import Choices, Reading, understand
from heatdrift.store.importers.result_table import import_result_table, is_result_table
from heatdrift.store.importers.table_file import read_table_file
from heatdrift.store.importers.values import key_numbers
from heatdrift.wording import shortened

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
    if is_chart(table):
        table = chart_rows(table)
    rows = table.rows
    missing = columns.missing(table.names)
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r} (it has: {', '.join(map(shortened, table.names))})",
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
    columns, ends = with_status(columns, table.names, rows)
    guessed += ends
    lacking = [
        name for name in IDENTITY if columns.source(name).column not in table.names and name not in columns.constants
    ]
    if lacking:
        raise DataError(
            f"{path}: no value for {', '.join(lacking)}, and no column that is it by its name (there are: "
            f"{', '.join(map(shortened, table.names))})",
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
        stored_rates=lambda: stored_rates(store_folder, study),
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
    """Group the rows of one run where the table has epochs; a row of final results without an epoch belongs to it."""
    groups: dict[tuple[object, ...], list[int]] = {}
    final: list[tuple[int, tuple[object, ...]]] = []
    for number, row in enumerate(rows):
        key, kind = _key(row, reading)
        if kind == "final":
            final.append((number, key))
        else:
            groups.setdefault(key if kind == "epoch" else (number,), []).append(number)
    for number, key in final:
        groups.setdefault(key if key in groups else (number,), []).append(number)
    for members in groups.values():
        places = tuple(f"row {number + 1}" for number in members)
        yield FlatRun(label=places[0], rows=tuple(rows[number] for number in members), places=places)


def _key(row: Mapping[str, object], reading: Reading) -> tuple[tuple[object, ...], Literal["epoch", "final", "run"]]:
    """Return what a row has in common with the other epochs of its run, and whether it is one of them.

    "final" has no epoch and nothing that epochs have, such as the test accuracy that Lightning writes last; "run" is a
    run by itself. Numbers count, not how they are written: 1e-5 and 0.00001 are one learning rate.
    """
    try:
        ours = reading(row)
        if any(name not in ours for name in IDENTITY) or ("epoch" not in ours and any(n in ours for n in PER_EPOCH)):
            return (), "run"
        numbers = key_numbers(ours)
    except (ValueError, HeatdriftError):
        return (), "run"  # reported with its row
    own = (item for item in ours.items() if item[0].startswith(TELLS))
    key = (*(str(ours.get(name)) for name in ("backbone", "dataset", "method", "protocol")), *numbers, *sorted(own))
    return key, "epoch" if "epoch" in ours else "final"
