"""One run of the reference study -> its heatdrift record.

Fractions become percent, per-layer lists become the probes' layers, the baseline becomes epoch 0.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from heatdrift.chance import KNOWN_CLASSES
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods import METHODS
from heatdrift.records import (
    Cell,
    EpochRecord,
    Provenance,
    Recipe,
    RobustnessRecord,
    RunRecord,
    SplitSizes,
    TransferPlan,
    TransferRecord,
)
from heatdrift.store.importers.lr_levels import lr_levels
from heatdrift.store.importers.reference_format import Epoch, ReferenceRun
from heatdrift.store.importers.values import is_missing

BACKBONES: Final = {
    "openai/clip-vit-base-patch32": "ViT-B-32-quickgelu/openai",
    "openai/clip-vit-base-patch16": "ViT-B-16-quickgelu/openai",
}
# the study's name of a method -> ours where they differ: its last_block leaves the projection trainable, ours does not
RENAMED: Final = {"last_block": "last_block_proj"}
UNSTATED: Final = ("warmup_fraction", "clip_norm", "requested_precision", "prompt_template")  # by a reference run
TRACK_IMAGES: Final = 1000  # protocol leakfree: the tracking subset, of the first transfer set


def reference_record(run: ReferenceRun, study: str) -> RunRecord:
    """Return the heatdrift record of one reference run; UnknownNameError for an unknown model or method."""
    cell = _cell(run)
    return RunRecord(
        study=study,
        cell_id=cell.cell_id,
        origin="reference",
        status="diverged" if run.diverged else "done",
        cell=cell,
        trainable_params=run.parameters.trainable,
        total_params=run.parameters.total,
        selected_epoch=run.selected_epoch,
        test_acc_pct=_pct(run.test_acc),
        n_train=run.config.splits.get("train"),
        n_val=run.config.splits.get("val"),
        n_test=run.config.splits.get("test"),
        n_probe=run.config.splits.get("probe"),
        epochs=tuple(_epochs(run)),
        transfer=tuple(
            TransferRecord(
                transfer_set=name,
                n_images=t.n_images,
                base_pct=100 * t.pretrained,
                adapted_pct=100 * t.accuracy,
                n_classes=KNOWN_CLASSES.get(name),
            )
            for name, t in run.transfer.items()
        ),
        robustness=tuple(RobustnessRecord(corruption=n, acc_pct=100 * acc) for n, acc in run.corruption_acc.items()),
        provenance=Provenance(
            commit=run.environment.get("commit"),
            packages={name: version for name, version in run.environment.items() if name != "commit"},
            device=run.config.device,
            source=f"reference run {run.run_id}" + (f", tag {run.config.tag}" if run.config.tag else ""),
            unstated=UNSTATED,
        ),
        wall_s=run.runtime_seconds,
    )


def _cell(run: ReferenceRun) -> Cell:
    config = run.config
    if config.model_name not in BACKBONES:
        raise UnknownNameError("model_name", config.model_name, BACKBONES)
    method = RENAMED.get(config.method, config.method)
    if method not in METHODS:
        raise UnknownNameError("method", config.method, METHODS)
    if is_missing(config.dataset):
        raise StudyError(f"config.dataset is {config.dataset!r}, which is no name", hint="correct the file")
    return Cell(
        backbone=BACKBONES[config.model_name],
        backbone_sha256=None,
        dataset=config.dataset,
        data_sha256=None,
        protocol="leakfree",
        method=method,
        method_spec=METHODS[method],
        lr=lr_levels([config.lr]).get(config.lr, config.lr),
        seed=config.seed,
        recipe=Recipe(
            epochs=config.epochs,
            batch_size=config.batch_size,
            weight_decay=config.weight_decay,
            data_seed=None,
            sizes=SplitSizes(
                train=_per_class(run, "train"), val=_per_class(run, "val"), probe=_per_class(run, "probe")
            ),
        ),
        transfer=tuple(
            TransferPlan(name=name, data_sha256=None, n_images=t.n_images, track=TRACK_IMAGES if first else None)
            for first, (name, t) in zip((True, *[False] * len(run.transfer)), run.transfer.items(), strict=False)
        ),
    )


def _per_class(run: ReferenceRun, split: str) -> int | None:
    """Return images per class of a split, or None where the classes cannot have equally many."""
    total, classes = run.config.splits.get(split), run.config.num_classes
    return total // classes if total is not None and total % classes == 0 else None


def _epochs(run: ReferenceRun) -> Iterator[EpochRecord]:
    base = run.baseline.attention
    yield EpochRecord(
        epoch=0,
        track_zero_shot_pct=_pct(run.baseline.transfer_track_acc),
        means={"entropy": base.entropy_mean, "erf95": base.erf95_mean, "gini": base.gini_mean},
        layers={"entropy": base.entropy_per_layer, "erf95": base.erf95_per_layer, "gini": base.gini_per_layer},
    )
    for epoch in run.history:
        yield _final_epoch(run, epoch) if run.final and epoch.epoch == run.selected_epoch else _history_epoch(epoch)


def _history_epoch(epoch: Epoch) -> EpochRecord:
    return EpochRecord(
        epoch=epoch.epoch,
        train_loss=epoch.train_loss,
        train_acc_pct=_pct(epoch.train_acc),
        val_acc_pct=_pct(epoch.val_acc),
        track_zero_shot_pct=_pct(epoch.transfer_track_acc),
        means={
            "entropy": epoch.entropy_mean,
            "erf95": epoch.erf95_mean,
            "gini": epoch.gini_mean,
            "cka": epoch.cka_mean,
            "embedding_drift": epoch.embedding_drift,
            "weight_drift": epoch.weight_drift_rel,
        },
        layers={"entropy": epoch.entropy_per_layer} if epoch.entropy_per_layer else {},
    )


def _final_epoch(run: ReferenceRun, epoch: Epoch) -> EpochRecord:
    """Return the selected epoch: training columns from the history, probes from `final`, which alone has all layers."""
    final = run.final
    assert final is not None
    at = final.attention
    return msgspec.structs.replace(
        _history_epoch(epoch),
        val_acc_pct=_pct(run.best_val_acc),
        means={
            "entropy": at.entropy_mean,
            "erf95": at.erf95_mean,
            "gini": at.gini_mean,
            "cka": final.cka_mean,
            "embedding_drift": final.embedding_drift,
            "weight_drift": final.weight_drift_rel,
        },
        layers={
            "entropy": at.entropy_per_layer,
            "erf95": at.erf95_per_layer,
            "gini": at.gini_per_layer,
            "cka": final.cka_per_layer,
        },
    )


def _pct(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction
