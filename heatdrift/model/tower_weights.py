"""Weights of a tower as they act: adapters merged, fused attention named as split attention is."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from heatdrift.errors import ModelError
from heatdrift.model.towers import Tower

_PARTS: Final = ("q_proj", "k_proj", "v_proj")


@torch.no_grad()
def acting_weights(tower: Tower) -> dict[str, Tensor]:
    """Name -> weight that acts, a copy on the processor in float32; the same names with and without adapters.

    A layer of peft is copied and its copy merged, one at a time: what is trained is not touched, and every kind of
    adapter that peft can merge is exact (DoRA too).
    """
    found = dict(_walked(tower.module, ""))
    if tower.projected is not None and tower.projection is not None:
        found |= dict(_walked(tower.projected, tower.projection.rpartition(".")[0]))
    return found


def _walked(root: nn.Module, place: str) -> Iterator[tuple[str, Tensor]]:
    adapters: list[str] = []
    for name, module in root.named_modules(prefix=place):
        if any(name == inside or name.startswith(f"{inside}.") for inside in adapters):
            continue
        weights: Iterable[tuple[str, Tensor]] = module.named_parameters(recurse=False)
        if _is_adapter(module):
            adapters.append(name)
            merged: Any = copy.deepcopy(module)
            if not merged.merged and not merged.disable_adapters:
                merged.merge()
            weights = merged.get_base_layer().named_parameters()
        elif "original_module" in name.split("."):  # what peft keeps of a module that is trained in full
            continue
        for inner, weight in weights:
            yield from _parts(_clean(f"{name}.{inner}" if name else inner), weight)


@dataclass(frozen=True, slots=True)
class BaseWeights:
    """Weights of a base as they act, and what every comparison with them needs: computed once.

    Attributes
    ----------
    projection : name of the weight that projects into the shared space; None where there is none.
    squares : sum of squares of each weight.
    """

    weights: dict[str, Tensor]
    projection: str | None
    squares: dict[str, float]

    @classmethod
    def of(cls, weights: dict[str, Tensor], projection: str | None) -> "BaseWeights":
        """Square them."""
        return cls(weights, projection, {name: _squares(weight) for name, weight in weights.items()})

    def moved(self, adapted: dict[str, Tensor]) -> dict[str, float]:
        """Norm of the update over the norm of the base, of the tower without projection, and of the projection.

        `adapted` has passed :func:`check_same`.
        """
        names = [name for name in self.weights if name != self.projection]
        values = {"weight_drift": self._ratio(adapted, names)}
        if self.projection is not None:
            values["proj_drift"] = self._ratio(adapted, [self.projection])
        return values

    def _ratio(self, adapted: dict[str, Tensor], names: list[str]) -> float:
        update = sum(_squares(adapted[name].double() - self.weights[name]) for name in names)
        return float((update / sum(self.squares[name] for name in names)) ** 0.5)


def _squares(weight: Tensor) -> float:
    flat = weight.double().flatten()
    return float(flat @ flat)


def check_same(base: dict[str, Tensor], adapted: dict[str, Tensor]) -> None:
    """Refuse a model of another architecture: names or shapes differ (ModelError)."""
    other = sorted(base.keys() ^ adapted.keys())
    other += sorted(n for n in base.keys() & adapted.keys() if base[n].shape != adapted[n].shape)
    if other:
        shown = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
        problem = f"the model has not the weights of the base: {shown} are missing, new or of another shape"
        raise ModelError(problem, hint="measure a model of the same architecture as the base, in the same library")


def _is_adapter(module: nn.Module) -> bool:
    """Whether it is a layer of peft: it has its own base layer and can merge into it."""
    return all(hasattr(module, part) for part in ("base_layer", "get_base_layer", "merge", "merged"))


def _clean(name: str) -> str:
    """Name in the model that peft wraps: parts that are peft's are left out."""
    parts = name.split(".")
    while "modules_to_save" in parts:
        at = parts.index("modules_to_save")
        del parts[at : at + 2]  # and the adapter's name
    return ".".join(parts)


def _parts(name: str, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Fused weights as the three that they hold, others as they are."""
    stem, _, last = name.rpartition(".")
    if last in ("in_proj_weight", "in_proj_bias"):
        kind = last.removeprefix("in_proj_")
        for part, chunk in zip(_PARTS, weight.chunk(3), strict=True):
            yield f"{stem}.{part}.{kind}", _copied(chunk)
    else:
        yield name, _copied(weight)


def _copied(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float32, copy=True)
