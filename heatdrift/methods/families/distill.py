"""Feature distillation: full fine-tuning that is to embed images as the frozen pretrained tower does.

loss + strength x mean over images of ||f(x) / ||f(x)|| - f0(x) / ||f0(x)|| ||^2, which is 2 (1 - cosine): zero-shot
looks at directions alone. Hinton et al. 2015 on features (Romero et al. 2015), the base as teacher (Li and Hoiem 2016).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import msgspec

from heatdrift.errors import StudyError
from heatdrift.methods.base import TRAINING_IMAGES, BuiltIn, Description, Family
from heatdrift.methods.families.full import Full
from heatdrift.methods.stored import Method

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Distill(Full):
    """The whole visual tower; its embeddings of unlabelled images are held where the base has them.

    At strength 0 it is full fine-tuning exactly. A step costs one more pass of the base, and with images of their own
    as many images again. train_loss is without the penalty.

    Attributes
    ----------
    strength : factor of the mean squared distance, >= 0. How much is right depends on model and data: take several.
    images : `train`, the augmented training images of the step, or a name of the study's `[unlabelled]`, of which each
        step draws as many as it trains on. Images of a transfer set or a test split are refused.
    """

    kind: ClassVar[str] = "distill"
    checked: ClassVar[bool] = True
    strength: float = 1.0
    images: str = TRAINING_IMAGES

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise StudyError(f"strength must be >= 0 and finite, got {self.strength!r}", hint="strength = 1.0")

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """On the training images."""
        return (BuiltIn("full_ft_distill", 11, cls()),)

    def title(self) -> str:
        """`Full FT, distilled 1`, with the images where they are others."""
        seen = "" if self.images == TRAINING_IMAGES else f" on {self.images}"
        return f"{Full.title(self)}, distilled {self.strength:g}{seen}"

    def description(self) -> Description:
        """All of the tower, and what holds it."""
        seen = "training images" if self.images == TRAINING_IMAGES else self.images
        tower = f"all of it, its embeddings of {seen} held near the base's (strength {self.strength:g})"
        return Description(tower=tower, projection=self.projection)

    def stored(self, name: str) -> Method:
        """Kind and parameters: the first format has no word for it."""
        return Family.stored(self, name)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From kind and parameters."""
        return None if method.kind != cls.kind else msgspec.convert(method.parameters, cls)

    @property
    def penalty_images(self) -> str:
        """As the study says."""
        return self.images

    def penalty(self, tower: "nn.Module", base: "nn.Module") -> "Callable[[Tensor, Tensor], Tensor] | None":
        """Mean squared distance of the embeddings' directions from the base's, times the strength."""
        import torch
        from torch.nn import functional

        del tower
        if self.strength == 0:
            return None

        def distance(pixels: "Tensor", embeddings: "Tensor") -> "Tensor":
            with torch.no_grad():
                taught = functional.normalize(base(pixels).float(), dim=-1)
            apart = functional.normalize(embeddings.float(), dim=-1) - taught
            return self.strength * apart.square().sum(-1).mean()

        return distance
