"""run_cell: data + model + loop + probes -> the record of one run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatdrift.errors import ProbeError, TrainError
from heatdrift.model import lora
from heatdrift.model.adapt import AdaptedModel, adapt
from heatdrift.probes.collector import Measured
from heatdrift.probes.compare import probe_values
from heatdrift.probes.transfer import accuracy_pct as hit_pct
from heatdrift.probes.transfer import zero_shot_hits
from heatdrift.probes.weights import projection_drift, weight_drift
from heatdrift.provenance import utc_now
from heatdrift.records import (
    AdapterChecks,
    Cell,
    EpochRecord,
    Provenance,
    Recipe,
    RunRecord,
    Status,
    TransferRecord,
)
from heatdrift.train.loop import Optimisation, PixelSet, accuracy_pct, steps_per_epoch, train_epoch
from heatdrift.train.resources import Resources, TargetData, TransferData
from heatdrift.train.schedule import derived_seed

Hits = dict[str, NDArray[np.bool_]]
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutcome:
    """Record of a run and the arrays that lie beside it.

    Attributes
    ----------
    hits : "<transfer set>/base" and "/adapted": (n,) bool, in the order of the transfer set's images.
    gallery : class-row and rollout attention maps of a few probe images, base and adapted, float16, with the positions
        and hashes of the images; no pixels.
    """

    record: RunRecord
    hits: Hits
    gallery: Arrays


@dataclass(slots=True, kw_only=True)
class _Selected:
    """State of the earliest epoch with the highest validation accuracy so far."""

    epoch: int
    val_acc_pct: float
    state: dict[str, Tensor]
    measured: Measured


def run_cell(
    cell: Cell,
    *,
    study: str,
    resources: Resources,
    provenance: Provenance,
    on_epoch: Callable[[int], None] = lambda _epoch: None,
) -> CellOutcome:
    """Train and measure one cell.

    A loss, gradient or attention that is not finite ends the run with status ``diverged`` and keeps the epochs before
    it; adapters that had no part in the result end it as ``failed``. Nothing is written: the caller stores the outcome.

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
    model = adapt(
        resources.backbone,
        spec,
        len(data.class_names),
        classifier_seed=derived_seed(cell.seed, "classifier"),
        adapter_seed=derived_seed(cell.seed, "adapters"),
    )
    history, selected, problem = _train(cell, recipe, model, data, transfers, resources, on_epoch)
    common = RunRecord(
        study=study,
        cell_id=cell.cell_id,
        status="diverged",
        cell=cell,
        trainable_params=sum(p.numel() for p in model.trained()),
        total_params=_total_params(resources, model),
        n_train=len(data.train),
        n_val=len(data.val),
        n_test=None if data.test is None else len(data.test),
        n_probe=len(data.probe),
        epochs=tuple(history),
        provenance=msgspec.structs.replace(
            provenance,
            device=str(resources.device),
            threads=torch.get_num_threads(),
            precision=recipe.precision,
            split_sha256=data.split_sha256,
            class_names={cell.dataset: data.class_names, **{t.plan.name: t.class_names for t in transfers}},
            preprocess=resources.backbone.preprocess,
            sources=resources.sources_of(cell.dataset, (plan.name for plan in cell.transfer)),
        ),
        started_at=started,
    )
    if problem is not None or selected is None:
        record = msgspec.structs.replace(
            common, error=problem, finished_at=utc_now(), wall_s=time.perf_counter() - clock
        )
        return CellOutcome(record=record, hits={}, gallery={})
    model.restore(selected.state)
    checks = _adapter_checks(model, data, selected.measured, resources)
    status, error = _judge(cell, checks)
    hits = _final_hits(model, transfers, resources)
    record = msgspec.structs.replace(
        common,
        status=status,
        error=error,
        selected_epoch=selected.epoch,
        test_acc_pct=None if data.test is None else accuracy_pct(model.logits, data.test, resources.normalise),
        transfer=tuple(
            TransferRecord(
                transfer_set=t.plan.name,
                n_images=len(t.pixels),
                base_pct=hit_pct(t.base_hits),
                adapted_pct=hit_pct(hits[f"{t.plan.name}/adapted"]),
            )
            for t in transfers
        ),
        checks=checks,
        finished_at=utc_now(),
        wall_s=time.perf_counter() - clock,
    )
    return CellOutcome(record=record, hits=hits, gallery=_gallery(data, selected.measured))


def _train(
    cell: Cell,
    recipe: Recipe,
    model: AdaptedModel,
    data: TargetData,
    transfers: list[TransferData],
    resources: Resources,
    on_epoch: Callable[[int], None],
) -> tuple[list[EpochRecord], _Selected | None, str | None]:
    """Train all epochs, measuring after each; a run that diverged has a shorter history and says where."""
    parameters = model.trained()
    run = Optimisation(
        optimizer=torch.optim.AdamW(parameters, lr=cell.lr, betas=(0.9, 0.999), weight_decay=recipe.weight_decay),
        peak_lr=cell.lr,
        total_steps=recipe.epochs * steps_per_epoch(len(data.train), recipe.batch_size),
        warmup_fraction=recipe.warmup_fraction,
        clip_norm=recipe.clip_norm,
        batch_size=recipe.batch_size,
        bfloat16=recipe.precision == "bfloat16",
        order=torch.Generator().manual_seed(derived_seed(cell.seed, "order")),
        flips=torch.Generator().manual_seed(derived_seed(cell.seed, "flips")),
    )
    torch.manual_seed(derived_seed(cell.seed, "dropout"))
    tracked = transfers[0] if transfers and len(transfers[0].track) else None
    track = None if tracked is None else hit_pct(tracked.base_hits[tracked.track])
    history = [_epoch_record(0, data.base, data.base, model, resources, track=track)]
    selected: _Selected | None = None
    for epoch in range(1, recipe.epochs + 1):
        model.train_mode(on=True)
        result = train_epoch(model.logits, parameters, data.train, resources.normalise, run)
        model.train_mode(on=False)
        if result.diverged:
            return history, selected, f"loss or gradient not finite in epoch {epoch}"
        val = accuracy_pct(model.logits, data.val, resources.normalise)
        try:
            measured = resources.measure(model.visual, data.probe, keep=len(data.gallery))
        except ProbeError as error:  # the last step blew up: its loss was finite, the model is not
            return history, selected, f"not measurable after epoch {epoch}: {error.message}"
        track = None if tracked is None else hit_pct(_hits(model, tracked.tracked, tracked, resources))
        record = _epoch_record(epoch, data.base, measured, model, resources, track=track)
        history.append(
            msgspec.structs.replace(record, train_loss=result.loss, train_acc_pct=result.acc_pct, val_acc_pct=val)
        )
        if selected is None or val > selected.val_acc_pct:
            selected = _Selected(epoch=epoch, val_acc_pct=val, state=model.trained_state(), measured=measured)
        on_epoch(epoch)
    return history, selected, None


def _epoch_record(
    epoch: int, base: Measured, measured: Measured, model: AdaptedModel, resources: Resources, *, track: float | None
) -> EpochRecord:
    reference = resources.backbone.visual
    values = probe_values(
        base,
        measured,
        weight=weight_drift(reference, model.visual, lora.adapter_updates(model.visual)),
        projection=projection_drift(reference, model.visual),
    )
    return EpochRecord(
        epoch=epoch, track_zero_shot_pct=track, means=values.means, layers=values.layers, heads=values.heads
    )


def _adapter_checks(
    model: AdaptedModel, data: TargetData, measured: Measured, resources: Resources
) -> AdapterChecks | None:
    if not lora.adapters(model.visual):
        return None
    with lora.adapters_disabled(model.visual):
        off = resources.measure(model.visual, data.probe, keep=0).pooled
    return AdapterChecks(
        live_max_diff=float((measured.pooled - data.base.pooled).abs().max()),
        off_max_diff=float((off - data.base.pooled).abs().max()),
    )


def _judge(cell: Cell, checks: AdapterChecks | None) -> tuple[Status, str | None]:
    """A run whose adapters had no part in its measurements must not count as done; at lr 0 they cannot have."""
    if checks is None or (checks.off_equals_base and (checks.live or cell.lr == 0)):
        return "done", None
    if not checks.off_equals_base:
        return "failed", f"tower without adapters differs from base by {checks.off_max_diff:.3g} (limit 1e-5)"
    return "failed", "adapters do not change the tower's output: they were not trained or not used"


def _hits(model: AdaptedModel, pixels: PixelSet, transfer: TransferData, resources: Resources) -> NDArray[np.bool_]:
    return zero_shot_hits(model.visual, resources.normalise.batches(pixels), pixels.labels.numpy(), transfer.text)


def _final_hits(model: AdaptedModel, transfers: list[TransferData], resources: Resources) -> Hits:
    found: Hits = {}
    for transfer in transfers:
        found[f"{transfer.plan.name}/base"] = transfer.base_hits
        found[f"{transfer.plan.name}/adapted"] = _hits(model, transfer.pixels, transfer, resources)
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
