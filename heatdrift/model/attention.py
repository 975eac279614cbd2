"""Attention with separate q, k, v and out projections, in place of torch's fused block.

Adapters on q and v alone cannot be expressed on ``nn.MultiheadAttention``, whose three input projections are one weight
matrix; and the fused kernel does not return its attention. ``SplitAttention`` holds the same numbers as four linear
layers. Training and plain evaluation use ``scaled_dot_product_attention``; only while an observer is set does a forward
pass form the softmax explicitly and hand it over, so nothing is kept that no probe asked for.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from heatdrift.errors import ModelError

_HINT = "give a vision transformer of open_clip's default blocks, such as ViT-B-32-quickgelu"


class AttentionObserver(Protocol):
    """What looks at attention while a probe runs."""

    def observe(self, layer: int, attention: Tensor) -> None:
        """Take the softmax of block `layer`: (batch, heads, tokens, tokens), rows sum to 1; not to be kept."""


class SplitAttention(nn.Module):
    """Multi-head self-attention with its four projections as linear layers.

    Parameters
    ----------
    fused : the block to take weights and sizes from; must be batch-first self-attention with biases and no dropout.
    layer : 0-based position of the block, passed to the observer.
    """

    def __init__(self, fused: nn.MultiheadAttention, layer: int) -> None:
        super().__init__()
        plain = fused.kdim == fused.vdim == fused.embed_dim and fused.batch_first and not fused.dropout
        extra = fused.bias_k is not None or fused.add_zero_attn
        if not plain or extra or fused.in_proj_bias is None:
            problem = f"attention of block {layer} cannot be split: it is not plain batch-first self-attention"
            raise ModelError(problem, hint=_HINT)
        width = fused.embed_dim
        self.layer = layer
        self.heads = fused.num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        with torch.no_grad():
            weights, biases = fused.in_proj_weight.chunk(3), fused.in_proj_bias.chunk(3)
            for linear, weight, bias in zip((self.q_proj, self.k_proj, self.v_proj), weights, biases, strict=True):
                linear.weight.copy_(weight)
                linear.bias.copy_(bias)
            self.out_proj.weight.copy_(fused.out_proj.weight)
            self.out_proj.bias.copy_(fused.out_proj.bias)
        self.observer: AttentionObserver | None = None

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        need_weights: bool = False,  # noqa: FBT001  the signature of nn.MultiheadAttention, which open_clip calls
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Attend; (batch, tokens, width) -> (batch, tokens, width). Weights are never returned: set an observer.

        A mask is added to the scores before the softmax, as open_clip's are.
        """
        q, k, v = (
            self._split_heads(projection(x))
            for projection, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        if self.observer is None:
            out = functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            # in float32 under an autocast too: rows of bfloat16 would sum to 1 only to 1 %
            attention = (scores if attn_mask is None else scores + attn_mask).float().softmax(dim=-1)
            self.observer.observe(self.layer, attention)
            out = attention @ v
        batch, _, tokens, _ = out.shape
        return self.out_proj(out.transpose(1, 2).reshape(batch, tokens, -1)), None

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)


def split_attention(tower: nn.Module) -> None:
    """Replace the attention of every block of an open_clip vision transformer by :class:`SplitAttention`, in place.

    Raises
    ------
    ModelError : the tower is not a vision transformer of plain residual attention blocks.
    """
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    if blocks is None:
        problem = f"{type(tower).__name__} has no attention blocks; heatdrift measures vision transformers"
        raise ModelError(problem, hint=_HINT)
    for layer, block in enumerate(blocks):
        if not isinstance(block.attn, nn.MultiheadAttention):
            problem = f"block {layer} has {type(block.attn).__name__}, not nn.MultiheadAttention; cannot split it"
            raise ModelError(problem, hint=_HINT)
        block.attn = SplitAttention(block.attn, layer).to(block.attn.out_proj.weight)  # its device and precision


def attention_blocks(tower: nn.Module) -> tuple[SplitAttention, ...]:
    """Return the split attention modules in the order of the blocks."""
    return tuple(module for module in tower.modules() if isinstance(module, SplitAttention))


@contextmanager
def observed(tower: nn.Module, observer: AttentionObserver) -> Iterator[None]:
    """Let `observer` see the attention of every block while the context is open."""
    blocks = attention_blocks(tower)
    for block in blocks:
        block.observer = observer
    try:
        yield
    finally:
        for block in blocks:
            block.observer = None
