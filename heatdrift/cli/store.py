"""``heatdrift sql``, ``import``, ``status`` and ``store``: everything about runs that are there already."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption, StoredStudyOption, StoreOption
from heatdrift.cli.output import note, say, show_frame, show_json, show_rows
from heatdrift.cli.workspace import Workspace
from heatdrift.errors import DataError, QueryError


class ImportFormat(StrEnum):
    """What lies at the path to import."""

    reference = "reference"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("sql")(sql)
    app.command("import")(import_runs)
    app.command("status")(status)
    group = typer.Typer(no_args_is_help=True, help="Look after the database.")
    group.command("rebuild")(rebuild_store)
    app.add_typer(group, name="store")


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT over runs, epochs, layers, heads, cells, ...")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the query from a file.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="A named question; see --list.")] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List the named questions.")] = False,
    param: Annotated[list[str] | None, typer.Option("--param", help="k=v for $k in the query (repeatable).")] = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Ask the store in SQL: read-only, locked down, with the views of docs/schema.md.

    Example: `heatdrift sql "select status, count(*) from runs group by 1"`
    """
    from heatdrift.store.queries import list_queries, run_query
    from heatdrift.store.sql import parse_parameter, run_sql

    work = Workspace.of(store)
    if list_names:
        show_rows(
            [{"name": q.name, "question": q.question, "grain": q.grain, "units": q.units} for q in list_queries()], fmt
        )
        return
    if sum(x is not None for x in (query, file, name)) != 1:
        raise QueryError("give one query: as text, --file or --name", hint='heatdrift sql "select * from cells"')
    given = dict(_pair(text) for text in param or [])
    parameters = {key: parse_parameter(value) for key, value in given.items()}
    if name is not None:
        show_frame(run_query(work.store, name, parameters), fmt)
        return
    text = query if query is not None else _read(file)
    show_frame(run_sql(work.store, text, parameters), fmt)


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise QueryError(f"cannot read {file}: {error.strerror}", hint="heatdrift sql --file QUERY.sql") from error


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise QueryError(f"--param wants name=value, got {text!r}", hint="--param lr=1e-5")
    return key, value


def import_runs(
    path: Annotated[Path, typer.Argument(help="A folder of records, or one of them.")],
    kind: Annotated[ImportFormat, typer.Option("--format", help="What lies there.")],
    study: Annotated[str, typer.Option("--study", help="Study that the runs become part of.")] = "imported",
    store: StoreOption = None,
) -> None:
    """Bring runs measured elsewhere into the store; importing twice is importing once.

    Example: `heatdrift import records/vitb16 --format reference --study vitb16`
    """
    from heatdrift.store.importers.reference import import_reference
    from heatdrift.store.ingest import ingest

    work = Workspace.of(store)
    report = import_reference(path, work.store_folder, study)
    for problem in (*report.problems, *ingest(work.store).problems):
        note(f"left out: {problem.path}: {problem.reason}")
    say(f"study {study}: {report.added} imported, {report.unchanged} there already, {len(report.problems)} left out")
    if report.problems and not report.added + report.unchanged:
        raise DataError(f"nothing at {path} is a {kind.value} record", hint="see the reasons above")


def status(study: StoredStudyOption = None, store: StoreOption = None, fmt: FormatOption = Format.table) -> None:
    """Count the runs of each study in the store by status.

    Example: `heatdrift status`
    """
    from heatdrift.store.sql import run_sql

    frame = run_sql(
        Workspace.of(store).store,
        "select study, protocol, backbone, status, count(*) as cells, sum(wall_s) / 60 as minutes from runs "
        "where $study is null or study = $study group by all order by all",
        {"study": study},
    )
    show_frame(frame, fmt)


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
