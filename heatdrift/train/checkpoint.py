"""A cell's checkpoint: one file, replaced after every epoch, from which a killed run goes on to the same numbers.

It is written by ``torch.save`` and read with ``weights_only``: tensors, numbers and text, no code. A checkpoint of
other code, packages, threads or device would not lead to the same numbers, so it is not used: the cell starts again.
"""

import hashlib
import pickle
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import torch

from heatdrift.records import Cell, Provenance
from heatdrift.store.files import replacing

FILE: Final = "checkpoint.pt"
_UNREADABLE = (OSError, EOFError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


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


@dataclass(slots=True)
class Checkpoint:
    """The checkpoint file at `path`, valid for one `key` (:func:`resume_key`).

    ``every_s``: an epoch's end nearer than so many seconds to the last checkpoint writes none; full fine-tuning of a
    ViT-B/32 writes 1.4 GB, on an accelerator in the time of an epoch.
    """

    path: Path
    key: str
    every_s: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether the end of an epoch is to be written."""
        return time.monotonic() - self._last >= self.every_s

    def read(self) -> dict[str, Any] | None:
        """Return what :meth:`write` was given last; None when there is none, a damaged one, or one of another key."""
        if not self.path.is_file():
            return None
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
        except _UNREADABLE:
            return None
        if not isinstance(kept, dict) or kept.get("key") != self.key:
            return None
        state: dict[str, Any] = kept["state"]
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file; StoreError when the disk is full, and the file before it stays."""
        with replacing(self.path) as temporary:
            torch.save({"key": self.key, "state": state}, temporary)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
