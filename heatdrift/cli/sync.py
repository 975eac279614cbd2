"""``heatdrift sync``: finished runs to and from a folder or an object store that several machines share."""

from typing import TYPE_CHECKING, Annotated

import typer

from heatdrift.cli.options import Format, StoreOption
from heatdrift.cli.output import note, say, show_json, show_rows
from heatdrift.cli.workspace import Workspace
from heatdrift.wording import counted

if TYPE_CHECKING:
    from heatdrift.store.sync import SyncReport

_NAMED = 3  # cells with several results that are named one by one


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("sync")(sync_runs)


def sync_runs(
    remote: Annotated[str, typer.Argument(help="Folder, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/...")],
    push: Annotated[bool, typer.Option("--push", help="Only send what is finished here.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Only take what others finished.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent and taken, write nothing.")
    ] = False,
    store: StoreOption = None,
    fmt: Annotated[Format, typer.Option("--format", help="How to print what was done.")] = Format.table,
) -> None:
    """Send finished runs to a place that machines share, take what others finished, and ingest; any number at once.

    Nothing is removed on either side. Killed or without network for a while, the same command goes on.

    Example: `heatdrift sync s3://lab/runs`
    """
    from heatdrift.store.sync import sync

    both = push == pull
    report = sync(Workspace.of(store).store, remote, push=push or both, pull=pull or both, dry_run=dry_run)
    for problem in report.problems:
        note(f"left out: {problem.where}: {problem.reason}")
    if fmt is Format.json:
        show_json(report)
    elif fmt is Format.csv:
        columns = ("remote", "pushed", "pulled", "arrays_pushed", "arrays_pulled", "files_pushed", "files_pulled")
        show_rows([{name: getattr(report, name) for name in (*columns, "there", "running", "added", "updated")}], fmt)
    else:
        _show(report, push=push or both, pull=pull or both)


def _show(report: "SyncReport", *, push: bool, pull: bool) -> None:
    would = "" if report.written else "would be "
    if push:
        files = _files(report.arrays_pushed, report.files_pushed)
        say(f"{report.remote}: {counted(report.pushed, 'run')} {would}sent{files}, {report.there} there already")
    if pull:
        files = _files(report.arrays_pulled, report.files_pulled)
        rows = f"; store: {report.added} added, {report.updated} changed" if report.written else ""
        say(f"{report.remote}: {counted(report.pulled, 'run')} {would}taken{files}{rows}")
    if report.running:
        note(f"{counted(report.running, 'cell')} left for the next sync: a process here is at work there")
    if report.differing:
        more = f" and {len(report.differing) - _NAMED} more" if len(report.differing) > _NAMED else ""
        note(
            f"{counted(len(report.differing), 'cell')} with several results, the one that finished last counts, "
            f"all are kept: {', '.join(report.differing[:_NAMED])}{more}"
        )


def _files(arrays: int, files: int) -> str:
    parts = [counted(arrays, "array file")] if arrays else []
    parts += [counted(files, "plan, part or set of points", "plans, parts or sets of points")] if files else []
    return f" with {' and '.join(parts)}" if parts else ""
