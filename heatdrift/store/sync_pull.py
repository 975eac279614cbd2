"""Pull: the finished records that a remote has and this store lacks, each kept as an attempt of its cell.

Which of several finished attempts counts is decided by the attempts alone (the one that finished last), so that all
stores that have pulled the same ones agree. A record that counts here gives way only where the remote has it and its
arrays; until it is pushed it stays.
"""

from pathlib import Path
from typing import get_args

import msgspec

from heatdrift.errors import RecordError
from heatdrift.records import FINISHED, RunRecord
from heatdrift.store.checksum import split_checksum
from heatdrift.store.claims import claim
from heatdrift.store.files import write_bytes
from heatdrift.store.folder import MAX_RECORD_BYTES, ArrayKind, cell_folder, decode_record, set_current, write_record
from heatdrift.store.remote import Remote
from heatdrift.store.rows import result_sha256
from heatdrift.store.sync_cells import LocalCell, SyncProblem, local_cell, rank
from heatdrift.store.sync_files import whole
from heatdrift.store.sync_layout import CellKey, Listing, RemoteCell, record_name
from heatdrift.store.sync_push import lacking_arrays


class Pulled(msgspec.Struct, kw_only=True):
    """What a pull did: records and arrays taken, cells that are running here, cells with different results."""

    records: int = 0
    arrays: int = 0
    running: int = 0
    differing: list[str] = []
    problems: list[SyncProblem] = []


def pull_cells(remote: Remote, store_folder: Path, listing: Listing, *, dry_run: bool = False) -> Pulled:
    """Take what this store lacks; what is half-uploaded or was changed is reported and left out.

    Raises
    ------
    StoreError
        The remote or the store folder refuses; what was taken before stays, and the next pull goes on.
    """
    done = Pulled()
    for key, there in sorted(listing.cells.items()):
        folder = cell_folder(store_folder, *key)
        try:
            _pull(remote, local_cell(folder), key, there, done, dry_run=dry_run)
        except RecordError as error:
            done.problems.append(SyncProblem(where=str(error.path), reason=error.problem))
    return done


def _pull(remote: Remote, cell: LocalCell, key: CellKey, there: RemoteCell, done: Pulled, *, dry_run: bool) -> None:
    lacking = sorted(set(there.records) - set(cell.attempts))
    if dry_run:
        done.records += len(lacking)
        done.arrays += sum(sha256 in lacking for sha256, _ in there.arrays)
        return
    fetched = {}
    for sha256 in lacking:
        try:
            fetched[sha256] = _record(remote, key, sha256, there.records[sha256])
        except RecordError as error:
            done.problems.append(SyncProblem(where=record_name(key, sha256), reason=error.problem))
    known = {**cell.attempts, **fetched}
    shared = [sha256 for sha256 in there.records if sha256 in known]
    if len({result_sha256(known[sha256]) for sha256 in shared}) > 1:
        done.differing.append("/".join(key))
    target = counting(cell, there, {sha256: known[sha256] for sha256 in shared})
    if target is None:
        return
    wanted = {
        kind: there.arrays[target, kind]
        for kind in get_args(ArrayKind)
        if (target, kind) in there.arrays and (target != cell.current or not cell.arrays(kind).is_file())
    }
    if not fetched and not wanted and target == cell.current:
        return
    arrays = _arrays(remote, wanted, done)
    held = claim(cell.folder)
    if held is None:
        done.running += 1
        return
    with held:
        again = local_cell(cell.folder)
        if again.current != cell.current:  # finished here meanwhile: the next sync takes both into account
            done.running += 1
            return
        done.records += _write(cell, fetched, known[target], target, arrays)
    done.arrays += len(arrays)


def counting(cell: LocalCell, there: RemoteCell, shared: dict[str, RunRecord]) -> str | None:
    """Return the hash of the attempt that counts, given those that the remote has; None where there is none."""
    here = cell.current
    if here is not None and (here not in there.records or any(lacking_arrays(cell, there, here))):
        return here
    return max(shared, key=lambda sha256: rank(sha256, shared[sha256]), default=here)


def _write(
    cell: LocalCell, fetched: dict[str, RunRecord], counts: RunRecord, target: str, arrays: dict[ArrayKind, bytes]
) -> int:
    """Write what was fetched and return how many attempts are new.

    At no moment are arrays next to the record of another attempt. A cell without a finished record gets its arrays
    first and the record last. Where another record counted, its arrays are removed first; if this is killed before the
    new ones are there, the next pull finds them missing.
    """
    store_folder = cell.folder.parent.parent
    displaces = target != cell.current and cell.current is not None
    if displaces:
        for kind in get_args(ArrayKind):
            cell.arrays(kind).unlink(missing_ok=True)
    else:
        _write_arrays(cell, arrays)
    n_new = 0
    if target != cell.current:
        written = write_record(counts, store_folder, displace=False)
        set_current(cell.folder, written.attempt)
        n_new += written.new
    for sha256, record in sorted(fetched.items()):
        if sha256 != target:
            n_new += write_record(record, store_folder, displace=False).new
    if displaces:
        _write_arrays(cell, arrays)
    return n_new


def _write_arrays(cell: LocalCell, arrays: dict[ArrayKind, bytes]) -> None:
    for kind, data in arrays.items():
        write_bytes(cell.arrays(kind), data)


def _record(remote: Remote, key: CellKey, sha256: str, size: int) -> RunRecord:
    """Return a record of the remote; RecordError where it is not what its name says."""
    name = record_name(key, sha256)
    if size > MAX_RECORD_BYTES:
        raise RecordError(Path(name), f"{size} bytes are too many for a record")
    data = remote.read(name)
    if split_checksum(data)[1] != sha256:
        raise RecordError(Path(name), "half-uploaded or changed: its checksum is not the one in its name")
    record = decode_record(data, Path(name))
    if (record.study, record.cell_id) != key or record.status not in FINISHED:
        raise RecordError(Path(name), "it is not a finished record of the cell in its name")
    return record


def _arrays(remote: Remote, wanted: dict[ArrayKind, dict[str, int]], done: Pulled) -> dict[ArrayKind, bytes]:
    """Return the whole array files of a record: of several of a kind the largest, to which results were added."""
    found = {}
    for kind, names in wanted.items():
        for name, size in sorted(names.items(), key=lambda one: one[1], reverse=True):
            try:
                found[kind] = whole(remote, name, size)
                break
            except RecordError as error:
                done.problems.append(SyncProblem(where=name, reason=error.problem))
    return found
