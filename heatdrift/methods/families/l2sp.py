"""L2-SP (Li et al. 2018): full fine-tuning whose loss grows with the weights' distance from where they started.

loss + strength / 2 ||W - W0||^2 over all that is trained of the tower; the classifier starts nowhere and is left out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import msgspec

from heatdrift.errors import StudyError
from heatdrift.methods.base import BuiltIn, Description, Family
from heatdrift.methods.families.full import Full
from heatdrift.methods.stored import Method

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class L2Sp(Full):
    """The whole visual tower, drawn back to its pretrained weights; at strength 0 it is full fine-tuning exactly.

    AdamW's own weight decay stays: it draws to 0, and the recipe says how much. train_loss is without the penalty.

    Attributes
    ----------
    strength : factor of half the squared distance, >= 0. How much is right depends on model and data: take several.
    """

    kind: ClassVar[str] = "l2sp"
    checked: ClassVar[bool] = True
    strength: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise StudyError(f"strength must be >= 0 and finite, got {self.strength!r}", hint="strength = 0.1")

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """With the usual strength."""
        return (BuiltIn("full_ft_l2sp", 10, cls()),)

    def title(self) -> str:
        """`Full FT, L2-SP 0.1`."""
        return f"{Full.title(self)}, L2-SP {self.strength:g}"

    def description(self) -> Description:
        """All of the tower, and what holds it."""
        tower = f"all of it, held near its pretrained weights (L2-SP, strength {self.strength:g})"
        return Description(tower=tower, projection=self.projection)

    def stored(self, name: str) -> Method:
        """Kind and parameters: the first format has no word for it."""
        return Family.stored(self, name)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From kind and parameters."""
        return None if method.kind != cls.kind else msgspec.convert(method.parameters, cls)

    def penalty(self, tower: "nn.Module", base: "nn.Module") -> "Callable[[Tensor, Tensor], Tensor] | None":
        """Half the squared distance of the trained weights from the base's, times the strength."""
        import torch

        if self.strength == 0:
            return None
        start = dict(base.named_parameters())
        pairs = [(p, start[name].detach()) for name, p in tower.named_parameters() if p.requires_grad]

        def distance(pixels: "Tensor", embeddings: "Tensor") -> "Tensor":
            del pixels, embeddings
            squares = torch.stack([(weight - before).square().sum() for weight, before in pairs])
            return 0.5 * self.strength * squares.sum()

        return distance
