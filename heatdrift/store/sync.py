"""sync: a store and a remote brought to the same finished records, by as many machines at once as like.

A push sends what counts here and the remote lacks; a pull takes what the remote has and this store lacks; neither ever
removes a record. Killed at any moment, the same command goes on. Each machine sees what the others had finished when it
listed the remote; when all have synced once more after the last run ended, all have the same.
"""

from pathlib import Path

import msgspec

from heatdrift.errors import StoreError
from heatdrift.store.ingest import ingest
from heatdrift.store.remote import Remote, open_remote
from heatdrift.store.sync_cells import SyncProblem
from heatdrift.store.sync_files import Moved, pull_files, push_files
from heatdrift.store.sync_layout import Listing
from heatdrift.store.sync_pull import Pulled, pull_cells
from heatdrift.store.sync_push import Pushed, push_cells


class SyncReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync did, or with ``dry_run`` would do.

    Attributes
    ----------
    remote : folder or URL.
    pushed, pulled : finished records sent and taken; a pulled one that does not count is kept as an attempt.
    arrays_pushed, arrays_pulled : files of results of single images and of attention maps.
    files_pushed, files_pulled : plans, bulk parts, sets of reference points.
    there : records that count here and were on the remote already.
    running : cells left for the next sync, because a process of this store is at them.
    differing : study/cell_id of cells of which the remote has several results; the one that finished last counts.
    problems : what was passed over, here or there, and why.
    added, updated : rows of `runs` that the ingest after a pull made or changed.
    written : False for a dry run.
    """

    remote: str
    pushed: int = 0
    pulled: int = 0
    arrays_pushed: int = 0
    arrays_pulled: int = 0
    files_pushed: int = 0
    files_pulled: int = 0
    there: int = 0
    running: int = 0
    differing: tuple[str, ...] = ()
    problems: tuple[SyncProblem, ...] = ()
    added: int = 0
    updated: int = 0
    written: bool = True


def sync(store: Path, url: str, *, push: bool = True, pull: bool = True, dry_run: bool = False) -> SyncReport:
    """Send the finished records of a store to a remote, take those of others, and ingest them.

    Parameters
    ----------
    store : the database; its records lie in the same folder.
    url : a folder, or ``s3://``, ``gs://``, ``az://``.
    push, pull : which of the two to do.
    dry_run : read both sides, write nothing.

    Raises
    ------
    StoreError
        The remote cannot be reached, listed, read or written, or it is a store folder; or the store cannot be written.
        What was done before stays: the same command goes on.
    """
    remote = open_remote(url, store.parent)
    if pull and not push and remote.on_disk and not Path(remote.root).is_dir():
        raise StoreError(f"there is no folder {url}", hint="a machine that has runs makes it: heatdrift sync --push")
    listing = _listed(remote)
    pushed, sent = Pushed(), Moved()
    if push:
        pushed = push_cells(remote, store.parent, listing, dry_run=dry_run)
        sent = push_files(remote, store.parent, listing, dry_run=dry_run)
    pulled, taken = Pulled(), Moved()
    problems: list[SyncProblem] = []
    added = updated = 0
    if pull:
        if push and not dry_run:
            for name, size in remote.names().items():  # what others sent meanwhile
                listing.add(name, size)
        pulled = pull_cells(remote, store.parent, listing, dry_run=dry_run)
        taken = pull_files(remote, store.parent, listing, dry_run=dry_run)
        if not dry_run:
            report = ingest(store)
            added, updated = report.added, report.updated
            problems = [SyncProblem(where=str(p.path), reason=p.reason) for p in report.problems]
    found = (*pushed.problems, *sent.problems, *pulled.problems, *taken.problems, *problems)
    return SyncReport(
        remote=url,
        pushed=pushed.records,
        pulled=pulled.records,
        arrays_pushed=pushed.arrays,
        arrays_pulled=pulled.arrays,
        files_pushed=sent.files,
        files_pulled=taken.files,
        there=pushed.there,
        running=pushed.running + pulled.running,
        differing=tuple(pulled.differing),
        problems=tuple(dict.fromkeys(found)),
        added=added,
        updated=updated,
        written=not dry_run,
    )


def _listed(remote: Remote) -> Listing:
    listing = Listing(remote.names())
    if listing.is_store:
        raise StoreError(
            f"{remote.url} is the folder of a store, not a remote",
            hint=f"name an empty folder; to take that store's runs once: heatdrift import {remote.url}",
        )
    return listing
