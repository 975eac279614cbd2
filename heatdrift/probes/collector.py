"""One forward pass over the probe set -> every measurement of a model, and what a comparison with it needs.

The collector watches the attention of every block and the class token of the residual stream. It keeps running sums and
class rows, never a full attention tensor of more than the block at hand; the rollout needs one (batch, T, T) product.
What a model shows by itself is one row in a table below; what it shows next to its base is a row in ``compare.py``.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import torch
from torch import Tensor, nn

from heatdrift.errors import ProbeError
from heatdrift.probes import shape


@dataclass(frozen=True, slots=True)
class Block:
    """Attention of one block for one batch, as the probes take it.

    Attributes
    ----------
    attention : (batch, heads, T, T) softmax, class token first.
    rows : (batch, heads, patches) float64 class row over the patches, renormalised.
    self_mass : (batch, heads) float64 attention of the class token to itself.
    """

    attention: Tensor
    rows: Tensor
    self_mass: Tensor


PER_HEAD: Final[Mapping[str, Callable[[Block], Tensor]]] = {  # -> (batch, heads): kept per head and per block
    "entropy": lambda block: shape.entropy(block.rows),
    "erf95": lambda block: shape.support(block.rows),
    "gini": lambda block: shape.gini(block.rows),
    "cls_self_mass": lambda block: block.self_mass,
}
PER_LAYER: Final[Mapping[str, Callable[[Block], Tensor]]] = {  # -> (batch, heads): kept per block
    "patch_entropy": lambda block: shape.float64(shape.patch_to_patch_entropy(block.attention)),
}
OF_MEAN_MAPS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {  # (layers, heads, patches) -> (layers,)
    "head_diversity": shape.head_diversity,
}
ROLLOUT: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {  # (batch, patches) rows of the rollout -> (batch,)
    "rollout_entropy": partial(shape.entropy, base=2),
    "rollout_erf95": shape.support,
    "rollout_gini": shape.gini,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one model shows on the probe set.

    Attributes
    ----------
    heads : probe -> (layers, heads) float64, mean over images.
    layers : probe -> (layers,) float64.
    whole : probe -> value per model (rollout).
    class_rows : per block (images, heads, patches) float32 attention of the class token, not renormalised: as the model
        gave it, so keeping it rounds nothing. 200 images of a ViT-B/16 take 22.6 MB.
    activations : (layers, images, width) float32 class token of the residual stream after each block.
    pooled : (images, width) float32 output of the tower before the projection.
    embeddings : (images, dim) float32.
    class_maps : (kept, layers, patches) float16 class-row attention, mean over heads, of the first `kept` images.
    rollout_maps : (kept, patches) float16.
    """

    heads: dict[str, Tensor]
    layers: dict[str, Tensor]
    whole: dict[str, float]
    class_rows: tuple[Tensor, ...]
    activations: Tensor
    pooled: Tensor
    embeddings: Tensor
    class_maps: Tensor
    rollout_maps: Tensor


@dataclass(slots=True)
class Collector:
    """Attention observer with running sums and class rows; one per pass.

    Parameters
    ----------
    layers : number of blocks.
    keep : number of leading images whose rollout maps are kept for the gallery.
    groups : (images,) group of each image, 0 to the number of groups - 1; means are then over groups of the means over
        their images, and mean maps are one per group. None = one group.
    """

    layers: int
    keep: int = 0
    groups: Tensor | None = None
    images: int = 0
    sums: dict[str, list[Tensor]] = field(default_factory=dict)
    whole_sums: dict[str, Tensor] = field(default_factory=dict)
    rollout_maps: list[Tensor] = field(default_factory=list)
    _class_rows: list[list[Tensor]] = field(default_factory=list)
    _rollout: Tensor | None = None

    def observe(self, layer: int, attention: Tensor) -> None:
        """Take the softmax (batch, heads, T, T) of block `layer`; blocks must come in order."""
        block = Block(attention, *shape.patch_rows(attention))
        weights = self._weights(len(attention), block.rows)
        for name, probe in (*PER_HEAD.items(), *PER_LAYER.items()):
            self._add(name, layer, weighted_sum(probe(block), weights))
        self._add("map", layer, self._map_sums(block.rows))
        if len(self._class_rows) <= layer:
            self._class_rows.append([])
        # a copy: a view would keep the whole attention alive
        self._class_rows[layer].append(attention[..., 0, 1:].float().clone())
        self._rollout = shape.rollout_step(self._rollout, attention)
        if layer == self.layers - 1:
            self._finish_batch(len(attention))

    def _weights(self, batch: int, like: Tensor) -> Tensor | None:
        """Weights of the images at hand, which sum to the number of images over the pass; None = all 1."""
        if self.groups is None:
            return None
        counts = torch.bincount(self.groups)
        own = counts[self.groups[self.images : self.images + batch]]
        return (len(self.groups) / (len(counts) * own.double())).to(like.device)

    def _map_sums(self, rows: Tensor) -> Tensor:
        """Sum of maps: (heads, patches), or (groups, heads, patches)."""
        if self.groups is None:
            return rows.sum(0)
        own = self.groups[self.images : self.images + len(rows)].to(rows.device)
        sums = rows.new_zeros((int(self.groups.max()) + 1, *rows.shape[1:]))
        return sums.index_add_(0, own, rows)

    def _add(self, name: str, layer: int, value: Tensor) -> None:
        sums = self.sums.setdefault(name, [])
        if len(sums) <= layer:
            sums.append(value)
        else:
            sums[layer] = sums[layer] + value

    def _finish_batch(self, batch: int) -> None:
        assert self._rollout is not None
        rows = shape.rollout_rows(self._rollout)
        weights = self._weights(batch, rows)
        for name, probe in ROLLOUT.items():
            self.whole_sums[name] = self.whole_sums.get(name, 0.0) + weighted_sum(probe(rows), weights)
        if self.images < self.keep:
            self.rollout_maps.append(rows[: self.keep - self.images])
        self._rollout = None
        self.images += batch

    def mean(self, name: str) -> Tensor:
        """Mean over images: (layers, heads, ...)."""
        return torch.stack(self.sums[name]).cpu() / self.images

    def mean_maps(self) -> list[Tensor]:
        """Mean maps (layers, heads, patches), one per group of images."""
        if self.groups is None:
            return [self.mean("map")]
        counts = torch.bincount(self.groups).view(1, -1, 1, 1)
        return list((torch.stack(self.sums["map"]).cpu() / counts).unbind(1))

    def class_rows(self) -> tuple[Tensor, ...]:
        """Per block (images, heads, patches), in the order of the images."""
        return tuple(torch.cat(rows).cpu() for rows in self._class_rows)


def weighted_sum(values: Tensor, weights: Tensor | None) -> Tensor:
    """Sum over images of (images, ...) values; `weights` (images,), None = all 1."""
    if weights is None:
        return values.sum(0)
    total: Tensor = torch.tensordot(weights.to(values), values, dims=1)
    return total


Observe = Callable[[nn.Module, Collector], AbstractContextManager[None]]


class TowerParts(Protocol):
    """Where a tower that is not open_clip's has what the probes look at."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its blocks, in order."""

    @property
    def final(self) -> nn.Module:
        """The norm after the last block."""

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (batch, 3, size, size) -> (batch, dim)."""

    def row(self, out: object) -> Tensor:
        """Output of a block or of `final` -> (batch, width) float32, a copy."""


@torch.inference_mode()
def measure(
    tower: nn.Module,
    batches: Iterable[Tensor],
    observe: Observe,
    *,
    keep: int = 0,
    groups: Tensor | None = None,
    bfloat16: bool = False,
    parts: TowerParts | None = None,
) -> Measured:
    """Run the tower over the probe set once and measure everything.

    Parameters
    ----------
    tower : visual tower in eval mode, float32 weights; ProbeError otherwise. An autocast around the call has no effect.
    batches : normalised pixels, (batch, 3, size, size) each; the result does not depend on how they are cut.
    observe : ``model.attention.observed``, passed in because a stage does not import its sibling.
    keep : number of leading images whose maps are kept.
    groups : (images,) group of each image; probes of attention are then means over groups, as if each had been a batch
        whose mean was taken. What compares with a base is not.
    bfloat16 : the tower computes in bfloat16, its softmax in float32; what is made of them is float32 and float64.
    parts : of a tower that is not open_clip's; None = it is.
    """
    _check_float32(tower)
    row: Callable[[Tensor], Tensor]
    embed: Callable[[Tensor], Tensor]
    if parts is None:
        blocks, final = list(tower.get_submodule("transformer.resblocks").children()), tower.get_submodule("ln_post")
        row, embed = _row, tower
    else:
        blocks, final, row, embed = list(parts.blocks), parts.final, parts.row, parts.embed
    collector = Collector(layers=len(blocks), keep=keep, groups=groups)
    streams: list[list[Tensor]] = [[] for _ in blocks]
    pooled: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out, kept=stream: kept.append(row(out)))
        for block, stream in zip(blocks, streams, strict=True)
    ]
    hooks.append(final.register_forward_hook(lambda _m, _i, out: pooled.append(row(out))))
    try:
        with observe(tower, collector), torch.autocast(_device(tower).type, dtype=torch.bfloat16, enabled=bfloat16):
            embeddings = [embed(pixels).float() for pixels in batches]
    finally:
        for hook in hooks:
            hook.remove()
    heads = {name: collector.mean(name) for name in PER_HEAD}
    layers = {name: value.mean(-1) for name, value in heads.items()}
    maps = collector.mean_maps()
    layers |= {name: torch.stack([probe(one) for one in maps]).mean(0) for name, probe in OF_MEAN_MAPS.items()}
    layers |= {name: collector.mean(name).mean(-1) for name in PER_LAYER}
    class_rows = collector.class_rows()
    return Measured(
        heads=heads,
        layers=layers,
        whole={name: float(value) / collector.images for name, value in collector.whole_sums.items()},
        class_rows=class_rows,
        activations=torch.stack([torch.cat(stream) for stream in streams]).cpu(),
        pooled=torch.cat(pooled).cpu(),
        embeddings=torch.cat(embeddings).cpu(),
        class_maps=class_maps(class_rows, keep).half() if keep else torch.empty(0),
        rollout_maps=torch.cat(collector.rollout_maps).half().cpu() if keep else torch.empty(0),
    )


def class_maps(class_rows: tuple[Tensor, ...], keep: int) -> Tensor:
    """Mean over heads of the first `keep` images' renormalised class rows: (kept, layers, patches) float64."""
    return torch.stack([shape.renormalised(rows[:keep].double()).mean(1) for rows in class_rows], 1)


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
    return (out[:, 0] if out.ndim == 3 else out).float().clone()


def finite(value: float) -> float | None:
    """NaN or infinite (not defined) -> None, as records keep it."""
    return value if math.isfinite(value) else None
