"""Zero-shot on a labelled set for models that were trained elsewhere: images once, each model with its own texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatdrift.config import SourceSpec
from heatdrift.data.class_names import prompt_names
from heatdrift.data.sources import open_source
from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import source_name, source_text
from heatdrift.image_results import ImageResults, images_sha256
from heatdrift.model.backbone import Backbone
from heatdrift.probes.transfer import accuracy_pct
from heatdrift.records import SourceRecord, TransferPlan, TransferRecord
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.external_result import ClassChange, TransferChange
from heatdrift.train.inputs import transfer_positions
from heatdrift.train.loop import PixelSet

_SEED: Final = 0  # draws the subset


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTransfer:
    """A transfer set, cropped; `names` are the words of its prompts, `images` a hash of which images it holds."""

    plan: TransferPlan
    pixels: PixelSet
    names: tuple[str, ...]
    images: str
    source: SourceRecord


def open_transfer(
    place: str, base: Backbone, folder: Path, *, template: str, class_names: str | None, n: int | None, skip: bool
) -> ForeignTransfer:
    """Open a labelled source and crop its images, `n` of them equally from all classes, or all."""
    text = source_text(place, folder)
    images = open_source(SourceSpec(source=text), folder, skip_unreadable=skip)
    name = source_name(text)
    chosen, _ = transfer_positions(name, images, n, None, data_seed=_SEED)
    names = prompt_names(images, class_names, underscores=False)
    made = torch.from_numpy(crops(images, chosen, base.preprocess))
    plan = TransferPlan(name=name, data_sha256=images.sha256, n_images=n, template=template, class_names=class_names)
    return ForeignTransfer(
        plan=plan,
        pixels=PixelSet(crops=made, labels=torch.from_numpy(images.labels[chosen])),
        names=names,
        images=images_sha256(images.sha256, chosen.tolist()),
        source=SourceRecord(source=text, sha256=images.sha256, revision=images.revision, n_images=len(images)),
    )


def predicted_classes(model: Backbone, held: ForeignTransfer | None, evaluation: Evaluation) -> NDArray[np.int64]:
    """Class that a model gives to each image, by its own text tower; none without a transfer set."""
    if held is None:
        return np.empty(0, dtype=np.int64)
    text: Tensor = model.class_embeddings(held.names, held.plan.template)
    return evaluation.classes(model.visual, held.pixels, text)


def zero_shot_pct(classes: NDArray[np.int64], held: ForeignTransfer | None) -> float | None:
    """Zero-shot accuracy in percent; None without a transfer set."""
    return None if held is None else accuracy_pct(classes == held.pixels.labels.numpy())


def image_hits(held: ForeignTransfer, before: NDArray[np.int64], after: NDArray[np.int64]) -> ImageResults:
    """Results of base and adapted model, image by image."""
    label = held.pixels.labels.numpy()
    return ImageResults(
        base=before == label,
        adapted=after == label,
        label=label,
        base_class=before,
        adapted_class=after,
        class_names=held.names,
        images=held.images,
    )


def transfer_change(held: ForeignTransfer, before: NDArray[np.int64], after: NDArray[np.int64]) -> TransferChange:
    """What became of zero-shot, in all and class by class; classes without an image are left out."""
    label = held.pixels.labels.numpy()
    was, now = before == label, after == label
    classes = [(name, label == position) for position, name in enumerate(held.names)]
    base_pct, adapted_pct = accuracy_pct(was), accuracy_pct(now)
    return TransferChange(
        name=held.plan.name,
        n_images=len(label),
        n_classes=len(held.names),
        base_pct=base_pct,
        adapted_pct=adapted_pct,
        retention_pct=100 * adapted_pct / base_pct if base_pct else None,
        lost=int((was & ~now).sum()),
        gained=int((~was & now).sum()),
        classes=tuple(
            ClassChange(
                name=name,
                n_images=int(mine.sum()),
                base_pct=accuracy_pct(was[mine]),
                adapted_pct=accuracy_pct(now[mine]),
            )
            for name, mine in classes
            if mine.any()
        ),
    )


def transfer_record(held: ForeignTransfer, change: TransferChange) -> TransferRecord:
    """The same as a record keeps it."""
    return TransferRecord(
        transfer_set=held.plan.name,
        n_images=change.n_images,
        base_pct=change.base_pct,
        adapted_pct=change.adapted_pct,
        n_classes=change.n_classes,
    )
