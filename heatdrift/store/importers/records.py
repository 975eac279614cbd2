"""Import of heatdrift's own runs: the records of another store folder, or an export (Parquet folder, .duckdb)."""

import shutil
from pathlib import Path

import msgspec

from heatdrift.errors import DataError, RecordError, StoreError
from heatdrift.records import RunRecord
from heatdrift.store.files import replacing
from heatdrift.store.folder import attempt_files, cell_folder, find_cells, read_record, write_record
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.importers.outcome import ImportReport
from heatdrift.store.scan import Problem

_ARRAYS_AND_SOURCE = ("hits.npz", "gallery.npz", "source.json")


def import_heatdrift(path: Path, store_folder: Path, study: str | None = None) -> ImportReport:
    """Bring in a store folder (all attempts, hits and galleries), or an export as one bulk part; twice is once.

    Parameters
    ----------
    path : a store folder, a folder with ``runs.parquet``, or a ``.duckdb`` file.
    study : name that the runs get here; None = the one they have.

    Raises
    ------
    DataError
        Nothing there is heatdrift's.
    StoreError
        The store folder cannot be written, or `path` is that folder itself.
    """
    if path.is_file() or (path / "runs.parquet").is_file():
        return import_bulk(path, store_folder, study)
    if path.resolve() == store_folder.resolve():
        raise StoreError(f"{path} is the store folder itself", hint="name another folder, or another --store")
    if study is not None:
        cell_folder(store_folder, study, "check")
    cells = list(find_cells(path)) or [f for f in find_cells(path.parent) if f.is_relative_to(path)]
    if not cells:
        raise DataError(
            f"{path} holds neither records nor runs.parquet",
            hint="name a store folder (runs/), or what heatdrift export wrote",
        )
    added = unchanged = repeated = 0
    problems: list[Problem] = []
    studies = set[str]()
    for folder in cells:
        new, earlier = False, 0
        for record in _attempts(folder, problems):
            renamed = record if study is None else msgspec.structs.replace(record, study=study)
            written = write_record(renamed, store_folder)
            studies.add(renamed.study)
            earlier += not written.new
            if written.new:
                repeated += not new and written.attempt > 1 and not earlier
                new = True
                _copy_arrays(folder, written.path.parent)
        added += new
        unchanged += bool(earlier) and not new
    return ImportReport(
        added=added,
        unchanged=unchanged,
        repeated=repeated,
        problems=tuple(problems),
        studies=tuple(sorted(studies)),
    )


def _attempts(folder: Path, problems: list[Problem]) -> list[RunRecord]:
    """Return a cell's readable attempts, oldest first and the current one last."""
    found: list[RunRecord] = []
    for path in (*attempt_files(folder), folder / "record.json"):
        try:
            record = read_record(path)
        except RecordError as error:
            if path.exists():
                problems.append(Problem(path=path, reason=error.problem))
            continue
        found = [r for r in found if r != record] + [record]
    return found


def _copy_arrays(source: Path, target: Path) -> None:
    for name in _ARRAYS_AND_SOURCE:
        if (source / name).is_file():
            with replacing(target / name) as temporary:
                shutil.copyfile(source / name, temporary)
