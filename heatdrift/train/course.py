"""The epochs of one cell: train, measure, keep the best; with a checkpoint, go on where a killed run stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch
from torch import Tensor

from heatdrift.errors import ProbeError
from heatdrift.model.adapt import AdaptedModel
from heatdrift.probes.collector import Measured
from heatdrift.probes.compare import probe_values
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.probes.weights import weight_probes
from heatdrift.records import Cell, EpochRecord, Recipe
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.frozen import frozen_accuracy_pct
from heatdrift.train.loop import Optimisation, OtherImages, steps_per_epoch, train_epoch
from heatdrift.train.penalty import penalised
from heatdrift.train.precision import Precision
from heatdrift.train.resources import Resources, TargetData, TransferData
from heatdrift.train.schedule import derived_seed
from heatdrift.train.step import PlainStep, StepKind, adamw, load_state, make_step


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
    resumed_after : epochs after which a killed run went on.
    """

    history: list[EpochRecord]
    precision: Precision = "float32"
    selected: Selected | None = None
    problem: str | None = None
    earlier_s: float = 0.0
    resumed_after: list[int] = field(default_factory=list)


def run_course(
    cell: Cell,
    recipe: Recipe,
    model: AdaptedModel,
    data: TargetData,
    transfers: list[TransferData],
    resources: Resources,
    *,
    checkpoint: Checkpoint | None,
    on_epoch: Callable[[int], None],
) -> Course:
    """Train all epochs, measuring after each; `on_epoch` is called with each (1-based) before its checkpoint.

    What a method leaves as it is at the start of the tower is computed once; one that leaves all of it keeps the base's
    measurements.
    """
    clock = time.perf_counter()
    kept = checkpoint.read() if checkpoint else None
    precision: Precision = resources.fast.precision(recipe) if kept is None else kept["precision"]
    frozen = resources.fast.frozen(cell, model, precision)
    kind: StepKind = "plain" if frozen is not None else resources.fast.step(cell, recipe, model, precision)
    run = _optimisation(cell, recipe, model, data, resources, precision, kind)
    torch.manual_seed(derived_seed(cell.seed, "dropout"))
    tracked = transfers[0] if transfers and len(transfers[0].track) else None
    track = None if tracked is None else hit_pct(tracked.base_hits[tracked.track])
    course = Course(history=[epoch_record(0, data.base, data.base, model, resources, track=track)])
    course.precision = precision
    if kept is not None:
        _resume(kept, course, model, run, data, resources)
    for epoch in range(len(course.history), recipe.epochs + 1):
        model.train_mode(on=True)
        if frozen is None:
            result = train_epoch(model.logits, model.trained(), data.train, resources.normalise, run)
        else:
            result = train_epoch(frozen.logits(model), model.trained(), frozen.train, resources.normalise, run)
        model.train_mode(on=False)
        if result.diverged:
            steps = steps_per_epoch(len(data.train), recipe.batch_size)
            course.problem = f"loss or gradient not finite in epoch {epoch}, step {result.diverged_at} of {steps}"
            return course
        if frozen is None:
            val = resources.evaluation.accuracy_pct(model, data.val)
        else:
            val = frozen_accuracy_pct(model, frozen, frozen.val, data.val.labels, resources.evaluation)
        if frozen is not None and frozen.whole:
            measured = data.base
        else:
            try:
                measured = resources.measure(model.visual, data.probe, keep=len(data.gallery))
            except ProbeError as error:  # the last step blew up: its loss was finite, the model is not
                course.problem = f"not measurable after epoch {epoch}: {error.message}"
                return course
            track = None
            if tracked is not None:
                classes = resources.evaluation.classes(model.visual, tracked.tracked, tracked.text)
                track = hit_pct(classes == tracked.tracked.labels.numpy())
        record = epoch_record(epoch, data.base, measured, model, resources, track=track)
        course.history.append(
            msgspec.structs.replace(record, train_loss=result.loss, train_acc_pct=result.acc_pct, val_acc_pct=val)
        )
        if course.selected is None or val > course.selected.val_acc_pct:
            course.selected = Selected(epoch=epoch, val_acc_pct=val, state=model.trained_state(), measured=measured)
        on_epoch(epoch)
        if checkpoint:
            checkpoint.write(_state(course, model, run, course.earlier_s + time.perf_counter() - clock))
    return course


def _optimisation(
    cell: Cell,
    recipe: Recipe,
    model: AdaptedModel,
    data: TargetData,
    resources: Resources,
    precision: Precision,
    kind: StepKind,
) -> Optimisation:
    parameters, held = model.trained(), penalised(model, resources.backbone.visual)
    others = None if held is None else resources.unlabelled(cell)
    optimizer = adamw(
        parameters,
        lr=cell.lr,
        weight_decay=recipe.weight_decay,
        device=model.classifier.weight.device,
        captured=kind != "plain",
    )
    plain = PlainStep(
        model.logits,
        parameters,
        optimizer,
        clip_norm=recipe.clip_norm,
        bfloat16=precision == "bfloat16",
        penalised=held,
    )
    return Optimisation(
        optimizer=optimizer,
        step_by=None if kind == "plain" else make_step(kind, plain, recipe.batch_size),
        peak_lr=cell.lr,
        total_steps=recipe.epochs * steps_per_epoch(len(data.train), recipe.batch_size),
        warmup_fraction=recipe.warmup_fraction,
        clip_norm=recipe.clip_norm,
        batch_size=recipe.batch_size,
        bfloat16=precision == "bfloat16",
        scaler=torch.amp.GradScaler(model.classifier.weight.device.type) if precision == "float16" else None,
        warmup_from_zero=recipe.warmup == "from_zero",
        loss_of_batches=recipe.loss_mean == "batches",
        order=torch.Generator().manual_seed(derived_seed(cell.seed, "order")),
        flips=torch.Generator().manual_seed(derived_seed(cell.seed, "flips")),
        penalised=held,
        others=None
        if others is None
        else OtherImages(pixels=others, draws=torch.Generator().manual_seed(derived_seed(cell.seed, "unlabelled"))),
    )


def _state(course: Course, model: AdaptedModel, run: Optimisation, elapsed_s: float) -> dict[str, Any]:
    """All that the next epoch depends on, as tensors, numbers and text; measurements are taken again on resuming."""
    selected = course.selected
    assert selected is not None
    latest = selected.epoch == course.history[-1].epoch
    return {
        "model": selected.state if latest else model.trained_state(),
        "optimizer": run.optimizer.state_dict(),
        "precision": course.precision,
        "step": run.step,
        "scaler": None if run.scaler is None else run.scaler.state_dict(),
        "order": run.order.get_state(),
        "flips": run.flips.get_state(),
        "others": None if run.others is None else run.others.draws.get_state(),
        "dropout": torch.get_rng_state(),
        "dropout_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "history": msgspec.json.encode(course.history).decode(),
        "selected_epoch": selected.epoch,
        "selected_val_acc_pct": selected.val_acc_pct,
        "selected_model": selected.state,
        "elapsed_s": elapsed_s,
        "resumed_after": course.resumed_after,
    }


def _resume(
    kept: dict[str, Any],
    course: Course,
    model: AdaptedModel,
    run: Optimisation,
    data: TargetData,
    resources: Resources,
) -> None:
    """Put a state from :func:`_state` back; the selected epoch is measured again, which gives the same numbers."""
    course.history = msgspec.json.decode(kept["history"], type=list[EpochRecord])
    model.restore(kept["selected_model"])
    course.selected = Selected(
        epoch=kept["selected_epoch"],
        val_acc_pct=kept["selected_val_acc_pct"],
        state=model.trained_state(),
        measured=resources.measure(model.visual, data.probe, keep=len(data.gallery)),
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


def epoch_record(
    epoch: int, base: Measured, measured: Measured, model: AdaptedModel, resources: Resources, *, track: float | None
) -> EpochRecord:
    """What is measured of a model after an epoch, next to the base; `track`: zero-shot on the tracked images."""
    reference = resources.backbone.visual
    updates = model.family.updates(model.visual, reference)
    values = probe_values(base, measured, weights=weight_probes(reference, model.visual, updates))
    return EpochRecord(
        epoch=epoch, track_zero_shot_pct=track, means=values.means, layers=values.layers, heads=values.heads
    )
