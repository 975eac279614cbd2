"""Attention maps of a model, and of one adapted from it, on the same pictures: class token rows and rollout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from heatdrift.data.transforms import crops
from heatdrift.data.unlabelled import open_pictures, readable_pictures
from heatdrift.model.attention import observed
from heatdrift.model.backbone import Backbone
from heatdrift.model.checkpoints import open_adapted, open_base
from heatdrift.probes.collector import measure as measure_tower
from heatdrift.probes.shape import renormalised
from heatdrift.train.loop import Normaliser, PixelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMaps:
    """Maps of one model.

    Attributes
    ----------
    cls : (images, blocks, heads, patches) float32 attention of the class token over the patches, renormalised to 1.
    rollout : (images, patches) float32 class row of the rollout.
    """

    name: str
    cls: NDArray[np.float32]
    rollout: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMaps:
    """Maps on the first pictures of a source, in order of name; `crops` are what the models saw, (n, 3, size, size)."""

    base: ModelMaps
    adapted: ModelMaps | None
    pictures: tuple[str, ...]
    crops: NDArray[np.uint8]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What goes into the npz: base_cls, base_rollout, the same of adapted, their difference, names of pictures."""
        found: dict[str, NDArray[np.generic]] = {"base_cls": self.base.cls, "base_rollout": self.base.rollout}
        if self.adapted is not None:
            found |= {"adapted_cls": self.adapted.cls, "adapted_rollout": self.adapted.rollout}
            found |= {
                "difference_cls": self.adapted.cls - self.base.cls,
                "difference_rollout": self.adapted.rollout - self.base.rollout,
            }
        return {**found, "pictures": np.array(self.pictures)}


def attention_maps(
    model: str | Path,
    adapted: str | Path | None = None,
    *,
    images: str,
    n_images: int = 12,
    config: str | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    skip_unreadable: bool = False,
) -> AttentionMaps:
    """Take the maps of a model on the first `n_images` pictures of a source, and those of one adapted from it.

    Arguments and errors as for :func:`heatdrift.train.external.measure`.
    """
    where = folder or Path()
    base = open_base(model, config=config, folder=where, device=torch.device(device))
    pictures = open_pictures(images, where)
    pictures = readable_pictures(pictures) if skip_unreadable else pictures
    chosen = np.arange(min(n_images, len(pictures)))
    made = crops(pictures, chosen, base.preprocess)
    probe = PixelSet(crops=torch.from_numpy(made), labels=torch.zeros(len(chosen), dtype=torch.int64))
    other = None if adapted is None else open_adapted(where / adapted, base).model
    return AttentionMaps(
        base=_maps(base, probe),
        adapted=None if other is None else _maps(other, probe),
        pictures=tuple(pictures.name(position) for position in chosen.tolist()),
        crops=made,
    )


def _maps(model: Backbone, probe: PixelSet) -> ModelMaps:
    normalise = Normaliser.of(model.preprocess, next(model.visual.parameters()).device)
    found = measure_tower(model.visual, normalise.batches(probe, size=50), observed, keep=len(probe))
    rows = torch.stack([renormalised(block.double()) for block in found.class_rows], 1)
    return ModelMaps(name=model.name, cls=rows.float().numpy(), rollout=found.rollout_maps.float().numpy())
