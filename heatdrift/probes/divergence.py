"""How far attention maps moved: the Jensen-Shannon divergence of the base's and the adapted model's rows."""

import math

import torch
from torch import Tensor

from heatdrift.probes.shape import renormalised


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits (Lin 1991): (..., N) distributions each -> (...), in [0, 1].

    Half the divergence of `p` from the mean of both, half that of `q`. With t = (p - q) / (p + q) it is
    Σ (p ln(1 + t) + q ln(1 - t)) / (2 ln 2), which is exactly 0 for equal rows, the same to the last bit with `p` and
    `q` exchanged, and keeps its digits where entropies of nearly equal rows would cancel. (1, 0) and (0, 1) give 1;
    (1, 0) and (.5, .5) give 0.311. NaN where a row is.
    """
    total = p + q
    t = torch.where(total == 0, 0.0, (p - q) / total)  # neither has mass there: 0 log 0 = 0
    nats: Tensor = (torch.special.xlog1py(p, t) + torch.special.xlog1py(q, -t)).sum(-1) / 2
    return (nats / math.log(2)).clamp(0, 1)  # sums over patches may leave [0, 1] by rounding


def map_js(base: Tensor, adapted: Tensor) -> Tensor:
    """Mean over images of the divergence of the same image's and head's maps.

    Parameters
    ----------
    base, adapted : (images, heads, patches) class-token attention to the patches, as kept (float32, not renormalised).

    Returns
    -------
    (heads,) float64 in [0, 1], bits.
    """
    return jensen_shannon(renormalised(base.double()), renormalised(adapted.double())).mean(0)
