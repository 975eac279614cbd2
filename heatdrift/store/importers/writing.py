"""Writing the records of one import: all of them or none, and for a dry run only finding out what would be written."""

import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from heatdrift.errors import RecordError
from heatdrift.records import FINISHED, RunRecord
from heatdrift.store.folder import Written, attempt_files, cell_folder, decode_record, read_record, write_record
from heatdrift.store.rows import result_sha256

_KEPT: Final = (
    "record.json",
    "source.json",
    "hits.npz",
    "gallery.npz",
)  # what an import may replace in a cell's folder


class RecordWriter:
    """Writes records into a store folder; a block that ends with an error leaves the folder as it was.

    Use as a context manager. A process that is killed leaves the records that it had written: each is whole, and the
    same import again adds the others.

    Parameters
    ----------
    dry_run : write nothing; `write` answers what it would have done.
    """

    def __init__(self, store_folder: Path, *, dry_run: bool = False) -> None:
        self._store_folder, self._dry_run = store_folder, dry_run
        self._would = dict[Path, list[RunRecord]]()
        self._new = list[Path]()
        self._backups = dict[Path, Path]()
        self._scratch = store_folder / f".import-{uuid.uuid4().hex[:12]}.tmp"

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is not None:
                self._undo()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def write(self, record: RunRecord) -> tuple[Written, bool]:
        """Write a record as ``folder.write_record`` does; say also whether its cell now has different results.

        Raises
        ------
        StoreError
            The store folder cannot be written.
        """
        folder = cell_folder(self._store_folder, record.study, record.cell_id)
        results = results_of(folder) | {result_sha256(r) for r in self._would.get(folder, ()) if r.status in FINISHED}
        if self._dry_run:
            written = self._imagined(record, folder)
        else:
            self._remember(folder)
            written = write_record(record, self._store_folder)
        repeated = written.new and record.status in FINISHED and bool(results - {result_sha256(record)})
        return written, repeated

    def _imagined(self, record: RunRecord, folder: Path) -> Written:
        path = folder / "record.json"
        record = decode_record(msgspec.json.encode(record), path)
        earlier = [*_attempts(folder), *self._would.get(folder, ())]
        new = all(msgspec.structs.replace(one, attempt=record.attempt) != record for one in earlier)
        if new:
            self._would.setdefault(folder, []).append(record)
        return Written(path=path, attempt=len(earlier) + 1, new=new)

    def _remember(self, folder: Path) -> None:
        """Keep what `folder` holds before the first record goes into it; a link is enough, for files are replaced."""
        if folder in self._backups or folder in self._new:
            return
        if not folder.exists():
            self._new.append(folder)
            return
        backup = self._scratch / str(len(self._backups))
        (backup / "attempts").mkdir(parents=True)
        for path in (*(folder / name for name in _KEPT), *attempt_files(folder)):
            if path.is_file():
                _link(path, backup / path.relative_to(folder))
        self._backups[folder] = backup

    def _undo(self) -> None:
        for folder in self._new:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.parent.is_dir() and not any(folder.parent.glob("*")):
                shutil.rmtree(folder.parent, ignore_errors=True)
        for folder, backup in self._backups.items():
            for path in (*(folder / name for name in _KEPT), *attempt_files(folder)):
                if not (backup / path.relative_to(folder)).is_file():
                    path.unlink(missing_ok=True)
            for path in (*backup.glob("*.*"), *backup.glob("attempts/*.json")):
                path.replace(folder / path.relative_to(backup))


def results_of(folder: Path) -> set[str]:
    """Return the hashes of the results of the finished attempts that a cell folder keeps."""
    return {result_sha256(record) for record in _attempts(folder) if record.status in FINISHED}


def _attempts(folder: Path) -> list[RunRecord]:
    found = []
    for path in attempt_files(folder):
        try:
            found.append(read_record(path))
        except RecordError:
            continue
    return found


def _link(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, to)
