"""The blocks at the start of a tower that a method leaves as they are: how many, what they give, going on from there.

open_clip's tower has no way to run its blocks from the middle. While :func:`from_tokens` computes, the frozen blocks
are replaced by one that gives their kept output, and the tower's own forward does the rest, whatever that is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_BLOCKS = "transformer.resblocks"


class _Given(nn.Module):
    """Stands where frozen blocks were."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Return what the frozen blocks gave."""
        del x, attn_mask
        return self.tokens


def frozen_blocks(tower: nn.Module) -> int:
    """Return how many blocks at the start of a tower, and all before them, are left as they are; 0 = none.

    Nothing counts as frozen where something before the blocks trains, or where dropout would draw there.
    """
    blocks = list(tower.get_submodule(_BLOCKS).children())
    names = {id(parameter): name for name, parameter in tower.named_parameters() if parameter.requires_grad}
    after = {id(parameter) for block in blocks for parameter in block.parameters()}
    after |= {id(parameter) for parameter in tower.get_submodule("ln_post").parameters()}
    if any(key not in after and name != "proj" for key, name in names.items()):
        return 0
    trained = [any(id(parameter) in names for parameter in block.parameters()) for block in blocks]
    first = trained.index(True) if True in trained else len(blocks)
    draws = any(
        isinstance(module, nn.Dropout) and module.p > 0 for block in blocks[:first] for module in block.modules()
    )
    return 0 if draws or not isinstance(getattr(tower, "patch_dropout", nn.Identity()), nn.Identity) else first


def block_output(tower: nn.Module, n: int) -> Callable[[Tensor], Tensor]:
    """Return pixels -> what the first `n` blocks give (batch, tokens, width), without computing the blocks after."""

    def tokens(pixels: Tensor) -> Tensor:
        kept: list[Tensor] = []
        blocks = tower.get_submodule(_BLOCKS)
        hook = blocks.get_submodule(str(n - 1)).register_forward_hook(lambda _m, _i, out: kept.append(out))
        try:
            with _blocks(tower, list(blocks.children())[:n]):
                tower(pixels)
        finally:
            hook.remove()
        return kept[0]

    return tokens


def from_tokens(tower: nn.Module, n: int, image_size: int) -> Callable[[Tensor], Tensor]:
    """Return the output of the first `n` blocks (batch, tokens, width) -> embedding, as the whole tower computes it."""
    device = tower.get_parameter("proj").device
    nothing = torch.zeros(1, 3, image_size, image_size, device=device)  # its patches are embedded, and dropped

    def embedding(tokens: Tensor) -> Tensor:
        with _blocks(tower, [_Given(tokens), *list(tower.get_submodule(_BLOCKS).children())[n:]]):
            out: Tensor = tower(nothing)
        return out

    return embedding


@contextmanager
def _blocks(tower: nn.Module, blocks: list[nn.Module]) -> Iterator[None]:
    """Let a tower have other blocks while the context is open."""
    transformer = tower.get_submodule("transformer")
    own = transformer.resblocks
    transformer.resblocks = nn.ModuleList(blocks)
    try:
        yield
    finally:
        transformer.resblocks = own
