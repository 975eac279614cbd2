"""``heatdrift verify-protocol``: each setting that decides a number, the author's and ours."""

from pathlib import Path
from typing import Annotated

import typer

from heatdrift.cli.options import Format, FormatOption
from heatdrift.cli.output import note, show_rows
from heatdrift.errors import UnknownNameError


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("verify-protocol")(verify_protocol)


def verify_protocol(
    study: Annotated[str, typer.Argument(help="A study whose author published code: preprint80.")],
    fmt: FormatOption = Format.table,
) -> None:
    """Compare a study with the public code of its author, setting by setting.

    Ours is read from the study and from the code that trains and measures.

    Example: `heatdrift verify-protocol preprint80`
    """
    from heatdrift.cli.author_settings import COMMITS, REPOSITORY, TABLES, Planned
    from heatdrift.cli.workspace import planned_cells
    from heatdrift.plan.study import load_study

    if study not in TABLES:
        raise UnknownNameError("study with public code of its author", study, TABLES)
    spec = load_study(study)
    plan = Planned(spec, planned_cells(spec, Path()))
    rows = []
    for setting in TABLES[study]:
        ours = setting.ours(plan)
        rows.append(
            {
                "setting": setting.name,
                "equal": "yes" if ours == setting.author else "no",
                "author": setting.author,
                "ours": ours,
                "public_code": setting.where,
            }
        )
    show_rows(rows, fmt)
    different = [row["setting"] for row in rows if row["equal"] == "no"]
    but = f"; not: {', '.join(different)}" if different else ""
    note(f"{len(rows) - len(different)} of {len(rows)} settings are the author's{but}.")
    at = ", ".join(f"{file} at {commit[:7]}" for file, commit in COMMITS.items())
    note(f"Public code: {REPOSITORY} ({at})")
