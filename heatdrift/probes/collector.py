"""One forward pass over the probe set -> every measurement of a model, and what a comparison with it needs.

The collector watches the attention of every block and the class token of the residual stream. It keeps running sums and
class rows, never a full attention tensor of more than the block at hand; the rollout needs one (batch, T, T) product.
"""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from heatdrift.errors import ProbeError
from heatdrift.probes import shape

PER_HEAD = ("entropy", "erf95", "gini", "cls_self_mass")
ROLLOUT = ("rollout_entropy", "rollout_erf95", "rollout_gini")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one model shows on the probe set.

    Attributes
    ----------
    heads : probe -> (layers, heads) float64, mean over images.
    layers : probe -> (layers,) float64.
    whole : probe -> value per model (rollout).
    activations : (layers, images, width) float32 class token of the residual stream after each block.
    pooled : (images, width) float32 output of the tower before the projection.
    embeddings : (images, dim) float32.
    class_maps : (kept, layers, patches) float16 class-row attention, mean over heads, of the first `kept` images.
    rollout_maps : (kept, patches) float16.
    """

    heads: dict[str, Tensor]
    layers: dict[str, Tensor]
    whole: dict[str, float]
    activations: Tensor
    pooled: Tensor
    embeddings: Tensor
    class_maps: Tensor
    rollout_maps: Tensor


@dataclass(slots=True)
class Collector:
    """Attention observer with running sums; one per pass.

    Parameters
    ----------
    layers : number of blocks.
    keep : number of leading images whose maps are kept for the gallery.
    """

    layers: int
    keep: int = 0
    images: int = 0
    sums: dict[str, list[Tensor]] = field(default_factory=dict)
    whole_sums: dict[str, Tensor] = field(default_factory=dict)
    class_maps: list[Tensor] = field(default_factory=list)
    rollout_maps: list[Tensor] = field(default_factory=list)
    _rollout: Tensor | None = None
    _batch_maps: list[Tensor] = field(default_factory=list)

    def observe(self, layer: int, attention: Tensor) -> None:
        """Take the softmax (batch, heads, T, T) of block `layer`; blocks must come in order."""
        rows, self_mass = shape.patch_rows(attention)
        self._add("entropy", layer, shape.entropy(rows).sum(0))
        self._add("erf95", layer, shape.support(rows).sum(0))
        self._add("gini", layer, shape.gini(rows).sum(0))
        self._add("cls_self_mass", layer, self_mass.sum(0))
        self._add("map", layer, rows.sum(0))
        self._add("patch_entropy", layer, shape.float64(shape.patch_to_patch_entropy(attention)).sum(0))
        self._rollout = shape.rollout_step(self._rollout, attention)
        self._batch_maps.append(rows[: max(self.keep - self.images, 0)].mean(1))
        if layer == self.layers - 1:
            self._finish_batch(len(attention))

    def _add(self, name: str, layer: int, value: Tensor) -> None:
        sums = self.sums.setdefault(name, [])
        if len(sums) <= layer:
            sums.append(value)
        else:
            sums[layer] = sums[layer] + value

    def _finish_batch(self, batch: int) -> None:
        assert self._rollout is not None
        rows = shape.rollout_rows(self._rollout)
        values = (shape.entropy(rows, base=2), shape.support(rows), shape.gini(rows))
        for name, value in zip(ROLLOUT, values, strict=True):
            self.whole_sums[name] = self.whole_sums.get(name, torch.zeros((), dtype=torch.float64)) + value.sum().cpu()
        if self.images < self.keep:
            self.class_maps.append(torch.stack(self._batch_maps, 1))
            self.rollout_maps.append(rows[: self.keep - self.images])
        self._batch_maps, self._rollout = [], None
        self.images += batch

    def mean(self, name: str) -> Tensor:
        """Mean over images: (layers, heads, ...)."""
        return torch.stack(self.sums[name]).cpu() / self.images


Observe = Callable[[nn.Module, Collector], AbstractContextManager[None]]


@torch.inference_mode()
def measure(tower: nn.Module, batches: Iterable[Tensor], observe: Observe, *, keep: int = 0) -> Measured:
    """Run the tower over the probe set once and measure everything.

    Parameters
    ----------
    tower : visual tower in eval mode, float32; ProbeError otherwise. An autocast around the call has no effect.
    batches : normalised pixels, (batch, 3, size, size) each; the result does not depend on how they are cut.
    observe : ``model.attention.observed``, passed in because a stage does not import its sibling.
    keep : number of leading images whose maps are kept.
    """
    _check_float32(tower)
    blocks = list(tower.get_submodule("transformer.resblocks").children())
    collector = Collector(layers=len(blocks), keep=keep)
    streams: list[list[Tensor]] = [[] for _ in blocks]
    pooled: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out, kept=stream: kept.append(_row(out)))
        for block, stream in zip(blocks, streams, strict=True)
    ]
    final = tower.get_submodule("ln_post")
    hooks.append(final.register_forward_hook(lambda _m, _i, out: pooled.append(_row(out))))
    try:
        with observe(tower, collector), torch.autocast(_device(tower).type, enabled=False):
            embeddings = [tower(pixels).float().cpu() for pixels in batches]
    finally:
        for hook in hooks:
            hook.remove()
    heads = {name: collector.mean(name) for name in PER_HEAD}
    layers = {name: value.mean(-1) for name, value in heads.items()}
    layers["head_diversity"] = shape.head_diversity(collector.mean("map"))
    layers["patch_entropy"] = collector.mean("patch_entropy").mean(-1)
    return Measured(
        heads=heads,
        layers=layers,
        whole={name: float(value) / collector.images for name, value in collector.whole_sums.items()},
        activations=torch.stack([torch.cat(stream) for stream in streams]),
        pooled=torch.cat(pooled),
        embeddings=torch.cat(embeddings),
        class_maps=torch.cat(collector.class_maps).half().cpu() if keep else torch.empty(0),
        rollout_maps=torch.cat(collector.rollout_maps).half().cpu() if keep else torch.empty(0),
    )


def _device(tower: nn.Module) -> torch.device:
    return next(tower.parameters()).device


def _check_float32(tower: nn.Module) -> None:
    """Refuse half precision weights: probes compare models, and rounding to 8 bits would count as drift."""
    found = {str(p.dtype) for p in tower.parameters()} - {"torch.float32"}
    if found:
        raise ProbeError(f"the tower's weights are {', '.join(sorted(found))}", hint="measure it in float32: .float()")


def _row(out: Tensor) -> Tensor:
    """Class token of a block's or ln_post's output, which open_clip applies before or after pooling; a copy.

    A view would keep the tokens of all patches alive until the pass ends.
    """
    return (out[:, 0] if out.ndim == 3 else out).float().cpu().clone()


def finite(value: float) -> float | None:
    """NaN or infinite (not defined) -> None, as records keep it."""
    return value if math.isfinite(value) else None
