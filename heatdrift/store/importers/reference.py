"""Import of the reference study's run records (one JSON per run) as heatdrift records.

Fractions become percent, per-layer lists become the probes' layers, the baseline becomes epoch 0. Drifts and retentions
are not copied: the views derive them, and `import_reference` compares them with the file's own values. Each source file
is kept verbatim next to its record as source.json.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import RecordError, StoreError, StudyError, UnknownNameError
from heatdrift.records import RunRecord
from heatdrift.store.files import write_bytes
from heatdrift.store.folder import Written, cell_folder, decode_record
from heatdrift.store.importers.duplicates import Arrival, Rule, arrival, settle, write_settled
from heatdrift.store.importers.outcome import ImportReport, Mismatch
from heatdrift.store.importers.reference_format import ReferenceRun, decode_reference, own_values
from heatdrift.store.importers.reference_record import reference_record
from heatdrift.store.scan import Problem

TOLERANCE: Final = 1e-9  # relative, above 1 in magnitude; absolute below


def import_reference(
    path: Path, store_folder: Path, study: str, *, duplicates: Rule = "refuse", dry_run: bool = False
) -> ImportReport:
    """Write the runs of `path` (a file, or a folder searched for ``*.json``) as records of `study`; twice is once.

    Raises
    ------
    StoreError
        `path` does not exist or has no JSON file, `study` cannot be a folder name, or the store folder cannot be
        written. A file that is no such run is named in ``problems`` and stops nothing.
    DuplicateRunsError
        Files of one run have different results and `duplicates` does not say which of them counts; nothing is written.
    """
    problems: list[Problem] = []
    mismatches: list[Mismatch] = []
    arrived: dict[Path, list[Arrival]] = {}
    sources: dict[str, Path] = {}
    cell_folder(store_folder, study, "check")
    for file in _files(path):
        try:
            run = decode_reference(_bytes(file), file)
            record = reference_record(run, study)
            folder = cell_folder(store_folder, study, record.cell_id)
            record = decode_record(msgspec.json.encode(record), folder / "record.json")
        except StoreError:
            raise  # the store folder is at fault, not the file
        except RecordError as error:
            problems.append(Problem(path=file, reason=error.problem))
            continue
        except (UnknownNameError, StudyError) as error:
            problems.append(Problem(path=file, reason=f"{error.message} ({error.hint})"))
            continue
        label = str(file.relative_to(path)) if file != path else file.name
        sources[label] = file
        arrived.setdefault(folder, []).append(arrival(label, record, _Reader(file, study)))
        mismatches.extend(_mismatches(run, file))

    def keep_source(arrived: Arrival, written: Written) -> None:
        write_bytes(written.path.with_name("source.json"), sources[arrived.label].read_bytes())

    report = write_settled(settle(arrived, duplicates, source=path), store_folder, after=keep_source, dry_run=dry_run)
    return msgspec.structs.replace(
        report, problems=tuple(problems), mismatches=tuple(mismatches), studies=(study,) if arrived else ()
    )


class _Reader:
    """Makes the record of a file again."""

    def __init__(self, file: Path, study: str) -> None:
        self._file, self._study = file, study

    def __call__(self) -> RunRecord:
        return reference_record(decode_reference(_bytes(self._file), self._file), self._study)


def _bytes(file: Path) -> bytes:
    with decoding(lambda said: RecordError(file, said)):
        return read_whole(file)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StoreError(f"there is nothing to import at {path}", hint="name a JSON file or a folder of them")
    found = sorted(path.rglob("*.json"))
    if not found:
        raise StoreError(f"{path} holds no JSON file", hint="name a JSON file or a folder of them")
    return found


def _mismatches(run: ReferenceRun, path: Path) -> Iterator[Mismatch]:
    for field, stated, derived in own_values(run):
        if abs(stated - derived) > TOLERANCE * max(1.0, abs(stated)):
            yield Mismatch(path=path, field=field, stated=stated, derived=derived)
