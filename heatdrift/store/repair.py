"""store check --repair: what can be put right without losing anything."""

from pathlib import Path

from heatdrift.store.bulk_parts import PARTS, find_parts, seal_part
from heatdrift.store.claims import CLAIM_FILE, read_claim, take_stale
from heatdrift.store.files import remove_old_temporary
from heatdrift.store.folder import cell_folders, find_cells, restore_record, seal_records
from heatdrift.store.ingest import ingest


def repair_store(store: Path) -> tuple[str, ...]:
    """Restore lost or damaged records from their attempts, add missing checksums, clear up, ingest; say what was done.

    Raises
    ------
    StoreError
        The folder cannot be written, or the database is locked or no store.
    """
    done = [
        f"restored {folder / 'record.json'} from its attempts"
        for folder in find_cells(store.parent)
        if restore_record(folder)
    ]
    added = sum(seal_records(folder) for folder in find_cells(store.parent))
    if added:
        done.append(f"added checksums to {added} records that had none, of the content that they have now")
    done += [f"added a checksum to {part.folder / 'part.json'}" for part in find_parts(store.parent) if seal_part(part)]
    for folder in cell_folders(store.parent):
        if (folder / CLAIM_FILE).exists() and read_claim(folder) is None:
            take_stale(folder)
            done.append(f"removed {folder / CLAIM_FILE}: not a readable claim")
        removed = remove_old_temporary(folder) + remove_old_temporary(folder / "attempts")
        if removed:
            done.append(f"removed {removed} half-made files in {folder}")
    removed = remove_old_temporary(store.parent) + remove_old_temporary(store.parent / PARTS)
    if removed:
        done.append(f"removed {removed} half-made files in {store.parent}")
    report = ingest(store)
    if report.added or report.updated:
        done.append(f"loaded {report.added + report.updated} records that the database lacked")
    return tuple(done)
