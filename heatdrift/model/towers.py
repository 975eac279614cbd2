"""The vision transformer inside any model: of open_clip, Hugging Face CLIP and SigLIP, or timm; wrapped or adapted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from heatdrift.errors import ModelError
from heatdrift.model.attention import AttentionObserver
from heatdrift.model.attention_reading import Reader, reader_of, reading

_HINT: Final = (
    "give a vision transformer of open_clip, CLIP or SigLIP of transformers, or timm, or a model that has one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """A vision transformer and where it has what the probes look at.

    Attributes
    ----------
    kind : the library and family it was recognised as.
    module : the tower itself, inside whatever wraps it.
    prefix : tokens before the patches; 0 where there is no class token.
    projection : name of the weight that projects into the shared space; None where there is none.
    """

    kind: str
    module: nn.Module
    blocks: tuple[nn.Module, ...]
    attentions: tuple[nn.Module, ...]
    readers: tuple[Reader, ...]
    final: nn.Module
    prefix: int
    projected: nn.Module | None
    projection: str | None
    encode: Callable[[Tensor], Any]

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (batch, 3, size, size) -> (batch, dim), projected where the model projects."""
        out = _first(self.encode(pixels))
        result: Tensor = out if self.projected is None else self.projected(out)
        return result

    def row(self, out: object) -> Tensor:
        """Class token of the output of a block, or the mean over tokens where there is none: (batch, width)."""
        tokens = _first(out)
        if tokens.ndim == 3:
            tokens = tokens[:, 0] if self.prefix else tokens.mean(1)
        return tokens.float().clone()  # a view would keep the tokens of all patches alive

    def observed(self, _tower: nn.Module, observer: AttentionObserver) -> AbstractContextManager[None]:
        """Let `observer` see the attention of every block while the context is open."""
        return reading(self.attentions, self.readers, observer, self.prefix)


def find_tower(model: nn.Module) -> Tower:
    """Find the vision transformer of a model: the model itself, or the first inside it.

    Wrappers of DistributedDataParallel, torch.compile and peft, and classifiers on a tower, need nothing done to them.

    Raises
    ------
    ModelError : none inside, or attention of one of its blocks cannot be read (the module is named).
    """
    for name, module in model.named_modules():
        for recognise in (_open_clip, _hugging_face, _timm):
            found = recognise(module, name, model)
            if found is not None:
                return found
    inside = next(iter(getattr(model, "visual", model).children()), model)
    shown = getattr(model, "visual", model)
    problem = (
        f"{type(shown).__name__} holds no vision transformer that is known (it begins with a {type(inside).__name__})"
    )
    raise ModelError(problem, hint=_HINT)


def _open_clip(module: nn.Module, name: str, _model: nn.Module) -> Tower | None:
    blocks = getattr(getattr(module, "transformer", None), "resblocks", None)
    if blocks is None or not hasattr(module, "conv1") or not hasattr(module, "ln_post"):
        return None
    prefix = 1 if getattr(module, "class_embedding", None) is not None else 0
    projection = "proj" if getattr(module, "proj", None) is not None else None
    return _tower("open_clip", module, name, tuple(blocks), "attn", module.ln_post, prefix, None, projection, module)


def _hugging_face(module: nn.Module, name: str, model: nn.Module) -> Tower | None:
    layers = getattr(getattr(module, "encoder", None), "layers", None)
    if layers is None or not hasattr(getattr(module, "embeddings", None), "patch_embedding"):
        return None
    prefix = 1 if hasattr(module.embeddings, "class_embedding") else 0
    above = model.get_submodule(name.rpartition(".")[0]) if name else model
    projected = getattr(above, "visual_projection", None)

    def encode(pixels: Tensor) -> Any:  # noqa: ANN401 - the output type of transformers
        out = module(pixel_values=pixels)
        pooled = out.pooler_output
        return out.last_hidden_state.mean(1) if pooled is None else pooled

    kind = f"transformers' {type(module).__name__}"
    final = module.post_layernorm
    weight = None if projected is None else "visual_projection.weight"
    return _tower(kind, module, name, tuple(layers), "self_attn", final, prefix, projected, weight, encode)


def _timm(module: nn.Module, name: str, _model: nn.Module) -> Tower | None:
    if not all(hasattr(module, part) for part in ("patch_embed", "blocks", "norm", "forward_features", "forward_head")):
        return None
    tower: Any = module
    prefix = int(tower.num_prefix_tokens) if getattr(tower, "cls_token", None) is not None else 0
    if not prefix and tower.num_prefix_tokens:
        raise ModelError(f"{name or type(module).__name__} has registers and no class token", hint=_HINT)

    def encode(pixels: Tensor) -> Any:  # noqa: ANN401 - as timm gives it
        return tower.forward_head(tower.forward_features(pixels), pre_logits=True)

    kind = f"timm's {type(module).__name__}"
    return _tower(kind, module, name, tuple(tower.blocks), "attn", tower.norm, prefix, None, None, encode)


def _tower(
    kind: str, module: nn.Module, name: str, blocks: tuple[nn.Module, ...], attention: str, final: Any,  # noqa: ANN401
    prefix: int, projected: nn.Module | None, projection: str | None, encode: Callable[[Tensor], Any],
) -> Tower:  # fmt: skip
    if not blocks:
        raise ModelError(f"{name or kind} has no blocks", hint=_HINT)
    where = list(_places(module, name, blocks, attention))
    return Tower(
        kind=kind, module=module, blocks=blocks, attentions=tuple(found for _, found in where),
        readers=tuple(reader_of(found, place) for place, found in where), final=final, prefix=prefix,
        projected=projected, projection=projection, encode=encode,
    )  # fmt: skip


def _places(
    tower: nn.Module, name: str, blocks: tuple[nn.Module, ...], attention: str
) -> Iterator[tuple[str, nn.Module]]:
    names = {id(module): inner for inner, module in tower.named_modules(prefix=name)}
    for block in blocks:
        found = getattr(block, attention, None)
        place = f"{names[id(block)]}.{attention}"
        if found is None:
            raise ModelError(f"attention cannot be read: there is no {place}", hint=_HINT)
        yield place, found


def _first(out: object) -> Tensor:
    """Return the tensor of a module's output, which some modules give as the first of several."""
    first = out[0] if isinstance(out, tuple | list) else out
    assert isinstance(first, torch.Tensor)
    return first
