"""The course of a cell of METHOD@ALPHA: its parent's selected epoch, drawn back towards the base and measured."""

import copy
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor, nn

from heatdrift.errors import ProbeError
from heatdrift.methods.families.full import Full
from heatdrift.model.adapt import AdaptedModel
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.records import Cell, Recipe
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.course import epoch_record, run_course
from heatdrift.train.course_state import Course, Selected
from heatdrift.train.resources import Resources, TargetData, TransferData
from heatdrift.train.selected_state import SelectedState


def drawn_back(base: nn.Module, merged: dict[str, Tensor], alpha: float) -> nn.Module:
    """A tower at `alpha` between the base and merged weights of the same names; at 0 and 1 exactly those."""
    tower = copy.deepcopy(base)
    with torch.no_grad():
        for name, tensor in tower.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.lerp(tensor, merged[name].to(tensor.device), alpha))
    return tower


def run_between(
    alpha: float,
    parent: Cell,
    recipe: Recipe,
    model: AdaptedModel,
    data: TargetData,
    transfers: list[TransferData],
    resources: Resources,
    *,
    kept: SelectedState | None,
    checkpoint: Checkpoint | None,
    on_epoch: Callable[[int], None],
    on_trained: Callable[[Cell, SelectedState], object],
) -> tuple[Course, AdaptedModel]:
    """Measure the model at `alpha`; the parent is trained where nothing of it is `kept`.

    The classifier is the parent's: it has no pretrained weights to go back to. The history has two entries, the base
    and the parent's selected epoch, which no accuracy of the model between selects anew.
    """
    course = Course(history=[])
    if kept is None:
        course = run_course(parent, recipe, model, data, transfers, resources, checkpoint=checkpoint, on_epoch=on_epoch)
        if course.selected is None or course.problem is not None:
            return course, model
        kept = SelectedState(epoch=course.selected.epoch, precision=course.precision, state=course.selected.state)
        on_trained(parent, kept)
    model.restore(kept.state)
    base = resources.backbone.visual
    tower = drawn_back(base, model.family.merged(model.visual), alpha)
    whole = Full()  # all of its own weights, no adapters: what is between is measured, exported and compared so
    whole.put_on(tower, 0)
    between = AdaptedModel(visual=tower, classifier=model.classifier, family=whole)
    between.train_mode(on=False)
    tracked = transfers[0] if transfers and len(transfers[0].track) else None
    before = None if tracked is None else hit_pct(tracked.base_hits[tracked.track])
    found = Course(
        history=[epoch_record(0, data.base, data.base, between, resources, track=before)],
        precision=kept.precision,
        earlier_s=course.earlier_s,
        resumed_after=course.resumed_after,
    )
    try:
        measured = resources.measure(tower, data.probe, len(data.gallery), data.probe_groups)
    except ProbeError as error:
        found.problem = f"not measurable at alpha {alpha:g}: {error.message}"
        return found, between
    track = None
    if tracked is not None:
        classes = resources.evaluation.classes(tower, tracked.tracked, tracked.text)
        track = hit_pct(classes == tracked.tracked.labels.numpy())
    val = resources.evaluation.accuracy_pct(between, data.val)
    record = epoch_record(kept.epoch, data.base, measured, between, resources, track=track)
    found.history.append(msgspec.structs.replace(record, val_acc_pct=val))
    found.selected = Selected(epoch=kept.epoch, val_acc_pct=val, state=between.trained_state(), measured=measured)
    return found, between
