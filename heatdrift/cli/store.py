"""``heatdrift sql``, ``import``, ``export``, ``status`` and ``store``: everything about runs that are there already."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.options import Format, FormatOption, StoredStudyOption, StoreOption
from heatdrift.cli.output import note, say, show_frame, show_json, show_rows
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import DataError, QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heatdrift.store.importers.outcome import ImportReport
    from heatdrift.store.scan import Problem
    from heatdrift.train.status import StudyStatus


class ImportFormat(StrEnum):
    """What lies at the path to import."""

    heatdrift = "heatdrift"
    reference = "reference"
    mlflow = "mlflow"
    table = "table"


class SqlFormat(StrEnum):
    """How the rows of a query are printed or written."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


class FolderFormat(StrEnum):
    """Files of an exported folder."""

    parquet = "parquet"
    csv = "csv"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("sql")(sql)
    app.command("import")(import_runs)
    app.command("export")(export)
    app.command("status")(status)
    group = typer.Typer(no_args_is_help=True, help="Look after the database.")
    group.command("rebuild")(rebuild_store)
    group.command("check")(check)
    app.add_typer(group, name="store")


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT over runs, epochs, layers, heads, cells, ...")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the query from a file.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="A named question; see --list.")] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List the named questions.")] = False,
    param: Annotated[list[str] | None, typer.Option("--param", help="k=v for $k in the query (repeatable).")] = None,
    store: StoreOption = None,
    fmt: Annotated[SqlFormat, typer.Option("--format", help="Output format; parquet goes to --out.")] = SqlFormat.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write json, csv or parquet here.")] = None,
) -> None:
    """Ask the store in SQL: read-only, locked down, with the views of docs/schema.md.

    Example: `heatdrift sql "select status, count(*) from runs group by 1"`
    """
    from heatdrift.store.queries import list_queries, questions_frame, run_query
    from heatdrift.store.sql import parse_parameter, run_sql, write_frame

    work = Workspace.of(store)
    if fmt is SqlFormat.parquet and out is None:
        raise QueryError("parquet is no text to print", hint="add --out FILE.parquet")
    if fmt is SqlFormat.table and out is not None:
        raise QueryError("a table is for the terminal", hint="add --format csv, json or parquet to --out FILE")
    if list_names:
        frame = questions_frame(list_queries())
    else:
        if sum(x is not None for x in (query, file, name)) != 1:
            raise QueryError("give one query: as text, --file or --name", hint='heatdrift sql "select * from cells"')
        parameters = {key: parse_parameter(value) for key, value in (_pair(text) for text in param or [])}
        if name is not None:
            frame = run_query(work.store, name, parameters)
        else:
            frame = run_sql(work.store, query if query is not None else _read(file), parameters)
    if out is None:
        show_frame(frame, Format(fmt.value))
        return
    write_frame(frame, out, fmt.value)
    note(f"{frame.height} rows in {out}")


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"cannot read {file}: {error}", hint="heatdrift sql --file QUERY.sql") from error


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise QueryError(f"--param wants name=value, got {text!r}", hint="--param lr=1e-5")
    return key, value


def import_runs(
    path: Annotated[str, typer.Argument(help="Folder, file, or MLflow tracking URI.")],
    kind: Annotated[ImportFormat, typer.Option("--format", help="What lies there.")],
    study: Annotated[
        str | None, typer.Option("--study", help="Study that the runs become part of. Default: theirs, or 'imported'.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="ours=theirs, or ours=theirs*100 (repeatable; table, mlflow).")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", help="ours=value for all runs (repeatable; table, mlflow).")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map-file", help="The same as TOML: [columns], [constants].")
    ] = None,
    store: StoreOption = None,
    fmt: Annotated[Format, typer.Option("--output", help="How to print what was done.")] = Format.table,
) -> None:
    """Bring runs measured elsewhere into the store; importing twice is importing once.

    Example: `heatdrift import records/vitb16 --format reference --study vitb16`
    """
    from heatdrift.store.importers.columns import column_map
    from heatdrift.store.importers.mlflow import import_mlflow
    from heatdrift.store.importers.records import import_heatdrift
    from heatdrift.store.importers.reference import import_reference
    from heatdrift.store.importers.table import import_table
    from heatdrift.store.ingest import ingest

    folder, store = Workspace.of(store).store_folder, Workspace.of(store).store
    name = study or "imported"
    if kind is ImportFormat.heatdrift:
        report = import_heatdrift(Path(path), folder, study)
    elif kind is ImportFormat.reference:
        report = import_reference(Path(path), folder, name)
    else:
        chosen = column_map(columns or (), constants or (), map_file)
        if kind is ImportFormat.mlflow:
            report = import_mlflow(path, chosen, store_folder=folder, study=name)
        else:
            report = import_table(Path(path), chosen, store_folder=folder, study=name)
    _show_import(report, kind, path, ingest(store).problems, store, fmt)


def _show_import(
    report: "ImportReport", kind: ImportFormat, path: str, problems: "Sequence[Problem]", store: Path, fmt: Format
) -> None:
    from heatdrift.store.hints import with_store

    for problem in (*report.problems, *problems):
        note(f"left out: {problem.path}: {problem.reason}")
    if fmt is Format.json:
        show_json(report)
    else:
        counts = [f"{report.added} imported", f"{report.unchanged} there already"]
        counts += [f"{report.doubled} repeated in the file"] if report.doubled else []
        counts.append(f"{len(report.problems)} left out")
        studies = f"study {', '.join(report.studies)}: " if report.studies else ""
        say(f"{studies}{', '.join(counts)}")
    if report.ignored:
        note(f"ignored columns: {', '.join(report.ignored)} (--map OURS=THEIRS takes one in)")
    if report.repeated:
        note(f"{report.repeated} cells had other results already; all attempts are kept:")
        note(with_store("heatdrift sql --name repeated_runs", store))
    if report.problems and not report.added + report.unchanged:
        raise DataError(f"nothing at {path} is a {kind.value} run", hint="see the reasons above")


def export(
    to: Annotated[Path, typer.Option("--to", help="A new folder, or FILE.duckdb.")],
    study: StoredStudyOption = None,
    kind: Annotated[FolderFormat, typer.Option("--format", help="Files of a folder.")] = FolderFormat.parquet,
    store: StoreOption = None,
) -> None:
    """Write all views as Parquet or CSV files, or as one self-contained DuckDB file.

    Example: `heatdrift export --to runs.duckdb --study demo`
    """
    from heatdrift.store.export import export_store

    report = export_store(Workspace.of(store).store, to, study=study, kind=kind.value)
    say(f"{report.path}: " + ", ".join(f"{n} {view}" for view, n in report.rows.items()))


def status(
    study: StoredStudyOption = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
    cells: Annotated[bool, typer.Option("--cells", help="One row per cell instead of the counts.")] = False,
) -> None:
    """Say how far every study is: done, running, failed (why), diverged, missing, time left.

    Example: `heatdrift status`
    """
    from heatdrift.store.parts import count_bulk
    from heatdrift.train.status import all_studies

    work = Workspace.of(store)
    plans = {name: plan.cells for name in work.studies() if (plan := work.kept_plan(name)) is not None}
    found = all_studies(work.store_folder, plans, study=study, bulk=count_bulk(work.store))
    if not cells:
        show_rows([s.counts() for s in found], fmt)
    if cells or fmt is Format.table:
        _show_cells(found, fmt, everything=cells)


def _show_cells(found: "Sequence[StudyStatus]", fmt: Format, *, everything: bool) -> None:
    """Print every cell, or those that somebody should look at: running, failed, diverged."""
    rows = [row for s in found for row in s.rows() if everything or row["status"] in ("running", "failed", "diverged")]
    if rows or everything:
        show_rows(rows, fmt)


def rebuild_store(store: StoreOption = None, fmt: FormatOption = Format.table) -> None:
    """Make the database anew from the records beside it.

    Example: `heatdrift store rebuild`
    """
    from heatdrift.store.ingest import rebuild

    work = Workspace.of(store)
    report = rebuild(work.store)
    for problem in report.problems:
        note(f"left out: {problem.path}: {problem.reason}")
    if fmt is Format.json:
        show_json(report)
        return
    say(f"{work.store}: {report.added} runs from records, {len(report.problems)} files left out")


def check(
    mend: Annotated[
        bool, typer.Option("--mend", help="First restore records from their attempts and clear up after killed runs.")
    ] = False,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Check files, rows and views against each other; exit 2 when something must be mended, with what to do.

    Example: `heatdrift store check`
    """
    from heatdrift.store.check import check_store
    from heatdrift.store.mend import mend_store

    work = Workspace.of(store)
    if mend:
        for line in mend_store(work.store):
            note(line)
    report = check_store(work.store)
    if fmt is Format.json:
        show_json(report)
    elif report.findings:
        columns = ("kind", "where", "what", "todo", "wrong")
        show_rows([{c: getattr(f, c) for c in columns} for f in report.findings], fmt)
    note(
        f"{report.records} records, {report.attempts} attempts, {report.runs} runs in {work.store}: "
        f"{sum(f.wrong for f in report.findings)} to mend, {sum(not f.wrong for f in report.findings)} to know"
    )
    if report.wrong:
        raise typer.Exit(2)
