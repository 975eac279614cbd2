"""Few of the tower's own weights, or none: the last block, or the classifier alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from msgspec import UNSET

from heatdrift.methods.base import PROJECTION, BuiltIn, Description, OwnWeights
from heatdrift.methods.stored import Method

if TYPE_CHECKING:
    from torch import nn

_TITLES: Final = {"last_block": "Last block", "none": "Linear probe"}
_WORDS: Final = {"last_block": "last block and final norm", "none": "frozen"}


@dataclass(frozen=True, kw_only=True)
class Partial(OwnWeights):
    """The last block with the final layer norm, or nothing of the tower; with the projection if asked for.

    Its runs record no checks: a linear probe leaves the tower as it is.

    Attributes
    ----------
    tower : "last_block" (with the final layer norm) or "none".
    projection : whether the visual projection is trained.
    """

    kind: ClassVar[str] = "partial"
    checked: ClassVar[bool] = False
    tower: Literal["last_block", "none"] = "last_block"
    projection: bool = False

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """The last block; the classifier alone; the last block with the projection."""
        return (
            BuiltIn("last_block", 4, cls()),
            BuiltIn("linear_probe", 5, cls(tower="none")),
            BuiltIn("last_block_proj", 9, cls(projection=True)),
        )

    def title(self) -> str:
        """`Last block`, `Linear probe`, each with the projection where it is trained."""
        return f"{_TITLES[self.tower]} and projection" if self.projection else _TITLES[self.tower]

    def description(self) -> Description:
        """The part of the tower."""
        return Description(tower=_WORDS[self.tower], projection=self.projection)

    @property
    def changes_encoder(self) -> bool:
        """A linear probe leaves the image embedding as it was."""
        return self.tower != "none" or self.projection

    def stored(self, name: str) -> Method:
        """In the words of the first format."""
        return Method(name=name, tower=self.tower, projection=self.projection)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From the words of the first format."""
        if method.kind is not UNSET or method.lora is not None or method.tower == "all":
            return None
        return cls(tower=method.tower, projection=method.projection)

    def put_on(self, tower: "nn.Module", seed: int) -> None:
        """Train the part; nothing is drawn."""
        del seed
        if self.tower == "last_block":
            last = list(tower.get_submodule("transformer.resblocks").children())[-1]
            for part in (last, tower.get_submodule("ln_post")):
                part.requires_grad_(requires_grad=True)
        tower.get_parameter(PROJECTION).requires_grad = self.projection
