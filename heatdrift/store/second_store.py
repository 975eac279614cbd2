"""One folder, one store: the records of a folder are all of one database's, so a second one there would share them."""

from pathlib import Path

import duckdb

from heatdrift.errors import StoreError
from heatdrift.store.connect import attach
from heatdrift.store.migrate import schema_version


def refuse_second_store(store: Path) -> None:
    """Raise StoreError where `store` would be made in the folder of another heatdrift database (``*.duckdb``)."""
    if store.exists():
        return
    for other in sorted(store.parent.glob("*.duckdb")):
        if _is_store(other):
            raise StoreError(
                f"there is no store at {store}, and the records in {store.parent} belong to {other}",
                hint=f"add --store {other}, or name a file in a folder of its own with --store",
            )


def _is_store(path: Path) -> bool:
    """Whether a file is a heatdrift database with a schema; False where it cannot be read."""
    try:
        with attach(path, read_only=True) as connection:
            return bool(schema_version(connection))
    except (StoreError, duckdb.Error):
        return False
