"""What the epochs of a cell have given so far, as a state that a checkpoint holds and from which they go on.

A state may be taken after an epoch was measured, or within an epoch after any of its steps: the order and the flips of
its images are not kept but drawn again, from generators that are as they were at its start.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import torch
from torch import Tensor

from heatdrift.model.adapt import AdaptedModel
from heatdrift.probes.collector import Measured
from heatdrift.records import EpochRecord
from heatdrift.train.loop import EpochPart, Optimisation
from heatdrift.train.precision import Precision
from heatdrift.train.resources import Resources, TargetData
from heatdrift.train.step import load_state

_KEYS: Final = frozenset(
    (
        *("model", "optimizer", "precision", "step", "scaler", "order", "flips", "dropout", "dropout_cuda", "history"),
        *("selected_epoch", "selected_val_acc_pct", "selected_model", "elapsed_s", "resumed_after"),
    )
)  # "part" came later: a state without it was taken between two epochs


@dataclass(slots=True, kw_only=True)
class Selected:
    """State of the earliest epoch with the highest validation accuracy so far."""

    epoch: int
    val_acc_pct: float
    state: dict[str, Tensor]
    measured: Measured


@dataclass(slots=True, kw_only=True)
class Course:
    """What the epochs of a cell gave.

    Attributes
    ----------
    history : one record per epoch, the base's first.
    precision : arithmetic that trained.
    problem : where the run diverged, in words; None when it did not. Its history is then shorter.
    earlier_s : seconds that earlier, killed processes spent on the epochs that were resumed.
    resumed_after : epochs that were measured each time a run that had been stopped went on.
    """

    history: list[EpochRecord]
    precision: Precision = "float32"
    selected: Selected | None = None
    problem: str | None = None
    earlier_s: float = 0.0
    resumed_after: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EpochStart:
    """States of the generators of order, flips and images without labels at the start of an epoch."""

    order: Tensor
    flips: Tensor
    others: Tensor | None

    @classmethod
    def of(cls, run: Optimisation) -> "EpochStart":
        """The states of now."""
        others = None if run.others is None else run.others.draws.get_state()
        return cls(order=run.order.get_state(), flips=run.flips.get_state(), others=others)


def state_of(
    course: Course,
    model: AdaptedModel,
    run: Optimisation,
    elapsed_s: float,
    *,
    start: EpochStart,
    part: EpochPart | None = None,
) -> dict[str, Any]:
    """All that the rest depends on, as tensors, numbers and text; measurements are taken again on resuming.

    Parameters
    ----------
    start, part : the epoch to go on with and what its steps gave so far; None = no step was taken.
    """
    selected = course.selected
    same = part is None and selected is not None and selected.epoch == course.history[-1].epoch
    return {
        "model": selected.state if same and selected is not None else model.trained_state(),
        "optimizer": run.optimizer.state_dict(),
        "precision": course.precision,
        "step": run.step,
        "scaler": None if run.scaler is None else run.scaler.state_dict(),
        "order": start.order,
        "flips": start.flips,
        "others": start.others,
        "part": None if part is None else {"losses": part.losses, "hits": part.hits, "finite": part.finite},
        "dropout": torch.get_rng_state(),
        "dropout_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "history": msgspec.json.encode(course.history).decode(),
        "selected_epoch": None if selected is None else selected.epoch,
        "selected_val_acc_pct": None if selected is None else selected.val_acc_pct,
        "selected_model": None if selected is None else selected.state,
        "elapsed_s": elapsed_s,
        "resumed_after": course.resumed_after,
    }


def complete(state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return `state` if it has all that :func:`resume` needs, else None: the cell starts anew."""
    return state if state is not None and state.keys() >= _KEYS else None


def resume(
    kept: dict[str, Any],
    course: Course,
    model: AdaptedModel,
    run: Optimisation,
    data: TargetData,
    resources: Resources,
) -> EpochPart | None:
    """Put a state from :func:`state_of` back, and return the steps taken of an epoch that was left within.

    The selected epoch is measured again, which gives the same numbers.
    """
    course.history = msgspec.json.decode(kept["history"], type=list[EpochRecord])
    if kept["selected_epoch"] is not None:
        model.restore(kept["selected_model"])
        course.selected = Selected(
            epoch=kept["selected_epoch"],
            val_acc_pct=kept["selected_val_acc_pct"],
            state=model.trained_state(),
            measured=resources.measure(model.visual, data.probe, len(data.gallery), data.probe_groups),
        )
    model.restore(kept["model"])
    load_state(run.optimizer, kept["optimizer"])
    run.step = kept["step"]
    if run.scaler is not None and kept["scaler"] is not None:
        run.scaler.load_state_dict(kept["scaler"])
    run.order.set_state(kept["order"])
    run.flips.set_state(kept["flips"])
    if run.others is not None:
        run.others.draws.set_state(kept["others"])
    torch.set_rng_state(kept["dropout"])
    if kept["dropout_cuda"] is not None:
        torch.cuda.set_rng_state(kept["dropout_cuda"])
    course.earlier_s = kept["elapsed_s"]
    course.resumed_after = [*kept["resumed_after"], course.history[-1].epoch]
    part = kept.get("part")
    return None if part is None else EpochPart(**part)
