"""DoRA (Liu et al. 2024) through peft: LoRA on the direction of each row of W, and a trained length for each row.

W' = m (W + (alpha / rank) B A) / ||W + (alpha / rank) B A||, norms over rows; m starts at the norms of W.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import msgspec

from heatdrift.methods.base import BuiltIn, Description, Family
from heatdrift.methods.families.lora import Lora
from heatdrift.methods.stored import Method

if TYPE_CHECKING:
    import peft
    from peft.tuners.lora import LoraLayer
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Dora(Lora):
    """The parameters are those of LoRA; each adapted layer has its row lengths m next to A and B."""

    kind: ClassVar[str] = "dora"
    label: ClassVar[str] = "DoRA"

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """Where lora_r8 has its adapters."""
        return (BuiltIn("dora_r8", 7, cls()),)

    def description(self) -> Description:
        """As of LoRA, with the row lengths."""
        inner = Lora.description(self)
        return inner._replace(adapters=f"{inner.adapters}, and the length of each row of these weights")

    def stored(self, name: str) -> Method:
        """Kind and parameters: the first format has no word for it."""
        return Family.stored(self, name)

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From kind and parameters."""
        if method.kind != cls.kind:
            return None
        return msgspec.convert(method.parameters, cls)

    def wiring(self) -> "peft.LoraConfig":
        """As of LoRA, with the lengths."""
        config = Lora.wiring(self)
        config.use_dora = True
        return config

    def delta(self, layer: "LoraLayer") -> "Tensor":
        """W' - W, written so that it is exactly 0 before training: (s - 1) W + s (alpha / rank) B A, s = m / norm.

        peft's get_delta_weight is the inner update alone.
        """
        import torch

        inner, weight = layer.get_delta_weight("default"), layer.get_base_layer().weight
        norm = torch.linalg.norm(weight + inner, dim=1)
        scale = (layer.lora_magnitude_vector["default"].weight / norm).unsqueeze(1)
        found: Tensor = (scale - 1) * weight + scale * inner
        return found
