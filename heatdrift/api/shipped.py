"""The study that comes with heatdrift: its records, and a store made of them in the user's cache.

In a clone the records are ``runs/mini``; a wheel carries the same folder as package data.
"""

import functools
import hashlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

from heatdrift.config import load_settings, user_cache
from heatdrift.errors import StoreError

SHIPPED: Final = "mini"


def shipped_records() -> Path:
    """Return the folder of the records of the study that comes with heatdrift.

    Raises
    ------
    StoreError
        This installation has no such folder: it was built without it.
    """
    package = Path(str(resources.files("heatdrift")))
    for folder in (package / "shipped" / SHIPPED, package.parent / "runs" / SHIPPED):
        if (folder / "plan.json").is_file():
            return folder
    raise StoreError(
        f"this installation of heatdrift does not hold the study {SHIPPED}",
        hint="install a released wheel or work in a clone: both hold it (runs/mini)",
    )


@functools.cache
def shipped_store() -> Path:
    """Return the database of the study that comes with heatdrift, made once a version in the user's cache.

    Where the cache is off or cannot be written, it lies in a temporary folder for as long as the machine keeps it.
    """
    from heatdrift.store.ingest import ingest

    records = shipped_records()
    folder = _cache() / "shipped" / _version_of(records)
    store = folder / "heatdrift.duckdb"
    if not store.is_file():
        _copy(records, folder / SHIPPED)
        ingest(store)
    return store


def _cache() -> Path:
    cache = user_cache(load_settings(Path.cwd()).cache_dir)
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=cache):
                return cache
        except OSError:
            pass  # a home that cannot be written is no reason to refuse an example
    return Path(tempfile.mkdtemp(prefix="heatdrift-"))


def _copy(records: Path, target: Path) -> None:
    """Copy all records, and rename the whole: a second process finds all of them or none."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as folder:
        copied = shutil.copytree(records, Path(folder) / SHIPPED)
        try:
            copied.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def _version_of(records: Path) -> str:
    """Hash of names and sizes of the records: another release with other records has another store."""
    listed = sorted((path.relative_to(records).as_posix(), path.stat().st_size) for path in records.rglob("*.*"))
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:12]
