"""run_cell: data + model + loop + probes -> the record of one run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from msgspec import UNSET
from numpy.typing import NDArray

from heatdrift.chance import ZeroShotBase
from heatdrift.errors import TrainError
from heatdrift.image_results import ImageResults
from heatdrift.model.adapt import AdaptedModel, adapt
from heatdrift.model.backbone import Backbone
from heatdrift.plan.between import parent_cell
from heatdrift.plan.unlabelled import seen_by
from heatdrift.probes.collector import Measured
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.provenance import utc_now
from heatdrift.records import (
    AdapterChecks,
    Cell,
    Provenance,
    RobustnessRecord,
    RunRecord,
    Status,
    TransferRecord,
)
from heatdrift.train.between_course import run_between
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.course import run_course
from heatdrift.train.frozen import FrozenData, frozen_accuracy_pct
from heatdrift.train.resources import Resources, TargetData, TransferData
from heatdrift.train.schedule import derived_seed
from heatdrift.train.selected_state import SelectedState

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CellOutcome:
    """Record of a run and the arrays that lie next to it.

    Attributes
    ----------
    hits : results of every image of the transfer sets, under the names of ``image_results.py``.
    gallery : class-row and rollout attention maps of a few probe images, base and adapted, float16, with the positions
        and hashes of the images; no pixels.
    """

    record: RunRecord
    hits: Arrays
    gallery: Arrays

    def __repr__(self) -> str:
        cell, n = self.record.cell, max((entry.epoch for entry in self.record.epochs), default=0)
        what = f"{cell.dataset}, {cell.method}, lr {cell.lr:g}, seed {cell.seed}"
        return f"CellOutcome({self.record.status}: {what}; {n} epoch{'' if n == 1 else 's'})"


def run_cell(
    cell: Cell,
    *,
    study: str,
    resources: Resources,
    provenance: Provenance,
    checkpoint: Checkpoint | None = None,
    on_base: Callable[[str, ZeroShotBase], object] = lambda _transfer_set, _base: None,
    on_epoch: Callable[[int], None] = lambda _epoch: None,
    on_selected: Callable[[Backbone, AdaptedModel], object] = lambda _backbone, _model: None,
    parent_state: SelectedState | None = None,
    on_trained: Callable[[Cell, SelectedState], object] = lambda _cell, _state: None,
) -> CellOutcome:
    """Train and measure one cell; of METHOD@ALPHA what its parent trained, which is trained here if it is not given.

    A loss, gradient or attention that is not finite ends the run with status ``diverged`` and keeps the epochs before
    it; a method that had no part in the result ends it as ``failed``. Nothing is written but the `checkpoint`, from
    which a killed run goes on to the same numbers: the caller stores the outcome. `on_base` is called before training
    with the base's accuracy on each transfer set, `on_epoch` after each epoch (1-based); `on_selected` is given the
    backbone and the model of the selected epoch, `on_trained` the cell that was trained (a parent, where that was) and
    its state.

    Raises
    ------
    DataError, ModelError : images or weights are missing, damaged or not the planned ones.
    """
    started, clock = utc_now(), time.perf_counter()
    recipe, spec = cell.recipe, cell.method_spec
    if recipe is None or spec is None:
        raise TrainError(f"cell {cell.cell_id} has no recipe; it was imported and cannot be trained here")
    data = resources.target(cell.dataset)
    transfers = [resources.transfer(plan) for plan in cell.transfer]
    corrupted = {plan.name: resources.corrupted(cell.dataset, plan) for plan in cell.corruptions or ()}
    for transfer in transfers:
        on_base(transfer.plan.name, transfer.base)
    model = adapt(
        resources.backbone,
        spec,
        len(data.class_names),
        classifier_seed=derived_seed(cell.seed, "classifier"),
        adapter_seed=derived_seed(cell.seed, "adapters"),
        classifier_init=recipe.classifier_init,
    )
    trainable, parent = sum(p.numel() for p in model.trained()), parent_cell(cell)
    if parent is None:
        course = run_course(cell, recipe, model, data, transfers, resources, checkpoint=checkpoint, on_epoch=on_epoch)
        if course.selected is not None and course.problem is None:
            kept = SelectedState(epoch=course.selected.epoch, precision=course.precision, state=course.selected.state)
            on_trained(cell, kept)
    else:
        assert spec.alpha is not UNSET
        course, model = run_between(
            spec.alpha,
            parent,
            recipe,
            model,
            data,
            transfers,
            resources,
            kept=parent_state,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
            on_trained=on_trained,
        )
    selected = course.selected
    common = RunRecord(
        study=study,
        cell_id=cell.cell_id,
        status="diverged",
        cell=cell,
        trainable_params=trainable,
        total_params=_total_params(resources, model),
        n_train=len(data.train),
        n_val=len(data.val),
        n_test=None if data.test is None else len(data.test),
        n_probe=len(data.probe),
        epochs=tuple(course.history),
        provenance=msgspec.structs.replace(
            provenance,
            device=str(resources.device),
            threads=torch.get_num_threads(),
            precision=course.precision,
            eval_precision="bfloat16" if resources.eval_bfloat16 else "float32",
            deterministic=resources.device.type == "cpu" or torch.are_deterministic_algorithms_enabled(),
            split_sha256=data.split_sha256,
            class_names={cell.dataset: data.class_names, **{t.plan.name: t.class_names for t in transfers}},
            preprocess=resources.backbone.preprocess,
            sources=resources.sources_of(cell.dataset, _further_sources(cell)),
            resumed_after=tuple(course.resumed_after),
        ),
        started_at=started,
    )
    if course.problem is not None or selected is None:
        wall_s = course.earlier_s + time.perf_counter() - clock
        record = msgspec.structs.replace(common, error=course.problem, finished_at=utc_now(), wall_s=wall_s)
        return CellOutcome(record=record, hits={}, gallery={})
    model.restore(selected.state)
    on_selected(resources.backbone, model)
    checks = _adapter_checks(model, data, selected.measured, resources)
    status, error = _judge(cell, checks)
    frozen = resources.fast.frozen(cell, model, course.precision)
    hits = _final_hits(None if frozen and frozen.whole else model, transfers, resources)
    record = msgspec.structs.replace(
        common,
        status=status,
        error=error,
        selected_epoch=selected.epoch,
        test_acc_pct=_test_accuracy(model, data, frozen, resources),
        transfer=tuple(
            TransferRecord(
                transfer_set=t.plan.name,
                n_images=len(t.pixels),
                base_pct=hit_pct(t.base_hits),
                adapted_pct=hit_pct(hits[f"{t.plan.name}/adapted"].astype(bool)),
                n_classes=len(t.class_names),
            )
            for t in transfers
        ),
        robustness=tuple(
            RobustnessRecord(corruption=name, acc_pct=resources.evaluation.accuracy_pct(model, pixels))
            for name, pixels in corrupted.items()
        ),
        checks=checks,
        finished_at=utc_now(),
        wall_s=course.earlier_s + time.perf_counter() - clock,
    )
    return CellOutcome(record=record, hits=hits, gallery=_gallery(data, selected.measured))


def _adapter_checks(
    model: AdaptedModel, data: TargetData, measured: Measured, resources: Resources
) -> AdapterChecks | None:
    if not model.family.checked:
        return None
    with model.family.switched_off(model.visual, resources.backbone.visual):
        off = resources.measure(model.visual, data.probe, keep=0).pooled
    return AdapterChecks(
        live_max_diff=float((measured.pooled - data.base.pooled).abs().max()),
        off_max_diff=float((off - data.base.pooled).abs().max()),
    )


def _judge(cell: Cell, checks: AdapterChecks | None) -> tuple[Status, str | None]:
    """A run whose method had no part in its measurements must not count as done; at lr 0 it cannot have."""
    if checks is None or (checks.off_equals_base and (checks.live or cell.lr == 0)):
        return "done", None
    if not checks.off_equals_base:
        return (
            "failed",
            f"the tower without its method differs from base by {checks.off_max_diff:.3g} (limit 1e-5)",
        )
    return "failed", "the method does not change the tower's output: what it trains was not trained or not used"


def _test_accuracy(
    model: AdaptedModel, data: TargetData, frozen: FrozenData | None, resources: Resources
) -> float | None:
    if data.test is None:
        return None
    if frozen is not None and frozen.test is not None:
        return frozen_accuracy_pct(model, frozen, frozen.test, data.test.labels, resources.evaluation)
    return resources.evaluation.accuracy_pct(model, data.test)


def _further_sources(cell: Cell) -> tuple[str, ...]:
    """Names of what a cell reads besides its train and test images: transfer, corrupted and unlabelled ones."""
    given = (f"{cell.dataset}/{plan.name}" for plan in cell.corruptions or () if plan.data_sha256 is not None)
    held = () if cell.unlabelled_sha256 is None or cell.method_spec is None else (seen_by(cell.method_spec),)
    return (*(plan.name for plan in cell.transfer), *given, *(f"unlabelled/{name}" for name in held))


def _final_hits(model: AdaptedModel | None, transfers: list[TransferData], resources: Resources) -> Arrays:
    """Results of every image of the transfer sets; `model` None: its tower is the base's, and so are its classes."""
    found: Arrays = {}
    for transfer in transfers:
        label = transfer.pixels.labels.numpy()
        if model is None:
            predicted = transfer.base_class
        else:
            predicted = resources.evaluation.classes(model.visual, transfer.pixels, transfer.text)
        kept = ImageResults(
            base=transfer.base_hits,
            adapted=predicted == label,
            label=label,
            base_class=transfer.base_class,
            adapted_class=predicted,
            class_names=transfer.class_names,
            images=transfer.images,
        )
        found |= kept.arrays(transfer.plan.name)
    return found


def _gallery(data: TargetData, adapted: Measured) -> Arrays:
    return {
        "positions": data.gallery,
        "sha256": np.array(data.gallery_sha256),
        "base_class": data.base.class_maps.numpy(),
        "base_rollout": data.base.rollout_maps.numpy(),
        "adapted_class": adapted.class_maps.numpy(),
        "adapted_rollout": adapted.rollout_maps.numpy(),
    }


def _total_params(resources: Resources, model: AdaptedModel) -> int:
    """Parameters of the whole CLIP with adapters and classifier."""
    text = [p for name, p in resources.backbone.clip.named_parameters() if not name.startswith("visual.")]
    return sum(p.numel() for p in (*text, *model.visual.parameters(), *model.classifier.parameters()))
