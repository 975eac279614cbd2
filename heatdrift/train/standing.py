"""A captured step that stays for the next cell of its kind: capturing, and compiling even more, costs what a cell does.

A graph reads the memory that it was captured with. So the next cell's model gives its values to the one that is there,
and the optimiser and the scale of the loss start again in place.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from heatdrift.model.adapt import AdaptedModel
from heatdrift.records import Cell
from heatdrift.train.step import Step, loss_scaler


def step_key(cell: Cell) -> Hashable:
    """Return all that decides a step of a cell's training, but the values of its model and the learning rate."""
    return cell.dataset, cell.method_spec, cell.recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingStep:
    """What a finished cell leaves for the next one with the same `key`: all that decides a step, but its values."""

    key: Hashable
    model: AdaptedModel
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    step: Step

    def take_values(self, fresh: AdaptedModel) -> None:
        """Be as if nothing had been trained yet, with the values of `fresh`."""
        self.model.take_values(fresh)
        for state in self.optimizer.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()
        if self.scaler is not None:
            self.scaler.load_state_dict(loss_scaler(self.model.classifier.weight.device).state_dict())


@dataclass(slots=True)
class StandingSteps:
    """At most one step is kept: an accelerator's memory has better uses."""

    _kept: StandingStep | None = None

    def take(self, key: Hashable) -> StandingStep | None:
        """Return the step with this key; whatever is kept is handed out or let go, so a failed cell leaves nothing."""
        kept, self._kept = self._kept, None
        return kept if kept is not None and kept.key == key else None

    def put(self, step: StandingStep) -> None:
        """Keep a step of a cell that ended well."""
        self._kept = step
