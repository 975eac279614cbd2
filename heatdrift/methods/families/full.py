"""Full fine-tuning: every weight of the visual tower."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from msgspec import UNSET

from heatdrift.methods.base import PROJECTION, BuiltIn, Description, OwnWeights
from heatdrift.methods.stored import Method

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Full(OwnWeights):
    """The whole visual tower, and its projection unless that is left out.

    Its runs record no checks, as those that were recorded before a whole tower could be switched off.

    Attributes
    ----------
    projection : whether the visual projection is trained.
    """

    kind: ClassVar[str] = "full"
    checked: ClassVar[bool] = False
    projection: bool = True

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """Full fine-tuning."""
        return (BuiltIn("full_ft", 1, cls()),)

    def title(self) -> str:
        """`Full FT`."""
        return "Full FT" if self.projection else "Full FT, frozen projection"

    def description(self) -> Description:
        """All of the tower."""
        return Description(tower="all of it", projection=self.projection)

    def stored(self, name: str) -> Method:
        """In the words of the first format."""
        return Method(name=name, tower="all", projection=self.projection)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From the words of the first format."""
        if method.kind is not UNSET or method.tower != "all":
            return None
        return cls(projection=method.projection)

    def put_on(self, tower: "nn.Module", seed: int) -> None:
        """Train everything; nothing is drawn."""
        del seed
        tower.requires_grad_(requires_grad=True)
        tower.get_parameter(PROJECTION).requires_grad = self.projection
