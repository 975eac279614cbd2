"""The activation of a model, which no weight shows: the same weights with QuickGELU or with GELU."""

import copy
from dataclasses import replace
from typing import Final, Literal

from open_clip.transformer import QuickGELU
from torch import nn

from heatdrift.model.backbone import Backbone

Activation = Literal["quick_gelu", "gelu"]
ACTIVATIONS: Final[tuple[Activation, ...]] = ("quick_gelu", "gelu")


def activation_of(model: Backbone) -> Activation:
    """What a model computes in its blocks."""
    return "quick_gelu" if model.architecture["quick_gelu"] else "gelu"


def with_activation(model: Backbone, activation: Activation) -> Backbone:
    """Return the model with that activation in both towers, its weights unchanged; itself where it has it."""
    if activation_of(model) == activation:
        return model
    clip = copy.deepcopy(model.clip)
    for parent in clip.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.GELU | QuickGELU):
                setattr(parent, name, QuickGELU() if activation == "quick_gelu" else nn.GELU())
    architecture = {**model.architecture, "quick_gelu": activation == "quick_gelu"}
    return replace(model, visual=clip.visual, clip=clip, architecture=architecture)
