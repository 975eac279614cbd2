"""``heatdrift status``: how far every study is, and how to go on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heatdrift.cli.advice import from_here, train_command
from heatdrift.cli.options import Format, FormatOption, StoreOption
from heatdrift.cli.output import note, out, say, show_rows
from heatdrift.cli.status_doses import dose_lines
from heatdrift.cli.watching import EveryOption, now, repeat
from heatdrift.cli.workspace import KeptPlan, Workspace, planned_cells, study_name
from heatdrift.config import StudySpec
from heatdrift.errors import HeatdriftError
from heatdrift.plan.cells import plan_cells
from heatdrift.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heatdrift.train.status import StudyStatus


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("status")(status)


def status(
    study: Annotated[
        str | None,
        typer.Option("--study", help="Only this one: a study of the store, a .toml file or a built-in name."),
    ] = None,
    store: StoreOption = None,
    fmt: FormatOption = Format.table,
    cells: Annotated[bool, typer.Option("--cells", help="One row per cell instead of the counts.")] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Look again and again until nothing runs and nothing is missing, or Ctrl-C."),
    ] = False,
    every: EveryOption = 5.0,
) -> None:
    """Say how far every study is: done, running, failed (why), diverged, missing, time left, how to go on.

    A line per group of finished cells draws zero-shot retention, or test accuracy, along the learning rates.

    A study file that is named is followed as it is now; without one, the plan counts that training kept. In a terminal
    `--watch` shows one table that changes; written into a file or pipe, a new one whenever a count has changed.

    Example: `heatdrift status`
    """
    if not watch:
        _show(_looked(study, store), study, store, fmt, cells=cells)
        return
    shown: list[object] = []

    def once() -> bool:
        seen = _looked(study, store)
        counts = [(s.study, s.done, s.running, s.failed, s.diverged, s.missing) for s in seen.found]
        if out.is_terminal:
            out.clear()
        if out.is_terminal or shown != [counts]:
            _show(seen, study, store, fmt, cells=cells)
            note(f"{now()}, looking every {every:g} s; Ctrl-C ends it")
        shown[:] = [counts]
        return all(s.is_finished for s in seen.found)

    repeat(once, every_s=every)


class Looked(msgspec.Struct, frozen=True):
    """What one look found.

    Attributes
    ----------
    found : every study that is shown.
    plans : the kept plans, by study.
    fresh : the one of `found` of which nothing was run.
    edited : the one of `found` that is a study file as it is now.
    work : where it was found.
    """

    found: "tuple[StudyStatus, ...]"
    plans: "Mapping[str, KeptPlan]"
    fresh: "StudyStatus | None"
    edited: "StudyStatus | None"
    work: Workspace


def _looked(study: str | None, store: Path | None) -> Looked:
    """Return how far the studies are now."""
    from heatdrift.store.bulk_parts import count_bulk
    from heatdrift.store.folder import cell_folders
    from heatdrift.train.status import all_studies

    work = Workspace.of(store)
    plans = {name: plan for name in work.studies() if (plan := work.kept_plan(name)) is not None}
    bulk = count_bulk(work.store)
    known = {*plans, *bulk, *(folder.parent.name for folder in cell_folders(work.store_folder))}
    wanted = study or work.settings.study
    name = study_name(wanted, known)
    fresh = not_started(work.study(wanted)) if name is not None and name not in known else None
    edited = None
    if fresh is None and name is not None and wanted is not None and wanted.endswith(".toml"):
        edited = followed(work, wanted, plans.get(name), bulk.get(name, {}))
    first = fresh or edited
    found: list[StudyStatus] = [] if first is None else [first]
    if first is None or (study is None and known):
        stored = {n: plan.cells for n, plan in plans.items()}
        others = all_studies(work.store_folder, stored, study=name if study is not None else None, bulk=bulk)
        found += [one for one in others if edited is None or one.study != edited.study]
    return Looked(found=tuple(found), plans=plans, fresh=fresh, edited=edited, work=work)


def _show(seen: Looked, study: str | None, store: Path | None, fmt: Format, *, cells: bool) -> None:
    """Print it, and how to go on."""
    wanted = study or seen.work.settings.study
    if not cells:
        show_rows([s.counts() for s in seen.found], fmt)
    if cells or fmt is Format.table:
        _show_cells(seen.found, fmt, everything=cells)
    if fmt is Format.table and not cells:
        for one in seen.found:
            for line in dose_lines(one.states, one.study):
                say(line)
    for one in seen.found:
        if one is seen.fresh:
            note(f"nothing of study {one.study} has run yet; to start: {train_command(str(wanted), store=store)}")
        elif one is seen.edited and one.study not in seen.plans:
            _say_how_to_go_on(one, str(wanted), None, store)
        elif one.study in seen.plans:
            file, data_dir = _named(seen.plans[one.study], one.study, seen.work)
            _say_how_to_go_on(one, str(wanted) if one is seen.edited else file, data_dir, store)


def not_started(study: StudySpec) -> "StudyStatus":
    """Status of a study of which nothing was run; its cells are counted, not hashed, so no image need be at hand."""
    from heatdrift.train.status import study_status

    cells = plan_cells(study, source_hash=lambda _: "", backbone_hash=lambda _: "")
    return msgspec.structs.replace(
        study_status(study.name, ()), planned=len(cells), missing=len(cells), time_left_s=None
    )


def followed(work: Workspace, file: str, plan: KeptPlan | None, bulk: "Mapping[str, int]") -> "StudyStatus | None":
    """Status of a study file as it is now, of which something has run: what was added to it is missing.

    Options of the training that changed ids, as the kept plan has them, hold for the file too. None where its cells
    cannot be identified, because images or weights are not at hand; that is said.
    """
    from heatdrift.store.folder import cell_folders
    from heatdrift.train.status import cell_states, study_status

    spec = work.study(file)
    if plan is not None and plan.study.train.skip_unreadable:
        spec = msgspec.structs.replace(spec, train=msgspec.structs.replace(spec.train, skip_unreadable=True))
    folder = work.data_folder(spec, file, work.store_folder / plan.data_dir if plan and plan.data_dir else None)
    try:
        cells = planned_cells(spec, folder)
    except HeatdriftError as error:
        note(
            f"{file} cannot be compared with the runs: {error.message}; study {spec.name} is shown as training kept it"
        )
        return None
    states = cell_states(cells, study=spec.name, store_folder=work.store_folder)
    ids = {cell.cell_id for cell in cells}
    more = sum(path.name not in ids for path in cell_folders(work.store_folder, spec.name))
    if more:
        note(f"{counted(more, 'run')} of study {spec.name} {'is' if more == 1 else 'are'} not in {file} (any more)")
    return study_status(spec.name, states, bulk=bulk)


def _named(plan: KeptPlan, study: str, work: Workspace) -> tuple[str, str | None]:
    """Return study file (else its name) and data folder of the training that kept a plan, as they can be typed here."""
    file = from_here(work.store_folder / plan.file) if plan.file else study
    if plan.file and not Path(file).is_file():
        file = "FILE.toml"
    return file, from_here(work.store_folder / plan.data_dir) if plan.data_dir else None


def _say_how_to_go_on(status: "StudyStatus", file: str, data_dir: str | None, store: Path | None) -> None:
    """Name the command that trains what is missing or failed, and the one for what diverged."""
    left = status.missing + status.failed
    command = train_command(file, store=store, data_dir=data_dir)
    if left:
        going = f" (with {status.running} more running)" if status.running else ""
        note(f"study {status.study}: {left} of {status.planned} cells are left{going}; to go on: {command}")
    if status.diverged:
        again = command.replace("--all", "--only-failed")
        note(f"study {status.study}: {status.diverged} diverged, which is a result; to try them again: {again}")


def _show_cells(found: "Sequence[StudyStatus]", fmt: Format, *, everything: bool) -> None:
    """Print every cell, or those that somebody should look at: running, failed, diverged."""
    rows = [row for s in found for row in s.rows() if everything or row["status"] in ("running", "failed", "diverged")]
    if rows or everything:
        show_rows(rows, fmt)
