"""A cell's folder, ``<store folder>/<study>/<cell_id>/``: record.json, attempts/<n>.json, hits.npz, gallery.npz.

record.json is the current attempt: the latest one, except that a failed attempt never displaces a finished one. Its
rename is the moment at which a run counts; every attempt is kept under its number.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import RecordError, StoreError, StudyError
from heatdrift.records import FINISHED, RECORD_FORMAT, RunRecord
from heatdrift.store.checksum import checksum_problem, encode_record, sealed, split_checksum
from heatdrift.store.claims import study_lock
from heatdrift.store.files import create_bytes, replacing, write_bytes
from heatdrift.store.validate import NAME, record_problem

MAX_RECORD_BYTES: Final = 64 * 2**20  # a full run with all heads is below 1 MB
MAX_ARRAY_BYTES: Final = 4 * 2**30  # of an unpacked npz; per-image results of 10^6 images are below 100 MB
ArrayKind = Literal["hits", "gallery"]
_ATTEMPT: Final = re.compile(r"[0-9]{1,6}")  # a larger number is no attempt of ours and would not fit the tables


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What `write_record` did: the path of record.json, the attempt's number, whether it is a new attempt."""

    path: Path
    attempt: int
    new: bool


class _Header(msgspec.Struct):
    """The one field that is read before all others."""

    format: int


def cell_folder(store_folder: Path, study: str, cell_id: str) -> Path:
    """Return the folder of one cell (not created).

    Raises
    ------
    StoreError
        A name that is not letters, digits, ``.``, ``_`` and ``-`` (first a letter or digit, at most 128): it could
        leave the store folder or break on another file system.
    """
    for kind, name in (("study", study), ("cell id", cell_id)):
        if not NAME.fullmatch(name):
            raise StoreError(
                f"{kind} {name!r} cannot be a folder name",
                hint="use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 128 of them",
            )
    return store_folder / study / cell_id


def decode_record(data: bytes, path: Path) -> RunRecord:
    """Decode and check the bytes of a record; RecordError names `path` and the place in the JSON.

    A record that carries a checksum must agree with it; one without is taken as it is (``check`` counts those).
    """
    body, stated = split_checksum(data)

    def refuse(reason: str) -> RecordError:
        return RecordError(path, f"not a valid record: {reason}", hint=_restoring(path))

    try:
        with decoding(refuse):
            found = msgspec.json.decode(body, type=_Header).format
            if found > RECORD_FORMAT:
                raise RecordError(
                    path,
                    f"record format {found} is newer than {RECORD_FORMAT}, the newest that this heatdrift reads",
                    hint="python -m pip install --upgrade heatdrift",
                )
            record = msgspec.json.decode(body, type=RunRecord)
    except StudyError as cause:  # Cell checks itself
        raise refuse(cause.message) from cause
    problem = record_problem(record) or checksum_problem(body, stated)
    if problem:
        raise RecordError(path, f"not a valid record: {problem}", hint=_restoring(path))
    return record


def _restoring(path: Path) -> str:
    return f"restore {path.name} from its attempts/ folder, or delete {path.parent} and train the cell again"


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a record file; RecordError when it is missing, unreadable or absurdly large."""
    with decoding(lambda reason: RecordError(path, reason, hint=_restoring(path))):
        return read_whole(path, most=MAX_RECORD_BYTES)


def read_record(path: Path) -> RunRecord:
    """Read one record strictly: unknown fields, wrong types, NaN and contradictions are refused at their place."""
    return decode_record(read_bytes(path), path)


def attempt_files(folder: Path) -> list[Path]:
    """Return a cell's kept attempts, oldest first."""
    found = [p for p in folder.glob("attempts/*.json") if _ATTEMPT.fullmatch(p.stem)]
    return sorted(found, key=lambda p: int(p.stem))


def count_attempts(folder: Path) -> int:
    """Return the highest number that an attempt of the cell has; 0 when it has none."""
    return max((int(p.stem) for p in attempt_files(folder)), default=0)


def write_record(record: RunRecord, store_folder: Path, *, displace: bool = True) -> Written:
    """Keep `record` as a new attempt of its cell and make it the current one (see the module for failed attempts).

    Without `displace` a finished current record stays: `record` is kept as an attempt only.

    The attempt's number is given here: one more than the highest in the folder. A record whose content equals a kept
    attempt in all but the number is not written again. Non-finite floats are written as null: not measured.

    Raises
    ------
    RecordError
        The record contradicts itself (wrong cell id, impossible values); nothing is written.
    StoreError
        The folder cannot be written; nothing half-written stays.
    """
    folder = cell_folder(store_folder, record.study, record.cell_id)
    record = decode_record(msgspec.json.encode(record), folder / "record.json")
    with study_lock(folder):  # two that end at once must not both take the other's attempt for the current one
        return _write(record, folder, displace=displace)


def _write(record: RunRecord, folder: Path, *, displace: bool) -> Written:
    path = folder / "record.json"
    current = _readable(path)
    kept = [(int(p.stem), _readable(p)) for p in attempt_files(folder)]
    if current and current.attempt not in {n for n, _ in kept}:  # a crash came between the two files of an attempt
        create_bytes(folder / "attempts" / f"{current.attempt}.json", encode_record(current))
        kept.append((current.attempt, current))
    for number, earlier in kept:
        if earlier and msgspec.structs.replace(earlier, attempt=record.attempt) == record:
            if current is None:
                write_bytes(path, encode_record(earlier))
            return Written(path=path, attempt=number, new=False)
    number = max((n for n, _ in kept), default=0) + 1
    while True:
        record = msgspec.structs.replace(record, attempt=number)
        data = encode_record(record)
        if create_bytes(folder / "attempts" / f"{number}.json", data):
            break
        number += 1  # another process took this number in between
    if current is None or (displace and record.status in FINISHED) or current.status not in FINISHED:
        # Where record.json was lost or damaged, what was finished before still comes before a failure.
        write_bytes(path, data if record.status in FINISHED else encode_record(newest_attempt(folder) or record))
    return Written(path=path, attempt=number, new=True)


def set_current(folder: Path, number: int) -> None:
    """Make a kept attempt the cell's current record; RecordError where that attempt is not readable."""
    with study_lock(folder):
        kept = read_record(folder / "attempts" / f"{number}.json")
        if _readable(folder / "record.json") != kept:
            write_bytes(folder / "record.json", encode_record(kept))


def newest_attempt(folder: Path) -> RunRecord | None:
    """Return the attempt that record.json should hold: the newest finished one, else the newest readable one."""
    newest = None
    for path in reversed(attempt_files(folder)):
        found = _readable(path)
        if found is not None and found.status in FINISHED:
            return found
        newest = newest or found
    return newest


def current_record(folder: Path) -> RunRecord | None:
    """Return a cell's current record, from its attempts when record.json is lost or damaged; None when it has none.

    Raises
    ------
    RecordError
        record.json is damaged and no attempt is readable.
    """
    path = folder / "record.json"
    try:
        return read_record(path)
    except RecordError:
        kept = newest_attempt(folder)
        if kept is None and path.exists():
            raise
        return kept


def restore_record(folder: Path) -> bool:
    """Write record.json anew from the attempts if it is lost or damaged; return whether it was."""
    path = folder / "record.json"
    with study_lock(folder):
        kept = newest_attempt(folder) if _readable(path) is None else None
        if kept is not None:
            write_bytes(path, encode_record(kept))
    return kept is not None


def seal_records(folder: Path) -> int:
    """Give the readable records of a cell that have no checksum the one of their present bytes; return how many."""
    added = 0
    with study_lock(folder):
        for path in (*attempt_files(folder), folder / "record.json"):
            if _readable(path) is None:
                continue
            body, stated = split_checksum(read_bytes(path))
            if stated is None:
                write_bytes(path, sealed(body))
                added += 1
    return added


def _readable(path: Path) -> RunRecord | None:
    try:
        return read_record(path)
    except RecordError:
        return None


def find_cells(store_folder: Path, study: str | None = None) -> Iterator[Path]:
    """Yield, in order of name, the cell folders that hold a record or an attempt; everything else is passed over."""
    for folder in cell_folders(store_folder, study):
        if (folder / "record.json").is_file() or (folder / "attempts").is_dir():
            yield folder


def cell_folders(store_folder: Path, study: str | None = None) -> Iterator[Path]:
    """Yield every folder where a cell may lie, in order of name; StoreError when the store folder cannot be read."""
    try:
        studies = [cell_folder(store_folder, study, "x").parent] if study else _subfolders(store_folder)
        for study_folder in studies:
            yield from _subfolders(study_folder)
    except OSError as cause:
        raise StoreError(
            f"cannot read the store folder {store_folder}: {cause.strerror}", hint="check its permissions"
        ) from cause


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if NAME.fullmatch(e.name) and e.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names]


def write_arrays(folder: Path, kind: ArrayKind, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Path:
    """Write named arrays to ``<kind>.npz`` (deflated), whole or not at all; return the path.

    ``hits``: results of every image of the transfer sets (``image_results.py``); ``gallery``: float16 maps with the
    indices and hashes of their images, no pixels.
    """
    path = folder / f"{kind}.npz"
    with replacing(path) as temporary, temporary.open("wb") as stream:
        named: dict[str, Any] = dict(arrays)
        np.savez_compressed(stream, **named)
    return path


def read_arrays(folder: Path, kind: ArrayKind) -> dict[str, np.ndarray[Any, Any]]:
    """Read what `write_arrays` wrote; an empty dict when the cell has none, RecordError when the file is damaged."""
    path = folder / f"{kind}.npz"
    again = "delete it and train the cell again with --force"
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for its writer
            raise RecordError(path, "not a regular file", hint=f"delete {path}")
        with (
            decoding(
                lambda reason: RecordError(path, f"damaged array file: {reason}", hint=again), but=(FileNotFoundError,)
            ),
            path.open("rb") as stream,
            np.load(stream, allow_pickle=False) as archive,
        ):
            declared = sum(member.file_size for member in archive.zip.infolist())
            if declared > MAX_ARRAY_BYTES:
                raise RecordError(
                    path,
                    f"it would take {declared / 2**20:,.0f} MiB unpacked (the limit is {MAX_ARRAY_BYTES // 2**20:,})",
                    hint=again,
                )
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return {}
