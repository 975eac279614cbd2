"""measure: a base and models that were trained elsewhere, in any loop and format -> all probes, as a record.

No label is needed for probes. With a labelled transfer set, zero-shot and what is left of it are measured too.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import torch

from heatdrift.data.images import LabelledImages
from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import chosen_pictures, open_pictures, readable_pictures
from heatdrift.errors import DataError, StudyError, UnknownNameError
from heatdrift.model.backbone import Backbone
from heatdrift.model.checkpoints import Adapted, open_adapted, open_base
from heatdrift.probes.collector import Measured
from heatdrift.probes.compare import probe_values
from heatdrift.probes.weights import weight_probes
from heatdrift.provenance import utc_now
from heatdrift.records import EpochRecord, RunRecord
from heatdrift.train.cell import CellOutcome
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.external_record import (
    METHOD,
    checkpoint_rows,
    external_cell,
    external_provenance,
    gallery_arrays,
    layer_rows,
)
from heatdrift.train.external_result import MeasureResult
from heatdrift.train.external_transfer import (
    image_hits,
    open_transfer,
    predicted_classes,
    transfer_change,
    transfer_record,
    zero_shot_pct,
)
from heatdrift.train.loop import Normaliser, PixelSet
from heatdrift.train.resources import GALLERY_IMAGES
from heatdrift.train.series import checkpoints, epochs_of

STUDY: Final = "external"
PROBE_IMAGES: Final = 200
FEW: Final = 50  # fewer images than this are measured, and the result says so
LABELS: Final = ("dataset", "method", "lr", "seed")
_SEED: Final = 0  # draws the images


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Measurement:
    """What `measure` gives: the typed result, and the run as the store keeps it (record, per-image results, maps).

    ``outcome.record`` has a learning rate only if the labels state it: see :func:`storable`.
    """

    result: MeasureResult
    outcome: CellOutcome

    def __repr__(self) -> str:
        return str(self.result)


def measure(
    base: str | Path,
    adapted: str | Path | Sequence[str | Path],
    *,
    images: str | None = None,
    transfer: str | None = None,
    labels: Mapping[str, str] | None = None,
    config: str | None = None,
    template: str = "a photo of a {}.",
    class_names: str | None = None,
    n_images: int | None = PROBE_IMAGES,
    n_transfer: int | None = None,
    study: str = STUDY,
    folder: Path | None = None,
    device: str = "cpu",
    skip_unreadable: bool = False,
    on_checkpoint: Callable[[str, int, int], object] = lambda _name, _done, _total: None,
) -> Measurement:
    """Measure models against the base that they were made from.

    Parameters
    ----------
    base : an embedded backbone (lab), open_clip's MODEL/TAG, or weights by path in any layout.
    adapted : weights, model folders or peft adapters, or a folder of epochs; several are one training in its order.
    images : pictures for the probes, without labels: a folder, a Parquet file or a source string; None = the transfer
        set's.
    transfer : labelled source for zero-shot: a source string, a folder of class folders, a Parquet file.
    labels : what is known of the training: dataset, method, lr, seed.
    config : architecture of a base by path where none lies next to it.
    n_images, n_transfer : images drawn, the latter equally from all classes; None = all.
    on_checkpoint : called with a model's name, models measured and models in all.

    Raises
    ------
    ModelError, DataError : models or images are missing, damaged, too few, or of another base.
    UnknownNameError, StudyError : a label that is none, or that is no number where it must be one.

    Examples
    --------
    The embedded model against its own weights file: nothing moved.

    >>> import heatdrift
    >>> from importlib.resources import files
    >>> weights = files("heatdrift.model") / "weights" / "lab.safetensors"
    >>> found = heatdrift.measure("lab", str(weights), images="lab:terrain/test", n_images=50)
    >>> print(found.result.sentences[0])
    lab.safetensors has the base's visual weights to the last bit: every drift is 0.
    """
    clock, started, where = time.perf_counter(), utc_now(), folder or Path()
    facts = checked_labels(labels or {})
    reference = open_base(base, config=config, folder=where, device=torch.device(device))
    given = [adapted] if isinstance(adapted, str | Path) else list(adapted)
    paths, notes = checkpoints([where / path for path in given])
    evaluation = Evaluation(normalise=Normaliser.of(reference.preprocess, torch.device(device)))
    held = None if transfer is None else open_transfer(
        transfer, reference, where, template=template, class_names=class_names, n=n_transfer, skip=skip_unreadable
    )  # fmt: skip
    pictures, probe = _probe_images(images or transfer, reference, where, n=n_images, skip=skip_unreadable)
    if len(probe) < FEW:
        notes.append(f"{len(probe)} images are few: below {FEW}, means over images and CKA are uncertain")
    if pictures.skipped:
        notes.append(f"{len(pictures.skipped)} pictures do not decode and were left out: {pictures.skipped[0]}, ...")
    keep = min(GALLERY_IMAGES, len(probe))
    on_checkpoint(reference.name, 0, len(paths) + 1)
    before = evaluation.measure(reference.visual, probe, keep)
    base_class = predicted_classes(reference, held, evaluation)
    history = [_epoch(0, reference, reference, before, before, zero_shot_pct(base_class, held))]
    opened: list[Adapted] = []
    measured, after_class = before, base_class
    for done, path in enumerate(paths, start=1):
        on_checkpoint(path.name, done, len(paths) + 1)
        model = open_adapted(path, reference)
        measured = before if model.same_visual else evaluation.measure(model.model.visual, probe, keep)
        after_class = (
            base_class if model.same_visual and model.same_text else predicted_classes(model.model, held, evaluation)
        )
        history.append(_epoch(done, reference, model.model, before, measured, zero_shot_pct(after_class, held)))
        opened.append(_light(model, reference))
        notes += (
            [f"{path.name} has the base's weights, to the last bit"] if model.same_visual and model.same_text else []
        )
        if not model.same_text:
            notes.append(f"{path.name} has a text tower of its own, which its zero-shot accuracy uses")
    numbers = [0, *epochs_of(paths, [model.epoch for model in opened])]
    epochs = tuple(msgspec.structs.replace(e, epoch=n) for e, n in zip(history, numbers, strict=True))
    cell = external_cell(reference, opened, facts, pictures, len(probe), held)
    hits = {} if held is None else image_hits(held, base_class, after_class).arrays(held.plan.name)
    change = None if held is None else transfer_change(held, base_class, after_class)
    record = RunRecord(
        study=study,
        cell_id=cell.cell_id,
        origin=METHOD,
        status="done",
        cell=cell,
        total_params=sum(p.numel() for p in reference.clip.parameters()),
        selected_epoch=epochs[-1].epoch,
        n_probe=len(probe),
        epochs=epochs,
        transfer=() if held is None or change is None else (transfer_record(held, change),),
        provenance=external_provenance(reference, opened, pictures, held, device),
        started_at=started,
        finished_at=utc_now(),
        wall_s=time.perf_counter() - clock,
    )
    result = MeasureResult(
        base=reference.name,
        images=pictures.source,
        n_images=len(probe),
        checkpoints=checkpoint_rows(reference, opened, epochs),
        layers=layer_rows(epochs),
        transfer=change,
        notes=tuple(notes),
        labels=facts,
    )
    return Measurement(
        result=result,
        outcome=CellOutcome(record=record, hits=hits, gallery=gallery_arrays(probe, keep, before, measured)),
    )


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of a run, as they were given.

    Raises
    ------
    UnknownNameError : another key than dataset, method, lr and seed.
    StudyError : a learning rate or seed that is none.
    """
    for key, value in labels.items():
        if key not in LABELS:
            raise UnknownNameError("label", key, LABELS)
        try:
            known = {"lr": float, "seed": int}.get(key, str)(value)
        except ValueError:
            known = None
        if known is None or (key == "lr" and not 0 < float(value) < float("inf")) or not value.strip():
            raise StudyError(f"label {key} is {value!r}", hint="--label lr=1e-5 --label seed=0 --label method=full_ft")
    return dict(labels)


def storable(result: MeasureResult) -> bool:
    """Whether a run can be stored: its learning rate is known, which every table and test of the store has as a key."""
    return "lr" in result.labels


def _probe_images(
    place: str | None, base: Backbone, folder: Path, *, n: int | None, skip: bool
) -> tuple[LabelledImages, PixelSet]:
    if place is None:
        raise DataError("no images to measure on", hint="--images FOLDER (no labels needed) or --transfer SOURCE")
    pictures = open_pictures(place, folder)
    pictures = readable_pictures(pictures) if skip else pictures
    chosen = chosen_pictures(pictures, n, _SEED)
    made = torch.from_numpy(crops(pictures, chosen, base.preprocess))
    return pictures, PixelSet(crops=made, labels=torch.zeros(len(chosen), dtype=torch.int64))


def _epoch(
    epoch: int, base: Backbone, model: Backbone, before: Measured, after: Measured, zero_shot: float | None
) -> EpochRecord:
    old = dict(base.visual.named_parameters())
    updates = {name: p.detach() - old[name].detach() for name, p in model.visual.named_parameters()}
    values = probe_values(before, after, weights=weight_probes(base.visual, model.visual, updates))
    return EpochRecord(
        epoch=epoch, track_zero_shot_pct=zero_shot, means=values.means, layers=values.layers, heads=values.heads
    )


def _light(model: Adapted, base: Backbone) -> Adapted:
    """The facts of a model without its weights: of many checkpoints one is in memory at a time."""
    return dataclasses.replace(model, model=base)
