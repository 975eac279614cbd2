"""Import of the reference study's run records (one JSON per run) as heatdrift records.

Fractions become percent, per-layer lists become the probes' layers, the baseline becomes epoch 0. Drifts and retentions
are not copied: the views derive them, and `import_reference` compares them with the file's own values. Each source file
is kept verbatim next to its record as source.json.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.chance import KNOWN_CLASSES
from heatdrift.errors import RecordError, StoreError, StudyError, UnknownNameError
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
from heatdrift.store.files import write_bytes
from heatdrift.store.folder import Written, cell_folder, decode_record
from heatdrift.store.importers.duplicates import Arrival, Rule, arrival, settle, write_settled
from heatdrift.store.importers.lr_levels import lr_levels
from heatdrift.store.importers.outcome import ImportReport, Mismatch
from heatdrift.store.importers.reference_format import Epoch, ReferenceRun, decode_reference, own_values
from heatdrift.store.importers.values import is_missing
from heatdrift.store.scan import Problem

BACKBONES: Final = {
    "openai/clip-vit-base-patch32": "ViT-B-32-quickgelu/openai",
    "openai/clip-vit-base-patch16": "ViT-B-16-quickgelu/openai",
}
# the study's name of a method -> ours where they differ: its last_block leaves the projection trainable, ours does not
RENAMED: Final = {"last_block": "last_block_proj"}
TRACK_IMAGES: Final = 1000  # protocol leakfree: the tracking subset, of the first transfer set
TOLERANCE: Final = 1e-9  # relative, above 1 in magnitude; absolute below


def import_reference(
    path: Path, store_folder: Path, study: str, *, duplicates: Rule = "refuse", dry_run: bool = False
) -> ImportReport:
    """Write the runs of `path` (a file, or a folder searched for ``*.json``) as records of `study`; twice is once.

    Raises
    ------
    StoreError
        `path` does not exist or has no JSON file, `study` cannot be a folder name, or the store folder cannot be
        written. A file that is no such run is named in ``problems`` and stops nothing.
    DuplicateRunsError
        Files of one run have different results and `duplicates` does not say which of them counts; nothing is written.
    """
    problems: list[Problem] = []
    mismatches: list[Mismatch] = []
    arrived: dict[Path, list[Arrival]] = {}
    sources: dict[str, Path] = {}
    cell_folder(store_folder, study, "check")
    for file in _files(path):
        try:
            run = decode_reference(file.read_bytes(), file)
            record = reference_record(run, study)
            folder = cell_folder(store_folder, study, record.cell_id)
            record = decode_record(msgspec.json.encode(record), folder / "record.json")
        except StoreError:
            raise  # the store folder is at fault, not the file
        except OSError as cause:
            problems.append(Problem(path=file, reason=cause.strerror or str(cause)))
            continue
        except RecordError as error:
            problems.append(Problem(path=file, reason=error.problem))
            continue
        except (UnknownNameError, StudyError) as error:
            problems.append(Problem(path=file, reason=f"{error.message} ({error.hint})"))
            continue
        label = str(file.relative_to(path)) if file != path else file.name
        sources[label] = file
        arrived.setdefault(folder, []).append(arrival(label, record, _Reader(file, study)))
        mismatches.extend(_mismatches(run, file))

    def keep_source(arrived: Arrival, written: Written) -> None:
        write_bytes(written.path.with_name("source.json"), sources[arrived.label].read_bytes())

    report = write_settled(settle(arrived, duplicates, source=path), store_folder, after=keep_source, dry_run=dry_run)
    return msgspec.structs.replace(
        report, problems=tuple(problems), mismatches=tuple(mismatches), studies=(study,) if arrived else ()
    )


class _Reader:
    """Makes the record of a file again."""

    def __init__(self, file: Path, study: str) -> None:
        self._file, self._study = file, study

    def __call__(self) -> RunRecord:
        return reference_record(decode_reference(self._file.read_bytes(), self._file), self._study)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StoreError(f"there is nothing to import at {path}", hint="name a JSON file or a folder of them")
    found = sorted(path.rglob("*.json"))
    if not found:
        raise StoreError(f"{path} holds no JSON file", hint="name a JSON file or a folder of them")
    return found


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


def _mismatches(run: ReferenceRun, path: Path) -> Iterator[Mismatch]:
    for field, stated, derived in own_values(run):
        if abs(stated - derived) > TOLERANCE * max(1.0, abs(stated)):
            yield Mismatch(path=path, field=field, stated=stated, derived=derived)
