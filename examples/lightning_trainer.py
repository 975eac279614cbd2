"""Fine-tune an open_clip model with Lightning, and follow its drift with one callback.

python examples/lightning_trainer.py PICTURES   (class folders; the first run downloads OpenAI's ViT-B/32)
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import open_clip
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from heatdrift.train.drift_callbacks import lightning_callback
from heatdrift.train.monitor import DriftMonitor


class FineTuned(pl.LightningModule):
    """An open_clip model with a linear layer on its image embedding."""

    def __init__(self, clip: nn.Module, width: int, classes: int, lr: float) -> None:
        super().__init__()
        self.clip, self.head, self.lr = clip, nn.Linear(width, classes), lr

    def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
        """Loss of one batch of (pixels, class)."""
        pixels, labels = batch
        return nn.functional.cross_entropy(self.head(self.clip.encode_image(pixels)), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on the tower and the layer."""
        return torch.optim.AdamW([*self.clip.visual.parameters(), *self.head.parameters()], lr=self.lr)


def fine_tune(
    clip: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    pictures: Tensor,
    classes: int,
    store: Path,
    *,
    lr: float,
    **options: Any,  # noqa: ANN401 - of Lightning's Trainer
) -> DriftMonitor:
    """Train all of the visual tower; the drift of every second step, and at the end the run, go into a store."""
    with torch.no_grad():
        width = clip.encode_image(pictures[:1]).shape[-1]
    model = FineTuned(clip, width, classes, lr)
    labels = {"lr": str(lr), "seed": "0", "method": "full_ft"}
    monitor = DriftMonitor(model, pictures, every=2, labels=labels, store=store)
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[lightning_callback(monitor)], logger=False, enable_checkpointing=False, **options
    )
    trainer.fit(model, batches)
    return monitor


if __name__ == "__main__":
    loaded, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained="openai")
    data = ImageFolder(sys.argv[1], transform=preprocess)
    shown = torch.stack([data[i][0] for i in range(0, len(data), max(1, len(data) // 64))])
    loader = DataLoader(data, batch_size=32, shuffle=True)
    found = fine_tune(loaded, loader, shown, len(data.classes), Path("runs"), lr=1e-5)
    for record in found.records:
        sys.stdout.write(f"step {record.step}: embedding drift {record.means['embedding_drift']:.4f}\n")
