"""What a run trained, as it was at its selected epoch: kept next to its record where cells between it and the base ask.

``selected.safetensors`` holds trained tensors alone (of LoRA the adapters), exactly; with base and method they are the
model. It stays, so that further alphas cost no training; deleting it costs one training when one is asked for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from torch import Tensor

from heatdrift.errors import ModelError
from heatdrift.model.layouts.containers import read_container
from heatdrift.model.weight_files import write_safetensors
from heatdrift.records import Cell
from heatdrift.store.claims import is_live, read_claim
from heatdrift.train.precision import Precision

FILE: Final = "selected.safetensors"
_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedState:
    """Trained tensors by name (``AdaptedModel.trained_state``), the epoch they are of, and the arithmetic."""

    epoch: int
    precision: Precision
    state: dict[str, Tensor]


def write_selected(folder: Path, cell: Cell, kept: SelectedState) -> None:
    """Write the state of `cell` into its folder by atomic rename; ModelError where that cannot be."""
    labels = {"cell_id": cell.cell_id, "epoch": str(kept.epoch), "precision": kept.precision, "format": "pt"}
    write_safetensors(folder / FILE, kept.state, labels)


def read_selected(folder: Path, cell: Cell) -> SelectedState | None:
    """Return what :func:`write_selected` wrote; None where there is none, a damaged one, or one of another cell."""
    if not (folder / FILE).is_file():
        return None
    try:
        found = read_container(folder / FILE)
    except ModelError:
        return None
    said = found.metadata
    if said.get("cell_id") != cell.cell_id or not said.get("epoch", "").isdigit():
        return None
    precision = cast("Precision", said.get("precision", "float32"))
    return SelectedState(epoch=int(said["epoch"]), precision=precision, state=dict(found.value))


def awaited_selected(folder: Path, cell: Cell, *, sleep: Callable[[float], None] = time.sleep) -> SelectedState | None:
    """As :func:`read_selected`, after whoever runs `cell` at the moment has ended: it would be trained twice."""
    while (running := read_claim(folder)) is not None and is_live(folder, running):
        sleep(_POLL_S)
    return read_selected(folder, cell)
