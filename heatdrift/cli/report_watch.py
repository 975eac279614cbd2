"""``heatdrift report --watch``: the page made again whenever a run of its study has come to an end.

A record is written when a run is finished, failed or diverged; an epoch of a run that goes on is not in the store, so
no page shows it. What is looked at is the list of records with their sizes and times, not their content.
"""

from collections.abc import Callable
from pathlib import Path

from heatdrift.cli.output import note
from heatdrift.cli.watching import now, repeat
from heatdrift.cli.workspace import Workspace, study_name
from heatdrift.errors import HeatdriftError
from heatdrift.wording import counted


def records_of(store_folder: Path, study: str | None) -> frozenset[tuple[str, int, int]]:
    """Return path, size in bytes and time in ns of every record and part that a page of `study` may rest on.

    None for `study` means all studies.
    """
    from heatdrift.store.folder import cell_folders

    files = [folder / "record.json" for folder in cell_folders(store_folder, study)]
    files += store_folder.glob("_parts/*/part.json")
    found = set()
    for path in files:
        try:
            stat = path.stat()
        except OSError:  # a cell that runs has none yet; one may be replaced just now
            continue
        found.add((str(path), stat.st_size, stat.st_mtime_ns))
    return frozenset(found)


def is_over(work: Workspace, study: str) -> bool:
    """Whether no cell of the study is missing and none runs."""
    from heatdrift.store.bulk_parts import count_bulk
    from heatdrift.train.status import all_studies

    kept = work.kept_plan(study)
    plans = {} if kept is None else {study: kept.cells}
    (status,) = all_studies(work.store_folder, plans, study=study, bulk=count_bulk(work.store))
    return status.is_finished


def watched(make: Callable[[], str], work: Workspace, option: str | None, *, every_s: float) -> None:
    """Call `make`, which writes the page and returns its study, now and after every change, until the study is over.

    The database is brought up to the records before each time. While the study (`option`, as it was named) has no
    record, the first one is waited for.

    Raises
    ------
    HeatdriftError
        The first page cannot be made. A later one that cannot is said, and the page stays as it was.
    """
    from heatdrift.store.ingest import ingest

    wanted = option or work.settings.study
    study = study_name(wanted, work.studies()) if wanted else None
    seen: frozenset[tuple[str, int, int]] | None = None
    is_made = False

    def once() -> bool:
        nonlocal study, seen, is_made
        over = is_made and study is not None and is_over(work, study)  # before the list, so that no record is missed
        found = records_of(work.store_folder, study)
        if found == seen:
            return over
        seen = found
        if not found:
            note(f"{now()}: no run has ended yet; looking every {every_s:g} s; Ctrl-C ends it")
            return False
        try:
            ingest(work.store)
            study = make()
        except HeatdriftError as error:
            if not is_made:
                raise
            note(f"{now()}: the page stays as it was: {error.message}")
            return over
        note(f"{now()}: made from {counted(len(found), 'record')}; looking every {every_s:g} s; Ctrl-C ends it")
        if is_made:
            return over
        is_made, seen = True, records_of(work.store_folder, study) & found
        return is_over(work, study) and seen == records_of(work.store_folder, study)

    repeat(once, every_s=every_s)
