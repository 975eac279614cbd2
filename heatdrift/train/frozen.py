"""Training on what a method leaves as it is: computed once per data set, and the rest trains on it.

A linear probe passes the same pictures through the same weights in every epoch, upright or mirrored, and a method that
trains the last block does so through all blocks but one. What comes out of the frozen part is kept, both ways, for all
cells of a data set. Of a linear probe everything else is the base's, too: what is measured of its tower was measured of
the base.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from heatdrift.model.adapt import AdaptedModel
from heatdrift.train.evaluate import Evaluation
from heatdrift.train.loop import Normaliser, PixelSet
from heatdrift.train.prefix import block_output, from_tokens

# Kept tokens of one data set and process. A constant: what fits must not decide differently in a process that resumes.
MAX_TOKEN_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSet:
    """Training images as the frozen part of a tower sees them.

    Attributes
    ----------
    outputs : (n, 2, ...), upright and mirrored: embeddings (dim), or tokens of a block (tokens, width); bfloat16 where
        training computes in it and the part gives it.
    labels : (n,) int64.
    """

    outputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def device(self) -> torch.device:
        """Where the outputs lie."""
        return self.outputs.device

    def inputs(self, chosen: Tensor, flips: Tensor, normalise: Normaliser) -> Tensor:
        """Outputs of the images at `chosen`, mirrored where `flips` says so: (batch, ...)."""
        return self.outputs[chosen, flips.long()].to(normalise.mean.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenData:
    """One data set as the frozen part of a tower sees it.

    Attributes
    ----------
    train : the training images.
    val, test : (n, ...), upright, in the arithmetic of evaluation.
    blocks : number of frozen blocks; None = the whole tower is.
    image_size : pixels of the tower's crops.
    """

    train: KeptSet
    val: Tensor
    test: Tensor | None
    blocks: int | None
    image_size: int

    @property
    def whole(self) -> bool:
        """Whether nothing of the tower trains."""
        return self.blocks is None

    def logits(self, model: AdaptedModel) -> Callable[[Tensor], Tensor]:
        """Return kept outputs -> class scores by what of the model trains."""
        if self.blocks is None:
            return model.classifier
        rest = from_tokens(model.visual, self.blocks, self.image_size)
        return lambda tokens: model.classifier(rest(tokens))


@torch.no_grad()  # not inference mode: what it makes cannot be saved for the trained part's backward pass
def frozen_data(
    tower: nn.Module,
    train: PixelSet,
    val: PixelSet,
    test: PixelSet | None,
    evaluation: Evaluation,
    *,
    bfloat16: bool,
    blocks: int | None = None,
) -> FrozenData:
    """Pass a data set through the frozen part once: `train` both ways and as training would, in its arithmetic.

    Parameters
    ----------
    tower : the base's visual tower in evaluation mode.
    blocks : how many of its blocks are the frozen part, at least 1; None = all of it, with the projection.
    """
    part = tower if blocks is None else block_output(tower, blocks)

    def outputs(pixels: PixelSet, *, mirrored: bool = False, bfloat16: bool = evaluation.bfloat16) -> Tensor:
        def passed(size: int) -> Tensor:
            parts = []
            for crops in torch.split(pixels.crops, size):
                evaluation.between()
                with torch.autocast(evaluation.normalise.mean.device.type, dtype=torch.bfloat16, enabled=bfloat16):
                    out = part(evaluation.normalise(crops.flip(-1) if mirrored else crops))
                parts.append(out if blocks is None else out.to(pixels.device))  # tokens lie where the crops do
            return torch.cat(parts)

        return evaluation.fitting(passed)

    both = [outputs(train, mirrored=mirrored, bfloat16=bfloat16) for mirrored in (False, True)]
    return FrozenData(
        train=KeptSet(outputs=torch.stack(both, dim=1), labels=train.labels),
        val=outputs(val),
        test=None if test is None else outputs(test),
        blocks=blocks,
        image_size=train.crops.shape[-1],
    )


def tokens_fit(tower: nn.Module, sets: list[PixelSet]) -> bool:
    """Whether the tokens of a block are small enough to be kept: of the first set, both ways, and of the others."""
    tokens, width = tower.get_parameter("positional_embedding").shape
    images = sum(map(len, sets)) + len(sets[0])
    return images * tokens * width * 4 <= MAX_TOKEN_BYTES


@torch.inference_mode()
def frozen_accuracy_pct(
    model: AdaptedModel, data: FrozenData, outputs: Tensor, labels: Tensor, evaluation: Evaluation
) -> float:
    """Top-1 accuracy in percent from kept outputs (n, ...)."""
    if data.blocks is None:
        predicted = model.classifier(outputs.float()).argmax(-1)
    else:
        encode = evaluation.encoder_of(from_tokens(model.visual, data.blocks, data.image_size))
        device = evaluation.normalise.mean.device
        predicted = evaluation.fitting(
            lambda size: torch.cat(
                [model.classifier(encode(part.to(device))).argmax(-1) for part in torch.split(outputs, size)]
            )
        )
    return 100 * int((predicted.cpu() == labels).sum()) / len(labels)
