"""Base and adapted measurements -> the probe values of one epoch's record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from heatdrift.probes.collector import Measured, finite
from heatdrift.probes.divergence import map_js
from heatdrift.probes.similarity import embedding_drift, linear_cka, linear_cka_debiased

# probe -> its value from the class tokens after a block, base's and adapted model's, (images, width) each
OF_ACTIVATIONS: Final[Mapping[str, Callable[[Tensor, Tensor], float | None]]] = {
    "cka": linear_cka,
    "cka_debiased": linear_cka_debiased,
}
# probe -> its value from the class rows of a block, likewise, (images, heads, patches) each -> (heads,)
OF_CLASS_ROWS: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "map_js": map_js,
}
# probe -> its value from all that was measured of both models
OF_MODEL: Final[Mapping[str, Callable[[Measured, Measured], float]]] = {
    "embedding_drift": lambda base, adapted: embedding_drift(base.embeddings, adapted.embeddings),
}
Layers = dict[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeValues:
    """Values in the shape of :class:`heatdrift.records.EpochRecord`: whole model, per block, per block and head."""

    means: dict[str, float | None]
    layers: Layers
    heads: dict[str, tuple[tuple[float | None, ...], ...]]


def probe_values(base: Measured, adapted: Measured, *, weights: Mapping[str, float]) -> ProbeValues:
    """All probes of one model against its base (docs/probes.md).

    Parameters
    ----------
    weights : probes of the weights (``weights.weight_probes``), which need no images.
    """
    rows = list(zip(base.class_rows, adapted.class_rows, strict=True))
    moved = {name: torch.stack([compared(x, y) for x, y in rows]) for name, compared in OF_CLASS_ROWS.items()}
    per_layer = adapted.layers | {name: value.mean(-1) for name, value in moved.items()}
    layers: Layers = {name: tuple(finite(v) for v in value.tolist()) for name, value in per_layer.items()}
    tokens = list(zip(base.activations, adapted.activations, strict=True))
    layers |= {name: tuple(compared(x, y) for x, y in tokens) for name, compared in OF_ACTIVATIONS.items()}
    means = {name: _mean(values) for name, values in layers.items()}
    compared_whole = {name: compared(base, adapted) for name, compared in OF_MODEL.items()}
    means |= {name: finite(value) for name, value in (adapted.whole | compared_whole | dict(weights)).items()}
    per_head = adapted.heads | moved
    heads = {name: tuple(tuple(map(finite, row)) for row in value.tolist()) for name, value in per_head.items()}
    return ProbeValues(means=means, layers=layers, heads=heads)


def _mean(values: tuple[float | None, ...]) -> float | None:
    """Mean over blocks; None when a block has none, because a mean over fewer blocks is another quantity."""
    defined = [v for v in values if v is not None]
    return sum(defined) / len(values) if len(defined) == len(values) else None
