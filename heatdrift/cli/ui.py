"""``heatdrift ui``: a snapshot of the store for DuckDB's own UI, or any client, while training goes on."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption, StoreOption
from heatdrift.cli.output import note, say, show_json, typable
from heatdrift.cli.watching import now
from heatdrift.cli.workspace import Workspace
from heatdrift.wording import counted, megabytes


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("ui")(snapshot_for_ui)


def snapshot_for_ui(
    path: Annotated[
        Path, typer.Option("--path", help="Where the snapshot goes; an earlier one there is replaced.")
    ] = Path("reports/snapshot.duckdb"),
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
) -> None:
    """Copy the store as it is now to a file for DuckDB's UI, its shell or any client, and say how to open it there.

    Nothing is started and no extension is needed: DuckDB's UI is part of DuckDB's own command line program.

    Example: `heatdrift ui`
    """
    from heatdrift.store.snapshot import take_snapshot

    taken = take_snapshot(Workspace.of(store).store, path)
    if fmt is Format.json:
        show_json({**{name: getattr(taken, name) for name in taken.__struct_fields__}, "commands": commands(path)})
        return
    size = megabytes(taken.n_bytes)
    say(f"{path}: {counted(taken.n_runs, 'run')} of {counted(taken.n_studies, 'study', 'studies')} at {now()} ({size})")
    for what, command in commands(path).items():
        say(f"{what}:\n  {command}")
    note("for newer runs: the same command again")


def commands(path: Path) -> dict[str, str]:
    """Return what opens a snapshot in DuckDB's UI, in its shell and in Python, as it is typed in a shell.

    The UI gets it attached: with ``-readonly`` it cannot keep its own notes and refuses every query (duckdb-ui #61).
    """
    name = typable(str(path))
    attach = f"ATTACH '{name.replace(chr(39), 2 * chr(39))}' AS snapshot (READ_ONLY); USE snapshot"
    connect = f"import duckdb; print(duckdb.connect({name!r}, read_only=True).sql('FROM runs LIMIT 5'))"
    return {
        "DuckDB's UI": f"duckdb -cmd {shlex.quote(attach)} -ui",
        "DuckDB's shell": f"duckdb -readonly {shlex.quote(name)}",
        "Python": f"python -c {shlex.quote(connect)}",
    }
