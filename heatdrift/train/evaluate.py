"""Passes that only measure: accuracy, zero-shot classes, probes. In float32 or bfloat16, in batches that fit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heatdrift.errors import out_of_memory
from heatdrift.model.adapt import AdaptedModel
from heatdrift.model.attention import observed
from heatdrift.probes.collector import Measured, measure
from heatdrift.probes.transfer import zero_shot_classes
from heatdrift.train.loop import Normaliser, PixelSet

T = TypeVar("T")
EVAL_BATCH: Final = 250
PROBE_BATCH: Final = 50  # attention of a whole block is formed


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """How models of one process are measured.

    A pass that runs out of memory is done again with half its batch, and later passes keep that size.

    Attributes
    ----------
    bfloat16 : towers compute in bfloat16; softmax, classifier and class scores stay float32, probes are computed from
        what the tower gave in float64.
    on_problem : called with a sentence when batches get smaller.
    between : called before every batch; what it raises leaves the measurement.
    """

    normalise: Normaliser
    bfloat16: bool = False
    on_problem: Callable[[str], object] = lambda _problem: None
    between: Callable[[], object] = lambda: None
    _limits: dict[str, int] = field(default_factory=dict)

    def autocast(self) -> torch.autocast:
        """The arithmetic of towers."""
        return torch.autocast(self.normalise.mean.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def encoder_of(self, tower: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Return inputs of `tower` -> embedding (batch, dim) float32, in the arithmetic of evaluation."""

        def encode(inputs: Tensor) -> Tensor:
            with self.autocast():
                return tower(inputs).float()

        return encode

    @torch.inference_mode()
    def accuracy_pct(self, model: AdaptedModel, pixels: PixelSet) -> float:
        """Top-1 accuracy in percent, without augmentation."""
        encode = self.encoder_of(model.visual)

        def predicted(size: int) -> Tensor:
            batches = self._batches(pixels, size)
            return torch.cat([model.classifier(encode(batch)).argmax(-1) for batch in batches]).cpu()

        return 100 * int((self.fitting(predicted) == pixels.labels).sum()) / len(pixels)

    def classes(self, tower: nn.Module, pixels: PixelSet, text: Tensor) -> NDArray[np.int64]:
        """Class of `text` (classes, dim) nearest to each image, (n,)."""
        encode = self.encoder_of(tower)
        return self.fitting(lambda size: zero_shot_classes(encode, self._batches(pixels, size), text))

    def measure(self, tower: nn.Module, pixels: PixelSet, keep: int, groups: Tensor | None = None) -> Measured:
        """All measurements of a tower on `pixels`, keeping the maps of the first `keep` images."""
        return self.fitting(
            lambda size: measure(
                tower, self._batches(pixels, size), observed, keep=keep, groups=groups, bfloat16=self.bfloat16
            ),
            kind="probe",
            first=PROBE_BATCH,
        )

    def _batches(self, pixels: PixelSet, size: int) -> Iterator[Tensor]:
        for batch in self.normalise.batches(pixels, size):
            self.between()
            yield batch

    def fitting(self, run: Callable[[int], T], *, kind: str = "evaluation", first: int = EVAL_BATCH) -> T:
        """Return `run(images per batch)`, halving the batch while memory is short.

        Raises
        ------
        torch.OutOfMemoryError, RuntimeError : not even one image fits.
        """
        while True:
            size = self._limits.get(kind, first)
            try:
                return run(size)
            except RuntimeError as error:  # OutOfMemoryError is one; a processor's allocator raises it plain
                if size == 1 or not out_of_memory(error):
                    raise
            # outside of the handler: the traceback holds the tensors that did not fit
            self._limits[kind] = size // 2
            if self.normalise.mean.device.type == "cuda":
                torch.cuda.empty_cache()
            self.on_problem(f"out of memory in {kind}: batches of {size // 2} images instead of {size} from now on")
