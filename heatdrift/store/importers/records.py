"""Import of heatdrift's own runs: the records of another store folder, or an export (Parquet folder, .duckdb)."""

import shutil
from pathlib import Path

import msgspec

from heatdrift.errors import DataError, RecordError, StoreError
from heatdrift.records import RunRecord
from heatdrift.store.files import replacing
from heatdrift.store.folder import attempt_files, cell_folder, find_cells, read_record
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.importers.duplicates import Arrival, Rule, arrival, settle, write_settled
from heatdrift.store.importers.outcome import ImportReport
from heatdrift.store.importers.percent import Percent
from heatdrift.store.importers.writing import RecordWriter
from heatdrift.store.scan import Problem

_ARRAYS_AND_SOURCE = ("hits.npz", "gallery.npz", "source.json")


def import_heatdrift(
    path: Path,
    store_folder: Path,
    study: str | None = None,
    *,
    duplicates: Rule = "refuse",
    percent: Percent = "ask",
    dry_run: bool = False,
) -> ImportReport:
    """Bring in a store folder (all attempts, hits and galleries), or an export as one bulk part; twice is once.

    Parameters
    ----------
    path : a store folder, a folder with ``runs.parquet``, or a ``.duckdb`` file.
    study : name that the runs get here; None = the one they have.
    duplicates : what counts where folders of one cell, or the store and what comes, have different results. Attempts
        that lie in one folder are none: the newest counts, as it did there.
    percent : what to do with percentages of an export that are all at most 1.

    Raises
    ------
    DataError
        Nothing there is heatdrift's.
    DuplicateRunsError
        There are such cells and `duplicates` is "refuse"; nothing is written.
    StoreError
        The store folder cannot be written, or `path` is that folder itself.
    """
    if path.is_file() or (path / "runs.parquet").is_file():
        return import_bulk(path, store_folder, study, duplicates=duplicates, percent=percent, dry_run=dry_run)
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
    problems: list[Problem] = []
    arrived: dict[Path, list[Arrival]] = {}
    folders: dict[str, Path] = {}
    for folder in cells:
        attempts = [_renamed(record, study) for record in _attempts(folder, problems)]
        if attempts:
            label = f"{folder.parent.name}/{folder.name}"
            target = cell_folder(store_folder, attempts[-1].study, attempts[-1].cell_id)
            again = _Newest(folder, study)
            arrived.setdefault(target, []).append(arrival(label, attempts[-1], again, *attempts[:-1]))
            folders[label] = folder
    added = unchanged = repeated = kept = 0
    said: list[str] = []
    settled = settle(arrived, duplicates, source=path)
    with RecordWriter(store_folder, dry_run=dry_run) as writer:
        for target, found in settled.items():
            if found.kept:
                kept += 1
                continue
            if found.duplicates is not None:
                one = write_settled({target: found}, store_folder, dry_run=dry_run)
                added, unchanged, repeated = added + one.added, unchanged + one.unchanged, repeated + one.repeated
                said += one.duplicates
                continue
            new, earlier = False, 0
            for folder in (folders[one.label] for one in found.write):
                for record in _attempts(folder, []):
                    written, _ = writer.write(_renamed(record, study))
                    earlier += not written.new
                    if written.new:
                        repeated += not new and written.attempt > 1 and not earlier
                        new = True
                        if not dry_run:
                            _copy_arrays(folder, written.path.parent)
            added += new
            unchanged += bool(earlier) and not new
    return ImportReport(
        added=added,
        unchanged=unchanged,
        doubled=sum(found.n_same for found in settled.values()),
        repeated=repeated,
        kept=kept,
        duplicates=tuple(said),
        problems=tuple(problems),
        studies=tuple(sorted({folder.parent.name for folder in arrived})),
        written=not dry_run,
    )


def _renamed(record: RunRecord, study: str | None) -> RunRecord:
    return record if study is None else msgspec.structs.replace(record, study=study)


class _Newest:
    """Reads the current record of a cell folder again."""

    def __init__(self, folder: Path, study: str | None) -> None:
        self._folder, self._study = folder, study

    def __call__(self) -> RunRecord:
        return _renamed(_attempts(self._folder, [])[-1], self._study)


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
