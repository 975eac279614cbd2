"""Low-rank adapters (Hu et al. 2021) through peft, on linear layers of the visual blocks: W + (alpha / rank) B A."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from msgspec import UNSET

from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods.base import PROJECTION, BuiltIn, Description, Family, base_values, own_updates
from heatdrift.methods.blocks import (
    ALL,
    Blocks,
    block_pattern,
    blocks_text,
    check_blocks,
    parse_blocks,
    tower_depth,
)
from heatdrift.methods.stored import LoraConfig, Method

if TYPE_CHECKING:
    import peft
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn

TARGETS: Final[dict[str, str]] = {  # what study files say -> the module inside a block
    "q": "attn.q_proj",
    "k": "attn.k_proj",
    "v": "attn.v_proj",
    "out": "attn.out_proj",
    "c_fc": "mlp.c_fc",
    "c_proj": "mlp.c_proj",
}
_MODULES: Final = {target: module.rpartition(".")[2] for target, module in TARGETS.items()}
_DEFAULT: Final = ("q", "v")
_PEFT_PREFIX: Final = "base_model.model."  # what PeftModel puts before a name of the model that it wraps


@dataclass(frozen=True, kw_only=True)
class Lora(Family):
    """Adapters of rank `rank` on the targeted layers of the chosen blocks; the tower itself is frozen.

    Attributes
    ----------
    rank : width between A and B, >= 1.
    alpha : strength, > 0: the update is (alpha / rank) B A.
    dropout : on the adapters' input while training, in [0, 1).
    targets : linear layers of a block: q, k, v, out (attention), c_fc, c_proj (MLP).
    blocks : blocks whose layers are adapted.
    projection : whether the visual projection is trained.
    """

    kind: ClassVar[str] = "lora"
    label: ClassVar[str] = "LoRA"
    imports: ClassVar[tuple[str, ...]] = ("peft",)
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: tuple[str, ...] = _DEFAULT
    blocks: Blocks = ALL
    projection: bool = True

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise StudyError(f"rank must be >= 1, got {self.rank}", hint="rank = 8")
        if not 0 < self.alpha < float("inf"):
            raise StudyError(f"alpha must be > 0 and finite, got {self.alpha!r}", hint="alpha = 16")
        if not 0 <= self.dropout < 1:
            raise StudyError(f"dropout must be >= 0 and < 1, got {self.dropout!r}", hint="dropout = 0.05")
        if not self.targets:
            raise StudyError("targets is empty", hint=f"name some of {', '.join(TARGETS)}")
        for target in self.targets:
            if target not in TARGETS:
                raise UnknownNameError("target", target, TARGETS)
        object.__setattr__(self, "targets", tuple(target for target in TARGETS if target in self.targets))
        object.__setattr__(self, "blocks", parse_blocks(self.blocks))

    @classmethod
    def built_in(cls) -> tuple[BuiltIn, ...]:
        """Rank 8 on q and v, with and without the projection, and on all linear layers."""
        return (
            BuiltIn("lora_r8", 2, cls()),
            BuiltIn("lora_r8_frozen_proj", 3, cls(projection=False)),
            BuiltIn("lora_r8_all", 6, cls(targets=tuple(TARGETS))),
        )

    def title(self) -> str:
        """`LoRA r=8`, and what differs from it: alpha where it is not twice the rank, targets, blocks, dropout."""
        words = f"{self.label} r={self.rank}"
        if self.alpha != 2 * self.rank:
            words += f" α={self.alpha:g}"
        if self.targets == tuple(TARGETS):
            words += " on all linear layers"
        elif self.targets != _DEFAULT:
            words += f" on {', '.join(self.targets)}"
        parts = [words]
        if self.blocks != ALL:
            parts.append(blocks_text(self.blocks))
        if self.dropout != Lora.dropout:
            parts.append(f"dropout {self.dropout:g}")
        if not self.projection:
            parts.append("frozen projection")
        return ", ".join(parts)

    def description(self) -> Description:
        """A frozen tower and what lies on it."""
        layers = ", ".join(_MODULES[target] for target in self.targets)
        adapters = (
            f"rank {self.rank}, alpha {self.alpha:g}, dropout {self.dropout:g} on {layers} of "
            f"{blocks_text(self.blocks)}"
        )
        return Description(tower="frozen", projection=self.projection, adapters=adapters)

    def check_depth(self, depth: int) -> None:
        """All chosen blocks must be there."""
        check_blocks(self.blocks, depth)

    def stored(self, name: str) -> Method:
        """In the words of the first format, which had no choice of blocks."""
        assert not isinstance(self.blocks, int)
        return Method(
            name=name,
            projection=self.projection,
            lora=LoraConfig(
                rank=self.rank,
                alpha=self.alpha,
                dropout=self.dropout,
                targets=tuple(_MODULES[target] for target in self.targets),
                blocks=UNSET if isinstance(self.blocks, str) else self.blocks,
            ),
        )

    @classmethod
    def read(cls, method: Method) -> Self | None:
        """From the words of the first format."""
        config = method.lora
        if method.kind is not UNSET or config is None:
            return None
        targets = {module: target for target, module in _MODULES.items()}
        return cls(
            rank=config.rank,
            alpha=config.alpha,
            dropout=config.dropout,
            targets=tuple(targets.get(module, module) for module in config.targets),
            blocks=ALL if config.blocks is UNSET else config.blocks,
            projection=method.projection,
        )

    def put_on(self, tower: "nn.Module", seed: int) -> None:
        """Put an adapter on every targeted layer; peft freezes the rest.

        peft draws A on the CPU, from torch's global generator, whatever the device; the draw is made under `seed` and
        the generator restored.
        """
        import peft
        import torch

        self.check_depth(tower_depth(tower))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            peft.inject_adapter_in_model(self.wiring(), tower)
        tower.get_parameter(PROJECTION).requires_grad = self.projection

    def wiring(self) -> "peft.LoraConfig":
        """Peft's configuration of these adapters."""
        import peft

        layers = "|".join(re.escape(TARGETS[target]) for target in self.targets)
        return peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=rf"transformer\.resblocks\.{block_pattern(self.blocks)}\.(?:{layers})",
            bias="none",
        )

    @contextmanager
    def switched_off(self, tower: "nn.Module", base: "nn.Module") -> Iterator[None]:
        """Run the tower on its base weights alone, the projection's among them."""
        layers = adapters(tower).values()
        with base_values(tower, base):
            try:
                for layer in layers:
                    layer.enable_adapters(enabled=False)
                yield
            finally:
                for layer in layers:
                    layer.enable_adapters(enabled=True)

    def updates(self, tower: "nn.Module", base: "nn.Module") -> "dict[str, Tensor]":
        """(alpha / rank) B A of every adapter, and the projection's update where it is trained."""
        changed = {f"{name}.weight": self.delta(layer).detach() for name, layer in adapters(tower).items()}
        return {**changed, **own_updates(tower, base)}

    def delta(self, layer: "LoraLayer") -> "Tensor":
        """Update of one layer's weight: (out, in)."""
        found: Tensor = layer.get_delta_weight("default")
        return found

    def merged(self, tower: "nn.Module") -> "dict[str, Tensor]":
        """The adapters added to the weights on which they lie."""
        weights = {
            name.replace(".base_layer", ""): tensor.detach()
            for name, tensor in tower.state_dict().items()
            if ".lora_" not in name
        }
        for name, layer in adapters(tower).items():
            weights[f"{name}.weight"] = weights[f"{name}.weight"] + self.delta(layer).detach()
        return weights

    def files(self, tower: "nn.Module") -> "Mapping[str, Mapping[str, Tensor] | str]":
        """An adapter for peft, on a tower with split attention: its two files."""
        from peft.utils import get_peft_model_state_dict

        state = get_peft_model_state_dict(tower, state_dict=dict(tower.state_dict()), adapter_name="default")
        return {
            "adapter_model.safetensors": {f"{_PEFT_PREFIX}{name}": tensor.detach() for name, tensor in state.items()},
            "adapter_config.json": json.dumps(self.wiring().to_dict(), indent=2, default=str),
        }


def adapters(tower: "nn.Module") -> "dict[str, LoraLayer]":
    """Name -> peft's layer, in the order of the blocks; empty for a tower without adapters."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in tower.named_modules() if isinstance(module, LoraLayer)}
