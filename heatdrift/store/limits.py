"""What DuckDB may take of a machine: half of its memory, and half of the free disk in a folder of the process alone."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from heatdrift.machine import machine_memory_bytes

Settings = dict[str, str | bool | int | float | list[str]]  # as duckdb.connect takes them


def duckdb_limits() -> Settings:
    """Return the settings of a new DuckDB instance that bound what it takes.

    DuckDB's own would be 80 % of the memory and 90 % of the disk. Folders of secrets and extensions are those of the
    process, too: a query can read settings, and the user's folders are no business of a store.
    """
    limits: Settings = {"memory_limit": f"{machine_memory_bytes() // 2}B"}
    try:
        folder = _private_folder(os.getpid())
        free = shutil.disk_usage(folder).free
    except OSError:  # no place for temporary files: a query that needs them fails, all others work
        return limits | {"temp_directory": ""}
    return limits | {
        "temp_directory": str(folder),
        "max_temp_directory_size": f"{free // 2}B",
        "secret_directory": str(folder / "secrets"),
        "extension_directory": str(folder / "extensions"),
    }


@functools.cache
def _private_folder(pid: int) -> Path:
    """Make the folder of this process, which nobody else can read; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"heatdrift-{pid}-"))
    atexit.register(_remove, folder, pid)
    return folder


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child has inherited the exit handler, not the folder
        shutil.rmtree(folder, ignore_errors=True)
