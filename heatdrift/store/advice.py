"""Next commands of messages, with the ``--store`` without which they would work on another store."""

import re
import shlex
from pathlib import Path
from typing import Final

from heatdrift.config import DEFAULT_STORE

_COMMAND: Final = re.compile(
    r"heatdrift (?:store rebuild|store check --repair|train --(?:all|force)|sql --name repeated_runs)"
)


def with_store(text: str, store: Path) -> str:
    """Return `text` with ``--store`` added to every heatdrift command in it, unless `store` is the default one."""
    if store == DEFAULT_STORE:
        return text
    return _COMMAND.sub(lambda found: f"{found[0]} --store {shlex.quote(str(store))}", text)
