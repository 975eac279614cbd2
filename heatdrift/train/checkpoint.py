"""A cell's checkpoint: one file, replaced after every epoch, from which a killed run goes on to the same numbers.

It is written by ``torch.save`` and read with ``weights_only``: tensors, numbers and text, no code. A checkpoint of
other code, packages, threads or device would not lead to the same numbers, so it is not used: the cell starts again.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import torch

from heatdrift.decoding import or_none
from heatdrift.records import Cell, Provenance
from heatdrift.store.files import replacing

FILE: Final = "checkpoint.pt"


def resume_key(cell: Cell, provenance: Provenance, *, device: str, threads: int) -> str:
    """Hash of all that must be equal for a resumed run to give the numbers of an uninterrupted one."""
    parts = (
        cell.cell_id,
        provenance.commit,
        provenance.diff_sha256,
        sorted(provenance.packages.items()),
        provenance.python,
        device,
        threads,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint file at `path`, valid for one `key` (:func:`resume_key`)."""

    path: Path
    key: str

    def read(self) -> dict[str, Any] | None:
        """Return what :meth:`write` was given last; None when there is none, a damaged one, or one of another key."""
        if not self.path.is_file():
            return None
        kept = or_none(lambda: torch.load(self.path, map_location="cpu", weights_only=True))
        if not isinstance(kept, dict) or kept.get("key") != self.key:
            return None
        state = kept.get("state")
        return state if isinstance(state, dict) else None

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file; StoreError when the disk is full, and the file before it stays."""
        with replacing(self.path) as temporary:
            torch.save({"key": self.key, "state": state}, temporary)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
