"""Fine-tune transformers' CLIP with its Trainer, and follow the drift of the vision tower with one callback.

python examples/hugging_face_trainer.py PICTURES   (class folders; the first run downloads OpenAI's ViT-B/32)
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection, Trainer, TrainingArguments

from heatdrift.train.drift_callbacks import trainer_callback
from heatdrift.train.monitor import DriftMonitor


class Classifier(nn.Module):
    """A vision tower and a linear layer, as Trainer wants them: what comes back holds the loss."""

    def __init__(self, tower: CLIPVisionModelWithProjection, classes: int) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(tower.config.projection_dim, classes)

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Logits (batch, classes) and their loss."""
        logits = self.head(self.tower(pixel_values=pixel_values).image_embeds)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def fine_tune(
    tower: CLIPVisionModelWithProjection,
    examples: "Dataset[dict[str, Any]]",
    pictures: Tensor,
    classes: int,
    store: Path,
    *,
    lr: float,
    **options: Any,  # noqa: ANN401 - of TrainingArguments
) -> DriftMonitor:
    """Train all weights; the drift of every second step, and at the end the run, go into a store."""
    model = Classifier(tower, classes)
    monitor = DriftMonitor(model, pictures, every=2, labels={"seed": "0", "method": "full_ft"}, store=store)
    arguments = TrainingArguments(
        output_dir=str(store / "trainer"), learning_rate=lr, seed=0, report_to=[], save_strategy="no", **options
    )
    Trainer(model=model, args=arguments, train_dataset=examples, callbacks=[trainer_callback(monitor)]).train()
    return monitor


class Pictures(Dataset[dict[str, Any]]):
    """Pictures of class folders, as Trainer's collator takes them."""

    def __init__(self, folder: str, processor: CLIPImageProcessor) -> None:
        self.images = ImageFolder(folder)
        self.processor = processor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Normalised pixels and the class of one picture."""
        picture, label = self.images[position]
        return {"pixel_values": self.processor(picture, return_tensors="pt")["pixel_values"][0], "labels": label}


if __name__ == "__main__":
    name = "openai/clip-vit-base-patch32"
    data = Pictures(sys.argv[1], CLIPImageProcessor.from_pretrained(name))
    shown = torch.stack([data[i]["pixel_values"] for i in range(0, len(data), max(1, len(data) // 64))])
    found = fine_tune(
        CLIPVisionModelWithProjection.from_pretrained(name), data, shown, len(data.images.classes), Path("runs"),
        lr=1e-5, num_train_epochs=1, per_device_train_batch_size=32,
    )  # fmt: skip
    for record in found.records:
        sys.stdout.write(f"step {record.step}: embedding drift {record.means['embedding_drift']:.4f}\n")
