"""peft wiring of low-rank adapters on the split projections; the only import of peft."""

from collections.abc import Iterator
from contextlib import contextmanager

import peft
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from heatdrift.methods import LoraConfig


def wiring(config: LoraConfig) -> peft.LoraConfig:
    """Configuration of peft for these adapters, for the split projections of every block."""
    return peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=rf"transformer\.resblocks\.\d+\.attn\.({'|'.join(config.targets)})",
        bias="none",
    )


def add_adapters(tower: nn.Module, config: LoraConfig, seed: int) -> None:
    """Put an adapter on every targeted projection of every block, in place; base weights are frozen.

    peft draws A on the CPU, from torch's global generator, whatever the device; the draw is made under `seed` and the
    generator restored.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        peft.inject_adapter_in_model(wiring(config), tower)


def adapters(tower: nn.Module) -> dict[str, LoraLayer]:
    """Name -> adapter layer, in the order of the blocks; empty for methods without adapters."""
    return {name: module for name, module in tower.named_modules() if isinstance(module, LoraLayer)}


@contextmanager
def adapters_disabled(tower: nn.Module) -> Iterator[None]:
    """Run the tower on its base weights alone while the context is open."""
    layers = adapters(tower).values()
    for layer in layers:
        layer.enable_adapters(enabled=False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(enabled=True)


def adapter_updates(tower: nn.Module) -> dict[str, Tensor]:
    """Weight update (alpha / rank) B A of every adapter, keyed by the name of the base weight: (out, in) each."""
    return {f"{name}.weight": layer.get_delta_weight("default").detach() for name, layer in adapters(tower).items()}
