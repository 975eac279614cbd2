"""A cell's checkpoint: one file, from which a stopped run goes on to the same numbers.

It is replaced after every epoch, and within one when a run is interrupted. It is written by ``torch.save`` and read
with ``weights_only``: tensors, numbers and text, no code. A checkpoint of other code, packages, threads or device would
not lead to the same numbers, so it is not used: the cell starts again.
"""

import hashlib
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Checkpoint:
    """The checkpoint file at `path`, valid for one `key` (:func:`resume_key`).

    ``every_s``: an epoch's end nearer than so many seconds to the last checkpoint writes none; full fine-tuning of a
    ViT-B/32 writes 1.4 GB, on an accelerator in the time of an epoch. Nothing is written where ``ours`` says no: the
    cell was taken over, and so was its checkpoint. ``unwritten``: the state after the last epoch, where no file holds
    it; :meth:`catch_up` writes it when the measurements at the end are interrupted.
    """

    path: Path
    key: str
    every_s: float = 0.0
    ours: Callable[[], bool] = lambda: True
    unwritten: dict[str, Any] | None = None
    _last: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether the end of an epoch is to be written."""
        return time.monotonic() - self._last >= self.every_s

    def read(self) -> dict[str, Any] | None:
        """Return what :meth:`write` was given last; None when there is none, a damaged one, or one of another key."""
        if not self.path.is_file():
            return None
        kept = or_none(self._whole)
        if not isinstance(kept, dict) or kept.get("key") != self.key:
            return None
        state = kept.get("state")
        return state if isinstance(state, dict) else None

    def _whole(self) -> object:
        with zipfile.ZipFile(self.path) as archive:  # torch reads past a flipped bit, and gives other weights
            if archive.testzip() is not None:
                return None
        return torch.load(self.path, map_location="cpu", weights_only=True)

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file; StoreError when the disk is full, and the file before it stays."""
        if not self.ours():
            return
        with replacing(self.path) as temporary:
            torch.save({"key": self.key, "state": state}, temporary)
        self._last = time.monotonic()

    def catch_up(self) -> None:
        """Write what is not written yet."""
        if self.unwritten is not None:
            self.write(self.unwritten)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
