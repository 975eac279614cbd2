"""Tables in the columns of the public views -> one bulk part (``bulk_parts.py``), by DuckDB alone.

Accepted are a folder with ``runs.parquet`` and, next to it, any of ``epochs``, ``layers``, ``heads``, ``transfer`` and
``robustness`` as Parquet, or an exported ``.duckdb`` file. Of their columns those that were measured are kept; drifts,
retentions and standard errors are derived again. Without epochs or transfer, those of the runs are used in.
"""

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.parquet_file import footer, read_parquet
from heatdrift.store.bulk_parts import LONG_VIEWS, PARTS, PartInfo, file_sha256, write_info
from heatdrift.store.connect import is_write_failure, quoted
from heatdrift.store.damage import first_line, is_damage
from heatdrift.store.files import cannot_write, sync_folder
from heatdrift.store.folder import cell_folder
from heatdrift.store.importers.bulk_checks import (
    check_epochs,
    check_fractions,
    check_runs,
    check_times,
    one_lr_level,
    refuse,
)
from heatdrift.store.importers.bulk_duplicates import KEYS, one_row_per_key
from heatdrift.store.importers.bulk_source import BulkSource
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.outcome import ImportReport
from heatdrift.store.importers.percent import Percent

_DEFAULTS: Final = {
    "attempt": "1",
    "origin": "'table'",
    "status": "'done'",
    "protocol": "'imported'",
}
_NEEDED: Final = ("study", "cell_id", "backbone", "dataset", "method", "lr", "seed")
_OWN: Final = ("run_id", "record_sha256", "part")
_STATED: Final = {
    "transfer": {"base_pct": "zero_shot_base_pct", "adapted_pct": "zero_shot_pct", "n_images": "n_transfer"}
}
_CLASSES: Final = {"n_classes": "transfer_classes"}  # where the runs have it


def import_bulk(
    path: Path,
    store_folder: Path,
    study: str | None = None,
    *,
    duplicates: Rule = "refuse",
    percent: Percent = "ask",
    dry_run: bool = False,
) -> ImportReport:
    """Check the tables of `path` and keep them as one part of `store_folder`; twice is once.

    Raises
    ------
    DataError
        A table cannot be read, lacks a key column or has a value that is impossible; nothing is kept.
    DuplicateRunsError
        A key occurs several times with different values and `duplicates` does not say which of them counts.
    StoreError
        The store folder cannot be written.
    """
    if study is not None:
        cell_folder(store_folder, study, "check")
    source = BulkSource(path)
    name = source.sha256(study, duplicates)
    target = store_folder / PARTS / name
    with source.open() as connection:
        _count(connection, f"SELECT count(*) FROM {source.relation('runs')}", path)
        if target.exists():
            return ImportReport(added=0, unchanged=_n_runs(target), studies=_studies(target), written=not dry_run)
        making = Path(tempfile.mkdtemp()) if dry_run else target.with_name(f".{name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            making.mkdir(parents=True, exist_ok=True)
            n_same, twice, notes = _write(connection, source, study, making, duplicates, percent)
            report = ImportReport(
                added=_n_runs(making),
                unchanged=0,
                doubled=n_same,
                duplicates=tuple(f"{run} ({n} rows): the {duplicates} was taken" for run, n in sorted(twice.items())),
                studies=_studies(making),
                notes=notes,
                written=not dry_run,
            )
            if not dry_run:
                files = {file.name: file_sha256(file) for file in sorted(making.glob("*.parquet"))}
                info = PartInfo(source=str(path), n_runs=report.added, files=files)
                write_info(info, making)
                making.rename(target)
                sync_folder(target.parent)
        except duckdb.Error as cause:
            if is_write_failure(cause):
                raise DataError(
                    f"cannot copy {path}: {first_line(cause)}", hint="free some space, then again"
                ) from cause
            if isinstance(cause, duckdb.IOException) or is_damage(cause):
                raise DataError(f"cannot read {path}: {first_line(cause)}", hint="export it again") from cause
            raise DataError(f"{path}: {first_line(cause)}", hint="docs/schema.md has the columns and types") from cause
        except OSError as cause:
            raise cannot_write(target, cause) from cause
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return report


def _write(
    connection: duckdb.DuckDBPyConnection,
    source: BulkSource,
    study: str | None,
    folder: Path,
    duplicates: Rule,
    percent: Percent,
) -> tuple[int, dict[str, int], tuple[str, ...]]:
    """Copy what was measured into `folder`, in the types of the tables and sorted by key, checking it on the way.

    Returns the number of runs that were there twice, study/cell_id -> rows of what had different values, and sentences
    about what was decided.
    """
    has_runs = source.columns(connection, "runs")
    missing = [name for name in _NEEDED if name not in has_runs and not (name == "study" and study)]
    if missing:
        raise DataError(f"runs of {source.path} has no column {missing[0]}", hint="docs/schema.md has the columns")
    renamed = {"study": quoted(study)} if study else {}
    run_values = _selection(connection, "raw.run", has_runs, _DEFAULTS | renamed)
    kinds = connection.sql("DESCRIBE raw.run").fetchall()
    times = {row[0] for row in kinds if row[1].startswith("TIMESTAMP")} & has_runs
    check_times(connection, source.relation("runs"), times, source.path)
    _read(connection, run_values, source.relation("runs"))
    check_runs(connection, source.path)
    notes = (*one_lr_level(connection), *check_fractions(connection, source.path, percent))
    n_same, twice = _one_per_key(connection, "runs", duplicates, source)
    connection.execute("CREATE TEMP TABLE found AS SELECT * FROM rows_out")
    for view, table in LONG_VIEWS.items():
        columns = source.columns(connection, view)
        relation, stated = source.relation(view), dict(renamed)
        if not columns and view in ("epochs", "transfer"):
            columns, relation, stated = _stand_in(view, has_runs, source, renamed)
        if not columns:
            continue
        _read(connection, _selection(connection, table, columns, stated, key=True), relation)
        if view == "epochs":
            check_epochs(connection, source.path)
        if columns:
            notes += check_fractions(connection, source.path, percent)
        lost = "SELECT study || '/' || cell_id FROM rows_in ANTI JOIN found USING (study, cell_id)"
        refuse(connection, lost, f"a row of {view} without its run", source.path)
        for run, n in _one_per_key(connection, view, duplicates, source)[1].items():
            twice[run] = max(twice.get(run, 0), n)
        _copy(connection, f"SELECT * FROM rows_out ORDER BY {', '.join(KEYS[view])}", folder / f"{view}.parquet")
    noted = pl.DataFrame(
        {"run": list(twice), "n": list(twice.values())}, schema={"run": pl.String, "n": pl.Int32}
    ).to_arrow()
    connection.register("noted", noted)
    connection.execute(
        "UPDATE found SET duplicate_rows = n, duplicates = $rule FROM noted WHERE study || '/' || cell_id = run",
        {"rule": duplicates},
    )
    _copy(connection, "SELECT * FROM found ORDER BY study, cell_id", folder / "runs.parquet")
    return n_same, twice, tuple(dict.fromkeys(notes))


def _read(connection: duckdb.DuckDBPyConnection, values: dict[str, str], relation: str) -> None:
    """Make `rows_in` of a table of the source, its rows numbered in their order."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE rows_in AS SELECT {_joined(values)}, row_number() OVER () AS place "
        f"FROM {relation}"
    )


def _one_per_key(
    connection: duckdb.DuckDBPyConnection, view: str, duplicates: Rule, source: BulkSource
) -> tuple[int, dict[str, int]]:
    described = connection.sql("DESCRIBE rows_in").fetchall()
    columns = {row[0]: row[1] for row in described if row[0] != "place"}
    n_same, twice = one_row_per_key(connection, view, columns, duplicates, source.path)
    return n_same, {f"{study}/{cell_id}": n for (study, cell_id), n in twice.items()}


def _n_runs(folder: Path) -> int:
    with decoding(lambda said: DataError(f"cannot read {folder}: {said}", hint="delete the folder, then import again")):
        return int(footer(folder / "runs.parquet").num_rows)


def _stand_in(
    view: str, has_runs: set[str], source: BulkSource, renamed: dict[str, str]
) -> tuple[set[str], str, dict[str, str]]:
    """Take epochs or evaluations from the result columns of the runs."""
    if view == "epochs":
        stated = renamed | {"epoch": "coalesce(selected_epoch, epochs, 1)"}
        needed = {"selected_epoch", "epochs"}
        if needed - has_runs:
            stated["epoch"] = f"coalesce({', '.join([*(needed & has_runs), '1'])})"
        return has_runs, source.relation("runs"), stated
    if {"transfer_set", *_STATED[view].values()} - has_runs:
        return set(), "", {}
    where = "zero_shot_pct IS NOT NULL AND zero_shot_base_pct IS NOT NULL AND n_transfer IS NOT NULL"
    classes = _CLASSES if "transfer_classes" in has_runs else {}
    return has_runs, f"(FROM {source.relation('runs')} WHERE {where})", renamed | _STATED[view] | classes


def _selection(
    connection: duckdb.DuckDBPyConnection, table: str, has: set[str], stated: dict[str, str], *, key: bool = False
) -> dict[str, str]:
    """Return name -> expression for every column of `table`, in its type; NULL for what is not there or not finite."""
    wanted = [(row[0], row[1]) for row in connection.sql(f"DESCRIBE {table}").fetchall() if row[0] not in _OWN]
    if key:
        wanted = [("study", "VARCHAR"), ("cell_id", "VARCHAR"), *wanted]
    values = {}
    for name, kind in wanted:
        if name in has and (name not in stated or name in _DEFAULTS):
            value = f"coalesce({_ident(name)}, {stated[name]})" if name in stated else _ident(name)
        else:
            value = stated.get(name, "NULL")
        value = f"CAST({value} AS {kind})"
        if kind == "DOUBLE":
            value = f"CASE WHEN isfinite({value}) THEN {value} END"
        values[name] = value
    return values


def _joined(values: dict[str, str]) -> str:
    return ", ".join(f"{value} AS {_ident(name)}" for name, value in values.items())


def _copy(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quoted(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def _count(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    try:
        return int(connection.sql(query).fetchall()[0][0])
    except duckdb.Error as cause:
        raise DataError(
            f"{path} holds no runs: {first_line(cause)}", hint="name what heatdrift export wrote"
        ) from cause


def _ident(name: str) -> str:
    return f'"{name}"'  # `commit` is a word of SQL


def _studies(part: Path) -> tuple[str, ...]:
    with decoding(lambda said: DataError(f"cannot read {part}: {said}", hint="delete the folder, then import again")):
        return tuple(sorted(read_parquet(part / "runs.parquet", ["study"])["study"].unique().to_pylist()))
