"""Zero-shot classification through the live encoder."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Encoder = Callable[[Tensor], Tensor]


@torch.inference_mode()
def zero_shot_classes(encode: Encoder, batches: Iterable[Tensor], text: Tensor) -> NDArray[np.int64]:
    """Class whose embedding is nearest to each image's.

    Parameters
    ----------
    encode : live, adapted encoder with its projection: pixels -> un-normalised embedding.
    batches : normalised pixels.
    text : (classes, dim) normalised class embeddings of the frozen text tower.

    Returns
    -------
    (n,) position in `text`. Scaling of the embedding does not matter, so it is not normalised.
    """
    predicted = torch.cat([(encode(pixels) @ text.T).argmax(-1) for pixels in batches]).cpu()
    classes: NDArray[np.int64] = predicted.numpy()
    return classes


def accuracy_pct(hits: NDArray[np.bool_]) -> float:
    """Top-1 accuracy in percent."""
    return 100 * int(hits.sum()) / len(hits)
