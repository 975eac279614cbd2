"""The epochs of one cell: train, measure, keep the best; with a checkpoint, go on where a stopped run was."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from heatdrift.errors import ProbeError
from heatdrift.model.adapt import AdaptedModel
from heatdrift.probes.collector import Measured
from heatdrift.probes.compare import probe_values
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.probes.weights import weight_probes
from heatdrift.records import Cell, EpochRecord, Recipe
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.course_state import Course, EpochStart, Selected, complete, resume, state_of
from heatdrift.train.frozen import frozen_accuracy_pct
from heatdrift.train.interrupt import Interrupted
from heatdrift.train.loop import EpochPart, Optimisation, OtherImages, steps_per_epoch, train_epoch
from heatdrift.train.penalty import penalised
from heatdrift.train.precision import Precision
from heatdrift.train.resources import Resources, TargetData, TransferData
from heatdrift.train.schedule import derived_seed
from heatdrift.train.step import PlainStep, StepKind, adamw, loss_scaler, make_step


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
    measurements. An interruption leaves after the present step or batch, and a checkpoint then holds that step.

    Raises
    ------
    Interrupted : by the interruption of `resources`.
    """
    clock = time.perf_counter()
    kept = complete(checkpoint.read()) if checkpoint else None
    precision: Precision = resources.fast.precision(recipe) if kept is None else kept["precision"]
    frozen = resources.fast.frozen(cell, model, precision)
    kind: StepKind = "plain" if frozen is not None else resources.fast.step(cell, recipe, model, precision)
    run = _optimisation(cell, recipe, model, data, resources, precision, kind)
    torch.manual_seed(derived_seed(cell.seed, "dropout"))
    tracked = transfers[0] if transfers and len(transfers[0].track) else None
    track = None if tracked is None else hit_pct(tracked.base_hits[tracked.track])
    course = Course(history=[epoch_record(0, data.base, data.base, model, resources, track=track)])
    course.precision = precision
    part = None if kept is None else resume(kept, course, model, run, data, resources)
    logits, images = (model.logits, data.train) if frozen is None else (frozen.logits(model), frozen.train)
    steps = steps_per_epoch(len(data.train), recipe.batch_size)
    interruption = resources.interruption
    written = True  # whether the checkpoint holds all that there is

    def state(start: EpochStart, taken: EpochPart | None = None) -> dict[str, Any]:
        elapsed_s = course.earlier_s + time.perf_counter() - clock
        return state_of(course, model, run, elapsed_s, start=start, part=taken)

    def left(epoch: int, start: EpochStart, taken: EpochPart | None, *, write: bool) -> Interrupted:
        if checkpoint and write:
            checkpoint.write(state(start, taken))
        assert interruption.reason is not None
        return Interrupted(interruption.reason, f"in epoch {epoch}, after step {len(taken or ())} of {steps}")

    for epoch in range(len(course.history), recipe.epochs + 1):
        start = EpochStart.of(run)
        try:
            interruption.check()
        except Interrupted as interrupted:
            raise left(epoch, start, part, write=not written) from interrupted
        model.train_mode(on=True)
        leave = interruption.requested
        result = train_epoch(logits, model.trained(), images, resources.normalise, run, part=part, leave=leave)
        model.train_mode(on=False)
        if isinstance(result, EpochPart):
            raise left(epoch, start, result, write=True)
        part = None
        if result.diverged:
            course.problem = f"loss or gradient not finite in epoch {epoch}, step {result.diverged_at} of {steps}"
            return course
        try:
            if frozen is None:
                val = resources.evaluation.accuracy_pct(model, data.val)
            else:
                val = frozen_accuracy_pct(model, frozen, frozen.val, data.val.labels, resources.evaluation)
            if frozen is not None and frozen.whole:
                measured = data.base
            else:
                measured = resources.measure(model.visual, data.probe, len(data.gallery), data.probe_groups)
                track = None
                if tracked is not None:
                    classes = resources.evaluation.classes(model.visual, tracked.tracked, tracked.text)
                    track = hit_pct(classes == tracked.tracked.labels.numpy())
        except ProbeError as error:  # the last step blew up: its loss was finite, the model is not
            course.problem = f"not measurable after epoch {epoch}: {error.message}"
            return course
        except Interrupted as interrupted:  # its steps are kept, and what was measured is measured again
            raise left(epoch, start, result.part, write=True) from interrupted
        record = epoch_record(epoch, data.base, measured, model, resources, track=track)
        course.history.append(
            msgspec.structs.replace(record, train_loss=result.loss, train_acc_pct=result.acc_pct, val_acc_pct=val)
        )
        if course.selected is None or val > course.selected.val_acc_pct:
            course.selected = Selected(epoch=epoch, val_acc_pct=val, state=model.trained_state(), measured=measured)
        on_epoch(epoch)
        written = checkpoint is not None and checkpoint.due
        if checkpoint and written:
            checkpoint.write(state(EpochStart.of(run)))
    if checkpoint and not written:
        checkpoint.unwritten = state(EpochStart.of(run))
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
    scaler = loss_scaler(model.classifier.weight.device) if precision == "float16" else None
    plain = PlainStep(
        model.logits,
        parameters,
        optimizer,
        clip_norm=recipe.clip_norm,
        bfloat16=precision == "bfloat16",
        scaler=scaler,
        penalised=held,
    )
    return Optimisation(
        optimizer=optimizer,
        step_by=None if kind == "plain" else make_step(kind, plain, recipe.batch_size, model.blocks),
        peak_lr=cell.lr,
        total_steps=recipe.epochs * steps_per_epoch(len(data.train), recipe.batch_size),
        warmup_fraction=recipe.warmup_fraction,
        clip_norm=recipe.clip_norm,
        batch_size=recipe.batch_size,
        bfloat16=precision == "bfloat16",
        scaler=scaler,
        warmup_from_zero=recipe.warmup == "from_zero",
        loss_of_batches=recipe.loss_mean == "batches",
        order=torch.Generator().manual_seed(derived_seed(cell.seed, "order")),
        flips=torch.Generator().manual_seed(derived_seed(cell.seed, "flips")),
        penalised=held,
        others=None
        if others is None
        else OtherImages(pixels=others, draws=torch.Generator().manual_seed(derived_seed(cell.seed, "unlabelled"))),
    )


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
