"""How much memory a process can have here."""

import os
from pathlib import Path
from typing import Final

from heatdrift.decoding import or_none

_CGROUPS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory_bytes() -> int:
    """Return the memory that this process can have: the machine's, or less where its container has a limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUPS:
        text = or_none(lambda path=path: path.read_text(encoding="ascii").strip())  # type: ignore[misc]
        if text is not None and text.isdecimal():  # "max" where there is no limit
            memory = min(memory, int(text))
    return memory
