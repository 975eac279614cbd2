"""``heatdrift plan``: the cells of a study and what the store has of them."""

from typing import Annotated

import typer

from heatdrift.cli.checks import refuse_sizes
from heatdrift.cli.options import DataDirOption, Format, FormatOption, StoreOption, StudyOption
from heatdrift.cli.output import note, say, show_rows
from heatdrift.cli.time_left import MeasureOption, by_finished, by_measuring
from heatdrift.cli.workspace import Workspace, planned_cells


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("plan")(plan)
    app.command("studies")(studies)


def plan(
    study: StudyOption = None,
    store: StoreOption = None,
    data_dir: DataDirOption = None,
    fmt: FormatOption = Format.table,
    measure: MeasureOption = False,
    hashes: Annotated[bool, typer.Option("--hashes", help="Print hashes of backbone and data, to pin them.")] = False,
) -> None:
    """List the cells of a study with their status; exit 2 if its sizes ask for more pictures than there are.

    Example: `heatdrift plan --study demo`
    """
    from heatdrift.records import FINISHED
    from heatdrift.train.status import cell_states

    work = Workspace.of(store)
    spec = work.study(study)
    folder = work.data_folder(spec, study, data_dir)
    cells = planned_cells(spec, folder)
    if hashes:
        found = {("backbone", cells[0].backbone, cells[0].backbone_sha256)}
        found |= {("data set", c.dataset, c.data_sha256) for c in cells}
        found |= {("transfer set", t.name, t.data_sha256) for c in cells for t in c.transfer}
        show_rows([dict(zip(("what", "name", "sha256"), row, strict=True)) for row in sorted(found)], fmt)
        return
    states = cell_states(cells, study=spec.name, store_folder=work.store_folder)
    rows = [
        {
            "cell_id": s.cell.cell_id,
            "dataset": s.cell.dataset,
            "method": s.cell.method,
            "lr": s.cell.lr,
            "seed": s.cell.seed,
            "status": s.status,
            "attempt": s.attempt,
            "note": s.note,
        }
        for s in states
    ]
    hidden = set()
    if fmt is Format.table:  # what says nothing of any cell would be a block of empty columns
        hidden = {"note"} if all(s.note is None for s in states) else set()
        hidden |= {"attempt"} if all(s.attempt <= 1 for s in states) else set()
    show_rows([{name: value for name, value in row.items() if name not in hidden} for row in rows], fmt)
    counts = {status: sum(s.status == status for s in states) for status in dict.fromkeys(s.status for s in states)}
    open_cells = [state.cell for state in states if state.status not in FINISHED]
    left = by_finished(states, open_cells, at_once=None) if open_cells else None
    if left is None and open_cells and measure:
        left = by_measuring(open_cells, spec, folder)
    rest = f"; left: {left}" if left else ""
    note(f"{len(cells)} cells of study {spec.name}: " + ", ".join(f"{n} {s}" for s, n in counts.items()) + rest)
    refuse_sizes(spec, folder, study or spec.name)


def studies() -> None:
    """List the built-in studies.

    Example: `heatdrift studies`
    """
    from heatdrift.plan.study import builtin_studies, load_study

    for name in builtin_studies():
        say(f"{name}: {load_study(name).title}")
