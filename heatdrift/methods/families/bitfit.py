"""BitFit (Ben Zaken et al. 2022): bias terms alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from heatdrift.methods.base import BuiltIn, Description, OwnWeights
from heatdrift.methods.blocks import ALL, Blocks, blocks_text, check_blocks, parse_blocks, tower_depth

if TYPE_CHECKING:
    from torch import Tensor, nn

_BLOCKS: Final = "transformer.resblocks."


@dataclass(frozen=True, kw_only=True)
class BitFit(OwnWeights):
    """Every bias of the visual tower, those of the layer norms among them.

    CLIP's projection has no bias and stays frozen. The bias of k is trained like all others, though the softmax ignores
    it: what it moves is rounding.

    Attributes
    ----------
    blocks : blocks whose biases are trained; with a choice of them, the layer norms around the blocks stay frozen.
    """

    kind: ClassVar[str] = "bitfit"
    blocks: Blocks = ALL

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", parse_blocks(self.blocks))

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """All biases."""
        return (BuiltIn("bitfit", 8, cls()),)

    def title(self) -> str:
        """`BitFit`, with the blocks where they are chosen."""
        return "BitFit" if self.blocks == ALL else f"BitFit, {blocks_text(self.blocks)}"

    def description(self) -> Description:
        """The biases."""
        where = "" if self.blocks == ALL else f" of {blocks_text(self.blocks)}"
        return Description(tower=f"all biases{where}, those of layer norms too", projection=False)

    def check_depth(self, depth: int) -> None:
        """All chosen blocks must be there."""
        check_blocks(self.blocks, depth)

    def put_on(self, tower: "nn.Module", seed: int) -> None:
        """Train the biases; nothing is drawn."""
        del seed
        self.check_depth(tower_depth(tower))
        for name, parameter in tower.named_parameters():
            parameter.requires_grad = name.endswith(".bias") and self._chosen(name)

    def _chosen(self, name: str) -> bool:
        if isinstance(self.blocks, (str, int)):
            return True
        return name.startswith(_BLOCKS) and int(name.removeprefix(_BLOCKS).partition(".")[0]) in self.blocks

    def files(self, tower: "nn.Module") -> "Mapping[str, Mapping[str, Tensor] | str]":
        """The trained biases by their names in a tower with split attention: all that differs from the base."""
        trained = {f"visual.{name}": p.detach() for name, p in tower.named_parameters() if p.requires_grad}
        return {"biases.safetensors": trained}
