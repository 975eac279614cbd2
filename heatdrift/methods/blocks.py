"""Which blocks of a tower a method means: ``"all"``, ``"6-11"``, ``"0,3,6"`` or a list. The first block is 0."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast

from heatdrift.errors import StudyError

if TYPE_CHECKING:
    from torch import nn

ALL: Final = "all"
Blocks = str | int | tuple[int, ...]
_HINT: Final = 'blocks = "all", "6-11", "0,3,6" or [0, 3, 6]; the first block is 0'
_PART: Final = re.compile(r"(\d+)(?:-(\d+))?")


def parse_blocks(blocks: Blocks) -> Blocks:
    """Return ``"all"``, or positions in rising order, each once: however it was written, the cell id is the same.

    Raises
    ------
    StudyError : nothing, something else than numbers and ranges, or a range that ends before it starts.
    """
    if blocks == ALL:
        return ALL
    positions = _positions(blocks) if isinstance(blocks, str) else (blocks,) if isinstance(blocks, int) else blocks
    if not positions or min(positions) < 0:
        raise StudyError(f"blocks {blocks!r} names no block", hint=_HINT)
    return tuple(sorted(set(positions)))


def _positions(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise StudyError(f"blocks {text!r} names no block", hint=_HINT)
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(found)


def blocks_text(blocks: Blocks) -> str:
    """Return `every block`, `block 5` or `blocks 0, 6-11`."""
    if blocks == ALL:
        return "every block"
    spans: list[list[int]] = []
    for position in cast("Iterable[int]", blocks):
        if spans and spans[-1][1] == position - 1:
            spans[-1][1] = position
        else:
            spans.append([position, position])
    several = len(spans) > 1 or spans[0][0] != spans[0][1]
    listed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
    return f"blocks {listed}" if several else f"block {listed}"


def check_blocks(blocks: Blocks, depth: int) -> None:
    """StudyError when `blocks` names a position that a tower of `depth` blocks does not have."""
    beyond = [] if blocks == ALL else [n for n in cast("tuple[int, ...]", blocks) if n >= depth]
    if beyond:
        problem = f"{blocks_text(tuple(beyond))} of a backbone that has {depth} blocks"
        raise StudyError(problem, hint=f"its blocks are 0 to {depth - 1}")


def block_pattern(blocks: Blocks) -> str:
    r"""Regular expression for the positions: ``\d+`` or ``(?:6|7|8)``."""
    return r"\d+" if blocks == ALL else f"(?:{'|'.join(map(str, cast('tuple[int, ...]', blocks)))})"


def tower_depth(tower: "nn.Module") -> int:
    """Number of blocks of a tower."""
    return len(list(tower.get_submodule("transformer.resblocks").children()))
