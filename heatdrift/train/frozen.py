"""Training on a tower that no method changes: its embeddings are computed once and the classifier trains on them.

A linear probe passes the same pictures through the same weights in every epoch, upright or mirrored. Both embeddings of
each are kept for all cells of a data set; what is measured of the tower is what was measured of the base.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heatdrift.train.loop import EVAL_BATCH, Normaliser, PixelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSet:
    """Training images as a frozen tower sees them.

    Attributes
    ----------
    embeddings : (n, 2, dim), upright and mirrored; bfloat16 where training computes in it.
    labels : (n,) int64.
    """

    embeddings: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def device(self) -> torch.device:
        """Where the embeddings lie."""
        return self.embeddings.device

    def inputs(self, chosen: Tensor, flips: Tensor, normalise: Normaliser) -> Tensor:
        """Embeddings of the images at `chosen`, mirrored where `flips` says so: (batch, dim)."""
        del normalise
        return self.embeddings[chosen, flips.long()]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenData:
    """One data set as a frozen tower sees it; ``val`` and ``test`` are (n, dim) float32, upright."""

    train: EmbeddedSet
    val: Tensor
    test: Tensor | None


@torch.no_grad()  # not inference mode: what it makes cannot be saved for the classifier's backward pass
def frozen_data(
    tower: nn.Module,
    train: PixelSet,
    val: PixelSet,
    test: PixelSet | None,
    normalise: Normaliser,
    *,
    bfloat16: bool,
) -> FrozenData:
    """Embed a data set once, `train` both ways and as training would: in bfloat16 where that is the precision.

    Parameters
    ----------
    tower : frozen visual tower in evaluation mode.
    """
    with torch.autocast(normalise.mean.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        both = [_embedded(tower, train, normalise, mirrored=mirrored) for mirrored in (False, True)]
    return FrozenData(
        train=EmbeddedSet(embeddings=torch.stack(both, dim=1), labels=train.labels),
        val=_embedded(tower, val, normalise),
        test=None if test is None else _embedded(tower, test, normalise),
    )


def _embedded(tower: nn.Module, pixels: PixelSet, normalise: Normaliser, *, mirrored: bool = False) -> Tensor:
    parts = []
    for start in range(0, len(pixels), EVAL_BATCH):
        crops = pixels.crops[start : start + EVAL_BATCH]
        parts.append(tower(normalise(crops.flip(-1) if mirrored else crops)))
    return torch.cat(parts)


@torch.inference_mode()
def frozen_accuracy_pct(classifier: nn.Module, embeddings: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy in percent of a classifier on embeddings (n, dim)."""
    return 100 * int((classifier(embeddings).argmax(-1).cpu() == labels).sum()) / len(labels)
