"""One epoch of training. Knows no paths and no records."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from heatdrift.crop_plan import Preprocess
from heatdrift.train.penalty import Penalised, with_others
from heatdrift.train.schedule import lr_factor
from heatdrift.train.step import PlainStep, Step, StepResult, set_lr

FLIPPED = 0.5  # share of training images that are mirrored


class TrainingImages(Protocol):
    """Images that an epoch trains on: pixels, or what a frozen tower makes of them (``frozen.py``)."""

    @property
    def labels(self) -> Tensor:
        """(n,) int64."""

    @property
    def device(self) -> torch.device:
        """Where they lie."""

    def __len__(self) -> int: ...

    def inputs(self, chosen: Tensor, flips: Tensor, normalise: "Normaliser") -> Tensor:
        """Model inputs of the images at `chosen` (batch,), mirrored where `flips` (batch,) says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSet:
    """Images of one split, cropped and kept as bytes.

    Attributes
    ----------
    crops : (n, 3, size, size) uint8.
    labels : (n,) int64.
    """

    crops: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def device(self) -> torch.device:
        """Where the crops lie."""
        return self.crops.device

    def inputs(self, chosen: Tensor, flips: Tensor, normalise: "Normaliser") -> Tensor:
        """Normalised pixels: (batch, 3, size, size)."""
        crops = self.crops.index_select(0, chosen)
        if crops.device.type != "cpu":
            return normalise(torch.where(flips.view(-1, 1, 1, 1), crops.flip(-1), crops))
        pictures = crops.numpy()  # numpy mirrors bytes five times as fast as torch
        for position in flips.nonzero().flatten().tolist():
            pictures[position] = pictures[position, :, :, ::-1].copy()
        return normalise(crops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser:
    """8-bit crops -> what the backbone expects: (x / 255 - mean) / std."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, preprocess: Preprocess, device: torch.device) -> "Normaliser":
        """Build from a backbone's preprocessing."""
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
        return cls(mean=mean, std=std)

    def __call__(self, crops: Tensor) -> Tensor:
        """(batch, 3, size, size) uint8 -> float32 on the backbone's device."""
        # in place: on a processor the same bits six times as fast, because nothing new is allocated
        return crops.to(self.mean.device).float().div_(255).sub_(self.mean).div_(self.std)

    def batches(self, pixels: PixelSet, size: int) -> Iterator[Tensor]:
        """Normalised batches in order."""
        for start in range(0, len(pixels), size):
            yield self(pixels.crops[start : start + size])


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherImages:
    """Images without labels that a penalty sees, drawn with replacement and mirrored by a generator of their own."""

    pixels: PixelSet
    draws: torch.Generator

    def drawn(self, steps: int, size: int) -> tuple[Tensor, Tensor]:
        """Positions and flips of one epoch, each (steps, size), where the crops lie."""
        positions = torch.randint(len(self.pixels), (steps, size), generator=self.draws)
        flips = torch.rand((steps, size), generator=self.draws) < FLIPPED
        return positions.to(self.pixels.device), flips.to(self.pixels.device)


@dataclass(slots=True, kw_only=True)
class Optimisation:
    """All that changes while a cell trains, besides the model: what a checkpoint must hold.

    ``order`` draws the order of images, ``flips`` the horizontal flips; dropout draws from torch's global generator,
    which nothing else uses while a cell trains. ``loss_of_batches``: an epoch's loss is the mean over batches, where
    images of a smaller last one weigh more; else the mean over images. ``scaler``: of the loss, which makes the
    arithmetic float16. ``step_by``: what takes the steps; None = plain ones. ``penalised``, ``others``: what the method
    adds to the loss, and the images of its own that it sees.
    """

    optimizer: torch.optim.Optimizer
    peak_lr: float
    total_steps: int
    warmup_fraction: float
    clip_norm: float
    batch_size: int
    bfloat16: bool
    scaler: torch.amp.GradScaler | None = None
    warmup_from_zero: bool = False
    loss_of_batches: bool = False
    order: torch.Generator
    flips: torch.Generator
    step: int = 0
    step_by: Step | None = None
    penalised: Penalised | None = None
    others: OtherImages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPart:
    """What the first steps of an epoch gave, when it was left after them: all of it that `Optimisation` does not hold.

    Attributes
    ----------
    losses, hits, finite : (steps,) each, of what :class:`StepResult` names.
    """

    losses: Tensor
    hits: Tensor
    finite: Tensor

    def __len__(self) -> int:
        """Steps that were taken."""
        return len(self.losses)

    @classmethod
    def of(cls, results: list[StepResult]) -> "EpochPart":
        """Gather the results of at least one step, on the processor: an accelerator is waited for."""
        losses, hits, finite = (torch.stack(list(values)).cpu() for values in zip(*results, strict=True))
        return cls(losses=losses, hits=hits, finite=finite)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """Means over the epoch's augmented batches.

    ``diverged_at`` is the first step (1-based) whose loss or gradient was not finite; the means are NaN then, and the
    model is of no use. None = all were finite. ``part`` is what all steps gave.
    """

    loss: float
    acc_pct: float
    part: EpochPart = field(repr=False, compare=False)
    diverged_at: int | None = None

    @property
    def diverged(self) -> bool:
        """Whether a loss or gradient was not finite."""
        return self.diverged_at is not None


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Steps per epoch; the last batch may be smaller."""
    return -(-n // batch_size)


def train_epoch(
    logits: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    images: TrainingImages,
    normalise: Normaliser,
    run: Optimisation,
    *,
    part: EpochPart | None = None,
    leave: Callable[[], bool] = lambda: False,
) -> EpochResult | EpochPart:
    """One pass over the training set in random order with random horizontal flips; advances `run`.

    Nothing of a step is read before the epoch ends, so that an accelerator never waits for the processor; on a
    processor, where reading is free, the epoch ends at the first step that is not finite.

    Parameters
    ----------
    part : steps that were taken before, by a process that left this epoch; `run` is as it was after them, but ``order``
        and ``flips``, which are as they were at its start: the same order is drawn again.
    leave : asked after every step; if true the epoch is left, and what its steps gave is returned.
    """
    order = torch.randperm(len(images), generator=run.order)
    flips = torch.rand(len(images), generator=run.flips) < FLIPPED
    order_there, flips_there = order.to(images.device), flips.to(images.device)
    shuffled = images.labels[order].to(normalise.mean.device)
    step = run.step_by or PlainStep(
        logits,
        parameters,
        run.optimizer,
        clip_norm=run.clip_norm,
        bfloat16=run.bfloat16,
        scaler=run.scaler,
        penalised=run.penalised,
    )
    steps = steps_per_epoch(len(images), run.batch_size)
    drawn = None if run.others is None else run.others.drawn(steps, run.batch_size)
    results: list[StepResult] = []
    before = len(part or ())
    for number, start in enumerate(range(before * run.batch_size, len(images), run.batch_size), start=before):
        chosen = slice(start, start + run.batch_size)
        x = images.inputs(order_there[chosen], flips_there[chosen], normalise)
        labels = shuffled[chosen]
        if run.others is not None and drawn is not None:
            positions, mirrored = (values[number, : len(labels)] for values in drawn)
            x = with_others(x, run.others.pixels.inputs(positions, mirrored, normalise))
        factor = lr_factor(run.step, run.total_steps, run.warmup_fraction, from_zero=run.warmup_from_zero)
        set_lr(run.optimizer, run.peak_lr * factor)
        result = step(x, labels)
        results.append(result)
        if x.device.type == "cpu" and not result.finite:
            break
        run.step += 1
        if leave():
            return _joined(part, results)
    taken = _joined(part, results)
    broken = (~taken.finite).nonzero()
    if len(broken):
        return EpochResult(loss=float("nan"), acc_pct=float("nan"), part=taken, diverged_at=int(broken[0]) + 1)
    shares = [1 if run.loss_of_batches else len(batch) for batch in torch.split(order, run.batch_size)]
    total = float((taken.losses.double() * torch.tensor(shares)).sum())
    return EpochResult(loss=total / sum(shares), acc_pct=100 * int(taken.hits.sum()) / len(images), part=taken)


def _joined(part: EpochPart | None, results: list[StepResult]) -> EpochPart:
    if part is None or not results:
        return part or EpochPart.of(results)
    new = EpochPart.of(results)
    return EpochPart(
        losses=torch.cat([part.losses, new.losses]),
        hits=torch.cat([part.hits, new.hits]),
        finite=torch.cat([part.finite, new.finite]),
    )
