"""Which device trains, and what lies on it."""

import os
from typing import Final

import torch
from torch import Tensor

from heatdrift.errors import TrainError

ROOM_FOR_IMAGES: Final = 0.5  # of an accelerator's free memory: training needs the rest


def resolve_device(wanted: str) -> str:
    """Return a usable device name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    TrainError : the named device is not there.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        problem = f"device {wanted!r} cannot be used: {str(error).splitlines()[0][:80]}"
        raise TrainError(problem, hint="--device cpu, or a torch built for your accelerator") from error
    return wanted


def on_device(crops: Tensor, device: torch.device) -> Tensor:
    """Return 8-bit crops on an accelerator, where they fit into half of its free memory; else as they are.

    There they are indexed, flipped and normalised without a copy per step; all of preprint80 is 6.3 GB.
    """
    if device.type == "cpu" or crops.numel() > ROOM_FOR_IMAGES * free_bytes(device):
        return crops
    try:
        return crops.to(device)
    except torch.OutOfMemoryError:  # another process took it meanwhile
        return crops


def free_bytes(device: torch.device) -> int:
    """Free memory of an accelerator in bytes; 0 where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":  # shared with the processor: what it recommends, less what is taken
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return 0


def make_deterministic() -> None:
    """Let torch use algorithms only that give the same bits each time; call it before a device is used.

    On one processor with one number of threads they always do. On CUDA sums run in any order otherwise: two runs of one
    cell then differ by about 1e-6 in the drifts of the lab, and with this by nothing, at 1.5 times the cost there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
    torch.use_deterministic_algorithms(mode=True)
