"""Attention of a tower as it is, read from the inputs of its attention modules; the model is not changed.

A hook before each attention module forms the softmax from the module's own projections. So it does not matter which
kernel the module uses, and adapters on the projections are read with them.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from heatdrift.errors import ModelError
from heatdrift.model.attention import AttentionObserver, SplitAttention

Reader = Callable[[Any, Tensor], tuple[Tensor, Tensor, float]]  # module, its input -> q, k (batch, heads, T, d), scale
# by name and place: subclasses and namesakes, such as BEiT's with its bias of relative positions, attend otherwise
_TRANSFORMERS: Final = re.compile(r"(CLIP|Siglip)(Sdpa|Flash)?Attention2?")
_TIMM: Final = ("timm.layers.attention", "timm.models.vision_transformer")
_HINT: Final = "known: attention of open_clip's default blocks, CLIP and SigLIP of transformers, Attention of timm"


def reader_of(module: nn.Module, name: str) -> Reader:
    """How queries and keys of an attention module are formed.

    Raises
    ------
    ModelError : nothing is known of such a module; `name` is its place in the model.
    """
    kind = type(module).__name__
    if isinstance(module, SplitAttention):
        return _split
    base = getattr(module, "base_layer", None)
    if isinstance(module, nn.MultiheadAttention):
        if module._qkv_same_embed_dim and module.bias_k is None and not module.add_zero_attn:
            return _fused
    elif isinstance(base, nn.MultiheadAttention):
        raise ModelError(
            f"attention cannot be read of {name} ({kind}): an adapter on fused attention",
            hint="heatdrift.adapt_open_clip(tower, config) puts adapters on q and v of a tower that is split",
        )
    elif _TRANSFORMERS.fullmatch(kind) and type(module).__module__.startswith("transformers."):
        return _projections
    elif kind == "Attention" and type(module).__module__ in _TIMM:
        return _timm
    raise ModelError(f"attention cannot be read of {name} ({kind})", hint=_HINT)


@contextmanager
def reading(
    attentions: Sequence[nn.Module], readers: Sequence[Reader], observer: AttentionObserver, prefix: int
) -> Iterator[None]:
    """Hand the softmax of every attention module to `observer` while the context is open.

    Parameters
    ----------
    prefix : tokens before the patches. 1 is a class token; further ones (registers) are left out; of 0, a row that
        stands for the class token is made: the mean over the patches' rows, as a mean-pooled tower reads them.
    """

    def hook(layer: int, read: Reader) -> Callable[..., None]:
        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else next(kwargs[key] for key in ("hidden_states", "query", "x") if key in kwargs)
            q, k, scale = read(module, given)
            # in float32 under an autocast too: rows of bfloat16 would sum to 1 only to 1 %
            scores = (q @ k.transpose(-2, -1)).float() * scale
            observer.observe(layer, with_class_row(scores.softmax(dim=-1), prefix))

        return before

    handles = [
        module.register_forward_pre_hook(hook(layer, read), with_kwargs=True)
        for layer, (module, read) in enumerate(zip(attentions, readers, strict=True))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def with_class_row(attention: Tensor, prefix: int) -> Tensor:
    """(batch, heads, prefix + patches, same) -> (batch, heads, 1 + patches, same), class token first, rows sum to 1."""
    if prefix == 1:
        return attention
    if prefix > 1:
        kept = [0, *range(prefix, attention.shape[-1])]
        chosen = attention[..., kept, :][..., kept]
        return chosen / chosen.sum(-1, keepdim=True)
    rows = torch.cat([attention.mean(-2, keepdim=True), attention], -2)
    return functional.pad(rows, (1, 0))


def _heads(x: Tensor, heads: int) -> Tensor:
    batch, tokens, width = x.shape
    return x.view(batch, tokens, heads, width // heads).transpose(1, 2)


def _scaled(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, float]:
    return q, k, 1 / math.sqrt(q.shape[-1])


def _split(module: Any, x: Tensor) -> tuple[Tensor, Tensor, float]:  # noqa: ANN401 - attention of any library
    return _scaled(_heads(module.q_proj(x), module.heads), _heads(module.k_proj(x), module.heads))


def _fused(module: Any, x: Tensor) -> tuple[Tensor, Tensor, float]:  # noqa: ANN401
    x = x if module.batch_first else x.transpose(0, 1)
    q, k, _ = functional.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    return _scaled(_heads(q, module.num_heads), _heads(k, module.num_heads))


def _projections(module: Any, x: Tensor) -> tuple[Tensor, Tensor, float]:  # noqa: ANN401
    q, k = _heads(module.q_proj(x), module.num_heads), _heads(module.k_proj(x), module.num_heads)
    return q, k, float(module.scale)


def _timm(module: Any, x: Tensor) -> tuple[Tensor, Tensor, float]:  # noqa: ANN401
    q, k, _ = module.qkv(x).chunk(3, -1)
    q, k = module.q_norm(_heads(q, module.num_heads)), module.k_norm(_heads(k, module.num_heads))
    return q, k, float(module.scale)
