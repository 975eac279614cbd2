"""``heatdrift store``: the database made anew from the records, and both checked against each other."""

from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption, StoreOption
from heatdrift.cli.output import note, say, show_json, show_rows
from heatdrift.cli.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(no_args_is_help=True, help="Look after the database.")
    group.command("rebuild")(rebuild_store)
    group.command("check")(check)
    app.add_typer(group, name="store")


def rebuild_store(store: StoreOption = None, fmt: FormatOption = Format.table) -> None:
    """Make the database anew from the records in its folder.

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
    repair: Annotated[
        bool, typer.Option("--repair", help="First restore records from their attempts and clear up after killed runs.")
    ] = False,
    mend: Annotated[bool, typer.Option("--mend", hidden=True, help="Older name of --repair.")] = False,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Check files, rows and views against each other; exit 2 when something must be repaired, with what to do.

    Example: `heatdrift store check`
    """
    from heatdrift.store.check import check_store
    from heatdrift.store.repair import repair_store

    work = Workspace.of(store)
    if repair or mend:
        for line in repair_store(work.store):
            note(line)
    report = check_store(work.store)
    if fmt is Format.json:
        show_json(report)
    elif report.findings:
        columns = ("kind", "where", "what", "todo", "wrong")
        show_rows([{c: getattr(f, c) for c in columns} for f in report.findings], fmt)
    note(
        f"{report.records} records, {report.attempts} attempts, {report.runs} runs in {work.store}: "
        f"{sum(f.wrong for f in report.findings)} to repair, {sum(not f.wrong for f in report.findings)} to know"
    )
    if report.wrong:
        raise typer.Exit(2)
