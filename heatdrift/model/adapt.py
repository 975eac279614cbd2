"""Carry out a method: a copy of the tower with the right parameters trainable, and a classifier on its embedding."""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from heatdrift.methods import Family, Method, family_of
from heatdrift.model.backbone import Backbone

CLASSIFIER_STD = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedModel:
    """The model of one cell: visual tower (with adapters, if any) and classifier on the un-normalised embedding.

    ``family`` knows what of the tower is trained, and how it is switched off, merged and exported.
    """

    visual: nn.Module
    classifier: nn.Linear
    family: Family

    def logits(self, pixels: Tensor) -> Tensor:
        """(batch, 3, size, size) normalised pixels -> (batch, classes)."""
        out: Tensor = self.classifier(self.visual(pixels))
        return out

    @property
    def blocks(self) -> nn.ModuleList | None:
        """Transformer blocks of the tower; None where it has none."""
        blocks = getattr(getattr(self.visual, "transformer", None), "resblocks", None)
        return blocks if isinstance(blocks, nn.ModuleList) else None

    def trained(self) -> list[nn.Parameter]:
        """Parameters that the optimiser changes."""
        return [p for module in (self.visual, self.classifier) for p in module.parameters() if p.requires_grad]

    def train_mode(self, *, on: bool) -> None:
        """Switch dropout of the adapters on or off."""
        self.visual.train(on)
        self.classifier.train(on)

    def trained_state(self) -> dict[str, Tensor]:
        """Copy of everything trained; with the base and the method it restores the model exactly."""
        return {name: p.detach().clone() for name, p in self._named() if p.requires_grad}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put a state from :meth:`trained_state` back."""
        with torch.no_grad():
            for name, parameter in self._named():
                if name in state:
                    parameter.copy_(state[name])

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        parts = (("visual", self.visual), ("classifier", self.classifier))
        return [(f"{part}.{name}", p) for part, module in parts for name, p in module.named_parameters()]


def adapt(
    backbone: Backbone,
    method: Method,
    n_classes: int,
    *,
    classifier_seed: int,
    adapter_seed: int,
    classifier_init: Literal["torch"] | None = None,
) -> AdaptedModel:
    """Copy the backbone's tower, make trainable what `method` trains, and add a fresh classifier.

    Its weights are N(0, 0.01) and its bias 0; with `classifier_init` = "torch" both are uniform, as nn.Linear has them
    (of 512 inputs with sd 0.0255). The model comes in evaluation mode; adapters start at an update of 0, so it embeds
    exactly as the base does.
    """
    visual = copy.deepcopy(backbone.visual)
    family = family_of(method)
    family.put_on(visual, adapter_seed)
    classifier = nn.Linear(backbone.embed_dim, n_classes)
    generator = torch.Generator().manual_seed(classifier_seed)
    with torch.no_grad():
        if classifier_init == "torch":  # the draws of nn.Linear.reset_parameters, from a generator of their own
            nn.init.kaiming_uniform_(classifier.weight, a=math.sqrt(5), generator=generator)
            bound = 1 / math.sqrt(backbone.embed_dim)
            classifier.bias.uniform_(-bound, bound, generator=generator)
        else:
            classifier.weight.copy_(torch.randn(classifier.weight.shape, generator=generator) * CLASSIFIER_STD)
            classifier.bias.zero_()
    model = AdaptedModel(visual=visual, classifier=classifier.to(visual.get_parameter("proj").device), family=family)
    model.train_mode(on=False)  # peft adds its dropout in training mode
    return model
