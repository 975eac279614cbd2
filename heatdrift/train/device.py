"""Which device trains."""

import torch

from heatdrift.errors import TrainError


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
