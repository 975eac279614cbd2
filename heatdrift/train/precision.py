"""Which arithmetic trains: as the study says, or, for `auto`, the faster one as measured on this device.

On a processor without bfloat16 instructions it is emulated, many times slower than float32; small models are slower in
it even where the instructions are there. No list of processors knows that, so one training step is timed in each.
"""

import copy
import time
from typing import Final, Literal

import torch
from torch import nn
from torch.nn import functional

from heatdrift.errors import TrainError

Precision = Literal["float32", "bfloat16", "float16"]

WORTH: Final = 1.3  # bfloat16 must be so many times as fast: below it, runs of one study would differ by chance
_IMAGES: Final = 8  # of a timed step, at most: on a processor more only take longer
_STEPS: Final = 2  # timed, after one that is not; the faster counts


def chosen_precision(
    wanted: str, tower: nn.Module, device: torch.device, *, batch_size: int, image_size: int
) -> Precision:
    """Return the arithmetic of training.

    Parameters
    ----------
    wanted : `float32`, `bfloat16`, `float16`, or `auto`, which chooses between the first two.
    tower : visual tower that will be trained; a copy is timed.

    Raises
    ------
    TrainError : float16 without CUDA: what was published with it was trained there, and in float32 elsewhere.
    """
    if wanted == "float16":
        if device.type != "cuda":
            problem = f"precision float16 (with loss scaling) needs CUDA, this device is {device.type}"
            raise TrainError(problem, hint='precision = "float32" or "auto" in [train]')
        return "float16"
    if wanted != "auto":
        return "bfloat16" if wanted == "bfloat16" else "float32"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float32"
    trained = copy.deepcopy(tower).train().requires_grad_(requires_grad=True)
    pixels = torch.zeros(min(batch_size, _IMAGES), 3, image_size, image_size, device=device)
    plain, half = (_step_s(trained, pixels, bfloat16=bfloat16) for bfloat16 in (False, True))
    return "bfloat16" if plain >= WORTH * half else "float32"


def _step_s(tower: nn.Module, pixels: torch.Tensor, *, bfloat16: bool) -> float:
    """Seconds of one forward and backward pass, the shortest of several."""
    found = []
    for _ in range(1 + _STEPS):
        tower.zero_grad(set_to_none=True)
        started = time.perf_counter()
        with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            out = tower(pixels)
        functional.mse_loss(out.float(), torch.zeros_like(out, dtype=torch.float32)).backward()  # type: ignore[no-untyped-call]
        if pixels.device.type == "cuda":
            torch.cuda.synchronize(pixels.device)
        found.append(time.perf_counter() - started)
    return min(found[1:])
