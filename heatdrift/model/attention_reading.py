"""Attention of a tower as it is, read while it computes; the model is not changed, and nothing is projected twice.

What a module projects by itself is taken from the modules that project (adapters on them are read with them), and the
softmax is formed from it, whatever kernel the module uses; torch's fused attention is asked for the softmax that it
forms, and split attention hands over its own.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from heatdrift.errors import ModelError
from heatdrift.model.attention import AttentionObserver, SplitAttention

Seen = Callable[[Tensor], None]  # takes the softmax of one block: (batch, heads, T, T)
Reader = Callable[[nn.Module, Seen], AbstractContextManager[None]]
_FUSED_ARGUMENTS: Final = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask")
# by name and place: subclasses and namesakes, such as BEiT's with its bias of relative positions, attend otherwise
_TRANSFORMERS: Final = re.compile(r"(CLIP|Siglip)(Sdpa|Flash)?Attention2?")
_TIMM: Final = ("timm.layers.attention", "timm.models.vision_transformer")
_HINT: Final = "known: attention of open_clip's default blocks, CLIP and SigLIP of transformers, Attention of timm"


def reader_of(module: nn.Module, name: str) -> Reader:
    """How the attention of a module is read.

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

    def handed(layer: int) -> Seen:
        return lambda attention: observer.observe(layer, with_class_row(attention, prefix))

    with ExitStack() as stack:
        for layer, (module, read) in enumerate(zip(attentions, readers, strict=True)):
            stack.enter_context(read(module, handed(layer)))
        yield


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


def _softmax(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """Rows of attention in float32, under an autocast too: rows of bfloat16 would sum to 1 only to 1 %."""
    return ((q @ k.transpose(-2, -1)).float() * scale).softmax(dim=-1)


class _Observer:
    """What split attention calls."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def observe(self, layer: int, attention: Tensor) -> None:
        """Hand the softmax on."""
        del layer  # of the position in its own tower
        self._seen(attention)


@contextmanager
def _split(module: Any, seen: Seen) -> Iterator[None]:  # noqa: ANN401 - attention of any library
    module.observer = _Observer(seen)
    try:
        yield
    finally:
        module.observer = None


@contextmanager
def _fused(module: Any, seen: Seen) -> Iterator[None]:  # noqa: ANN401
    def ask(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
        given = {**dict(zip(_FUSED_ARGUMENTS, args, strict=False)), **kwargs}
        return (), {**given, "need_weights": True, "average_attn_weights": False}

    def take(_module: nn.Module, _args: object, out: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        seen(out[1].float())
        return out[0], None

    with _removed(module.register_forward_pre_hook(ask, with_kwargs=True), module.register_forward_hook(take)):
        yield


@contextmanager
def _projections(module: Any, seen: Seen) -> Iterator[None]:  # noqa: ANN401
    made: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def take(_module: nn.Module, _args: object, out: Tensor) -> None:
            made[name] = _heads(out, module.num_heads)
            if len(made) == 2:
                seen(_softmax(made.pop("q"), made.pop("k"), float(module.scale)))

        return take

    with _removed(*(getattr(module, f"{name}_proj").register_forward_hook(keep(name)) for name in ("q", "k"))):
        yield


@contextmanager
def _timm(module: Any, seen: Seen) -> Iterator[None]:  # noqa: ANN401
    def take(_module: nn.Module, _args: object, out: Tensor) -> None:
        q, k, _ = out.chunk(3, -1)
        q, k = module.q_norm(_heads(q, module.num_heads)), module.k_norm(_heads(k, module.num_heads))
        seen(_softmax(q, k, float(module.scale)))

    with _removed(module.qkv.register_forward_hook(take)):
        yield


@contextmanager
def _removed(*handles: RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
