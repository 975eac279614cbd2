"""Models that were trained elsewhere -> cell, provenance, rows and maps of their record."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from heatdrift.data.images import LabelledImages
from heatdrift.data.unlabelled import source_name
from heatdrift.image_results import images_sha256
from heatdrift.model.backbone import Backbone
from heatdrift.model.checkpoints import Adapted
from heatdrift.probes.collector import Measured
from heatdrift.provenance import collect
from heatdrift.records import Cell, EpochRecord, Provenance, SourceRecord
from heatdrift.train.external_result import CheckpointRow, LayerRow
from heatdrift.train.external_transfer import ForeignTransfer
from heatdrift.train.loop import PixelSet

METHOD: Final = "external"
PROTOCOL: Final = "external"


def external_cell(
    base: Backbone, models: Sequence[Adapted], facts: Mapping[str, str], pictures: LabelledImages, n: int,
    held: ForeignTransfer | None,
) -> Cell:  # fmt: skip
    """Identity of the run: its labels, the images, and the weights of all its checkpoints."""
    return Cell(
        backbone=base.name,
        backbone_sha256=base.sha256,
        dataset=facts.get("dataset", source_name(pictures.source)),
        data_sha256=images_sha256(pictures.sha256, [str(n)]),
        protocol=PROTOCOL,
        method=facts.get("method", METHOD),
        method_spec=None,
        lr=float(facts.get("lr", 0.0)),
        seed=int(facts.get("seed", 0)),
        recipe=None,
        transfer=() if held is None else (held.plan,),
        adapted_sha256=models[0].sha256 if len(models) == 1 else images_sha256("", [m.sha256 for m in models]),
    )


def external_provenance(
    base: Backbone, models: Sequence[Adapted], pictures: LabelledImages, held: ForeignTransfer | None, device: str
) -> Provenance:
    """Where the numbers come from: every file that was read, its hash and its layout."""
    sources = {"backbone": base.read}
    for number, model in enumerate(models, start=1):
        sources[f"adapted/{number}"] = SourceRecord(source=model.path.name, sha256=model.sha256)
    sources["probe"] = SourceRecord(
        source=pictures.source, sha256=pictures.sha256, n_images=len(pictures), skipped=pictures.skipped
    )
    names: dict[str, tuple[str, ...]] = {}
    if held is not None:
        sources[held.plan.name] = held.source
        names[held.plan.name] = held.names
    return msgspec.structs.replace(
        collect(),
        device=device,
        threads=torch.get_num_threads(),
        precision="float32",
        class_names=names,
        preprocess=base.preprocess,
        sources=sources,
        source="; ".join(f"{model.path.name}: {model.layout}" for model in models),
    )


def checkpoint_rows(
    base: Backbone, models: Sequence[Adapted], epochs: Sequence[EpochRecord]
) -> tuple[CheckpointRow, ...]:
    """One row per model, the base first."""
    first = epochs[0].track_zero_shot_pct
    rows = [CheckpointRow(epoch=0, name=base.name, layout=base.read.source, said=base.said, means=epochs[0].means,
                          zero_shot_pct=first, retention_pct=None if not first else 100.0)]  # fmt: skip
    for model, epoch in zip(models, epochs[1:], strict=True):
        now = epoch.track_zero_shot_pct
        rows.append(
            CheckpointRow(
                epoch=epoch.epoch,
                name=model.path.name,
                layout=model.layout,
                said=model.said,
                identical=model.same_visual,
                means=epoch.means,
                zero_shot_pct=now,
                retention_pct=None if not first or now is None else 100 * now / first,
            )
        )
    return tuple(rows)


def layer_rows(epochs: Sequence[EpochRecord]) -> tuple[LayerRow, ...]:
    """One row per block: base and last checkpoint."""
    base, last = epochs[0].layers, epochs[-1].layers
    return tuple(
        LayerRow(layer=i, base={n: v[i] for n, v in base.items()}, adapted={n: v[i] for n, v in last.items()})
        for i in range(len(next(iter(last.values()))))
    )


def gallery_arrays(probe: PixelSet, keep: int, before: Measured, after: Measured) -> dict[str, NDArray[np.generic]]:
    """Maps of the first `keep` images, as ``gallery.npz`` holds them; no pixels."""
    return {
        "positions": np.arange(keep),
        "sha256": np.array([hashlib.sha256(crop.numpy().tobytes()).hexdigest() for crop in probe.crops[:keep]]),
        "base_class": before.class_maps.numpy(),
        "base_rollout": before.rollout_maps.numpy(),
        "adapted_class": after.class_maps.numpy(),
        "adapted_rollout": after.rollout_maps.numpy(),
    }
