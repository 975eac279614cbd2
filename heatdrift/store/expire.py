"""Runs whose process is gone: their stale claims become failed records, so that they show and are taken again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from heatdrift.records import Provenance, RunRecord
from heatdrift.store.claims import CLAIM_FILE, STALE_AFTER_S, Running, is_live, read_claim, take_stale
from heatdrift.store.files import remove_old_temporary
from heatdrift.store.folder import cell_folders, count_attempts, restore_record, write_record

KILLED: Final = "its process ended before the run did (killed, interrupted or out of memory)"


def expire_claims(
    store_folder: Path, study: str | None = None, *, stale_after_s: float = STALE_AFTER_S
) -> tuple[RunRecord, ...]:
    """Give back every stale claim and record its run as failed; return those records.

    A failed record never displaces a finished one. What killed writers left half-made is removed as well.

    Raises
    ------
    StoreError
        The store folder cannot be written.
    """
    return tuple(
        record
        for folder in cell_folders(store_folder, study)
        if (folder / CLAIM_FILE).exists()
        for record in [_expire(folder, store_folder, stale_after_s)]
        if record is not None
    )


def _expire(folder: Path, store_folder: Path, stale_after_s: float) -> RunRecord | None:
    found = read_claim(folder)  # a first look without the lock: most claims are live
    if found is not None and is_live(folder, found, stale_after_s=stale_after_s):
        return None
    running = take_stale(folder, stale_after_s=stale_after_s)
    remove_old_temporary(folder)
    if running is None or count_attempts(folder) > running.attempts:  # damaged, or it was killed as it wrote its record
        restore_record(folder)
        return None
    record = killed_record(folder.parent.name, running)
    return record if record is not None and write_record(record, store_folder).new else None


def killed_record(study: str, running: Running, error: str = KILLED) -> RunRecord | None:
    """Record of a run that left nothing but its claim; it ended at its last heartbeat. None for an unknown cell."""
    if running.cell is None:
        return None
    return RunRecord(
        study=study,
        cell_id=running.cell.cell_id,
        status="failed",
        error=error,
        cell=running.cell,
        provenance=Provenance(host=running.host),
        started_at=_utc(running.started_at),
        finished_at=_utc(running.heartbeat),
        wall_s=max(0.0, running.heartbeat - running.started_at),
    )


def _utc(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # a claim with an absurd clock
        return None
