"""How far weights moved, relative to the base."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from heatdrift.errors import ProbeError
from heatdrift.probes.shape import float64

Updates = Mapping[str, Tensor]


def tower_norm(base: nn.Module) -> float:
    """Frobenius norm of the base tower's weights, visual projection left out."""
    return _norm(p for name, p in base.named_parameters() if name != "proj")


def weight_drift(base: nn.Module, updates: Updates) -> float:
    """Norm of the visual tower's update over the norm of its base weights, both without the projection; a ratio >= 0.

    Parameters
    ----------
    base : the tower before training.
    updates : update of each weight that a method changed, by its name in the base tower, such as (alpha / rank) B A;
        what is not named has not moved. ProbeError if the base has no such weight, because its update would be missing
        from the norm.
    """
    before = dict(base.named_parameters())
    if unknown := sorted(updates.keys() - before.keys()):
        problem = f"a method updates {unknown[0]!r}, which the base tower does not have"
        raise ProbeError(problem, hint="compare an adapted model with the base that it was made from")
    moved = (updates.get(name, p.new_zeros(())) for name, p in before.items() if name != "proj")
    return _norm(moved) / tower_norm(base)


def projection_drift(base: nn.Module, adapted: nn.Module) -> float:
    """Norm of the visual projection's update over the norm of its base weights; a ratio >= 0."""
    before, after = base.get_parameter("proj"), adapted.get_parameter("proj")
    return _norm([after.detach() - before.detach()]) / _norm([before])


# probe -> its value from the base tower, the adapted one and the updates as for `weight_drift`
OF_WEIGHTS: Final[Mapping[str, Callable[[nn.Module, nn.Module, Updates], float]]] = {
    "weight_drift": lambda base, _, updates: weight_drift(base, updates),
    "proj_drift": lambda base, adapted, _: projection_drift(base, adapted),
}


def weight_probes(base: nn.Module, adapted: nn.Module, updates: Updates) -> dict[str, float]:
    """All probes of the weights of a tower against its base; `updates` as for `weight_drift`."""
    return {name: probe(base, adapted, updates) for name, probe in OF_WEIGHTS.items()}


def _norm(tensors: Iterable[Tensor]) -> float:
    squares = [float64(t.detach()).square().sum() for t in tensors]
    return float(torch.stack(squares).sum().sqrt())
