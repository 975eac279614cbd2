"""What a method adds to the loss: one pass through the tower gives class scores and the penalty.

A step's pixels are the images with labels and, where a penalty sees images of its own, those after them: so a captured
step has one fixed input, whatever the method.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heatdrift.model.adapt import AdaptedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalised:
    """Pixels (batch, 3, size, size) and how many of them have labels -> scores (labelled, classes), penalty (0-d).

    Attributes
    ----------
    embed : the tower. classify : the classifier.
    penalty : of pixels and embeddings of the images without labels; of all where each has one.
    """

    embed: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor]
    penalty: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, n_labelled: int) -> tuple[Tensor, Tensor]:
        """Pass a batch through the tower once."""
        embeddings = self.embed(x)
        seen = slice(0 if n_labelled == len(x) else n_labelled, None)
        return self.classify(embeddings[:n_labelled]), self.penalty(x[seen], embeddings[seen])


def penalised(model: AdaptedModel, base: nn.Module) -> Penalised | None:
    """The model with what its method adds to the loss; None where it adds nothing."""
    penalty = model.family.penalty(model.visual, base)
    return None if penalty is None else Penalised(embed=model.visual, classify=model.classifier, penalty=penalty)


def with_others(x: Tensor, others: Tensor | None) -> Tensor:
    """Images with labels, then those without."""
    return x if others is None else torch.cat([x, others])
