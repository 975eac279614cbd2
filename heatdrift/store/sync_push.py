"""Push: the records that count here and that a remote lacks, arrays first and the record last."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import RecordError
from heatdrift.records import RunRecord
from heatdrift.store.claims import CLAIM_FILE, is_live, read_claim
from heatdrift.store.folder import ArrayKind, find_cells, read_arrays
from heatdrift.store.hits import hits_problems
from heatdrift.store.remote import MOST_BYTES, Remote
from heatdrift.store.sync_cells import LocalCell, SyncProblem, local_cell
from heatdrift.store.sync_layout import CellKey, Listing, RemoteCell, arrays_name, record_name, remote_bytes


class Pushed(msgspec.Struct, kw_only=True):
    """What a push did: records and arrays sent, records that the remote had, cells that are running now."""

    records: int = 0
    arrays: int = 0
    there: int = 0
    running: int = 0
    problems: list[SyncProblem] = []


def push_cells(remote: Remote, store_folder: Path, listing: Listing, *, dry_run: bool = False) -> Pushed:
    """Send what the remote lacks and take it into the listing; an object of another size is sent again.

    The records that count here are sent, not every earlier attempt: an array file belongs to the record that counts.

    Raises
    ------
    StoreError
        The remote refuses; what was sent before stays, and the next push goes on.
    """
    done = Pushed()
    for folder in find_cells(store_folder):
        try:
            cell = local_cell(folder)
        except RecordError as error:
            done.problems.append(SyncProblem(where=str(error.path), reason=f"not pushed: {error.problem}"))
            continue
        if cell.damage is not None:
            done.problems.append(SyncProblem(where=str(folder / "record.json"), reason=f"not pushed: {cell.damage}"))
        if cell.current is not None:
            _push(remote, cell, cell.attempts[cell.current], listing, done, dry_run=dry_run)
    return done


def _push(remote: Remote, cell: LocalCell, record: RunRecord, listing: Listing, done: Pushed, *, dry_run: bool) -> None:
    key = (record.study, record.cell_id)
    sha256, data = remote_bytes(record)
    there = listing.cells.get(key) or RemoteCell()
    is_there = there.records.get(sha256) == len(data)
    lacking = list(lacking_arrays(cell, there, sha256))
    if is_there and not lacking:
        done.there += 1
        return
    claimed = read_claim(cell.folder) if (cell.folder / CLAIM_FILE).exists() else None
    if claimed is not None and is_live(cell.folder, claimed):
        done.running += 1  # it writes its arrays before its record: they may be those of another attempt now
        return
    sent = []
    for kind in lacking:
        if dry_run:
            done.arrays += 1
            continue
        try:
            sent.append(_array(cell, record, key, sha256, kind))
        except RecordError as error:
            done.problems.append(SyncProblem(where=str(error.path), reason=f"not pushed: {error.problem}"))
    if local_cell(cell.folder).current != sha256:
        done.running += 1  # another record took its place while its arrays were read
        return
    if is_there:
        done.there += 1
    else:
        done.records += 1
        sent.append((record_name(key, sha256), data))
    for name, content in sent if not dry_run else ():
        remote.write(name, content)
        listing.add(name, len(content))
    done.arrays += sum(name.endswith(".npz") for name, _ in sent)


def lacking_arrays(cell: LocalCell, there: RemoteCell, sha256: str) -> Iterator[ArrayKind]:
    """Yield the kinds of arrays that the cell has and the remote lacks for the record, or has in another size."""
    for kind in get_args(ArrayKind):
        path = cell.arrays(kind)
        if path.is_file() and not there.has_arrays(sha256, kind, path.stat().st_size):
            yield kind


def _array(cell: LocalCell, record: RunRecord, key: CellKey, sha256: str, kind: ArrayKind) -> tuple[str, bytes]:
    """Return name and bytes of an array file; RecordError where it is damaged or contradicts its record."""
    path = cell.arrays(kind)
    with decoding(lambda said: RecordError(path, said)):
        data = read_whole(path, most=MOST_BYTES)
    arrays = read_arrays(cell.folder, kind)
    if kind == "hits":
        for problem in hits_problems(arrays, record.transfer):
            raise RecordError(path, problem)
    return arrays_name(key, sha256, kind, data), data
