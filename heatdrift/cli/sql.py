"""``heatdrift sql``: questions to the store, as text, from a file or by name."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.options import CsvSafeOption, Format, StoreOption
from heatdrift.cli.output import note, say, show_frame, show_list
from heatdrift.cli.workspace import Workspace
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heatdrift.store.queries import NamedQuery


class SqlFormat(StrEnum):
    """How the rows of a query are printed or written."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("sql")(sql)


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT over runs, epochs, layers, heads, cells, ...")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the query from a file.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="A named question; see --list.")] = None,
    list_names: Annotated[
        bool, typer.Option("--list", help="List the named questions; with --name all about one.")
    ] = False,
    param: Annotated[list[str] | None, typer.Option("--param", help="k=v for $k in the query (repeatable).")] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="The query's $study: a study of the store or its .toml file.")
    ] = None,
    store: StoreOption = None,
    fmt: Annotated[SqlFormat, typer.Option("--format", help="Output format; parquet goes to --out.")] = SqlFormat.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write json, csv or parquet here.")] = None,
    safe: CsvSafeOption = True,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Stop a query after so many seconds; without it Ctrl-C does.")
    ] = None,
) -> None:
    """Ask the store in SQL: read-only, locked down, with the views of docs/schema.md.

    A query has half of the machine's memory, and sees the absolute path of the store in DuckDB's own tables.

    Example: `heatdrift sql "select status, count(*) from runs group by 1"`
    """
    from heatdrift.store.queries import list_queries, named_query, questions_frame, run_query
    from heatdrift.store.sql import parse_parameter, pooled_studies, run_sql, write_frame

    work = Workspace.of(store)
    if fmt is SqlFormat.parquet and out is None:
        raise QueryError("parquet is no text to print", hint="add --out FILE.parquet")
    if fmt is SqlFormat.table and out is not None:
        raise QueryError("a table is for the terminal", hint="add --format csv, json or parquet to --out FILE")
    if list_names:
        questions = (named_query(name),) if name is not None else list_queries()
        if fmt is SqlFormat.table:
            _show_questions(questions, alone=name is not None)
            return
        frame = questions_frame(questions)
    else:
        if sum(x is not None for x in (query, file, name)) != 1:
            raise QueryError("give one query: as text, --file or --name", hint='heatdrift sql "select * from cells"')
        text = named_query(name).sql if name is not None else query if query is not None else _read(file)
        parameters = {key: parse_parameter(value) for key, value in (_pair(text) for text in param or [])}
        if study is not None:
            parameters["study"] = _stored(work, study, text)
        if name is not None:
            frame = run_query(work.store, name, parameters, timeout_s=timeout)
        else:
            frame = run_sql(work.store, text, parameters, timeout_s=timeout)
        if mixed := pooled_studies(work.store, text, frame):
            runs = ", ".join(f"{name} ({n})" for name, n in mixed.items())
            note(f"the result mixes runs of {len(mixed)} studies, because the query does not name study: {runs}")
    if out is None:
        show_frame(frame, Format(fmt.value), safe=safe)
        return
    write_frame(frame, out, fmt.value, safe=safe)
    note(f"{frame.height} rows in {out}")


def _show_questions(questions: "Sequence[NamedQuery]", *, alone: bool) -> None:
    """Names and questions with the parameters that only they have; of one `alone` everything that its file says."""
    if not alone:
        for question in questions:
            own = [p for p in question.parameters if p.name != "study"]
            given = f" ({', '.join(f'{p.name}={p.default}' for p in own)})" if own else ""
            show_list([(f"{question.name:26}", f"{question.question}{given}")])
        note("heatdrift sql --name NAME [--study NAME] [--param k=v]; all about one: heatdrift sql --list --name NAME")
        return
    for question in questions:
        show_list([(f, getattr(question, f)) for f in ("name", "question", "grain", "units")])
        show_list(
            [
                ("", f"${p.name} = {'null' if p.default is None else p.default}: {p.meaning}")
                for p in question.parameters
            ]
        )
        say("")
        say("\n".join(line for line in question.sql.strip().splitlines() if not line.startswith("--")))


def _stored(work: Workspace, study: str, query: str) -> str:
    """Name of the study for a query's $study; QueryError where the query has none, so that nothing would be chosen."""
    from heatdrift.store.ingest import open_current

    if "$study" not in query:
        raise QueryError("--study is the value of $study, and the query has no $study", hint="... where study = $study")
    with open_current(work.store) as connection:
        return work.stored_study(connection, study)


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        return sys.stdin.read()
    with decoding(lambda said: QueryError(f"cannot read {file}: {said}", hint="heatdrift sql --file QUERY.sql")):
        return read_whole(file).decode()


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise QueryError(f"--param wants name=value, got {text!r}", hint="--param lr=1e-5")
    return key, value
