"""Fine-tune an open_clip model with adapters of peft on q and v, and follow its drift from the base.

python examples/open_clip_loop.py PICTURES   (a folder of class folders; the first run downloads OpenAI's ViT-B/32)
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import open_clip
import peft
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from heatdrift.model.adapt_tower import adapt_open_clip
from heatdrift.train.monitor import DriftMonitor


def fine_tune(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], pictures: Tensor, classes: int, store: Path, lr: float
) -> DriftMonitor:
    """Train adapters and a classifier on batches of (pixels, class); the drift of every second step goes to a store."""
    model = adapt_open_clip(model, peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    monitor = DriftMonitor(model, pictures, every=2, labels={"lr": str(lr), "seed": "0", "method": "lora"})
    with torch.no_grad():
        width = model.encode_image(pictures[:1]).shape[-1]
    classifier = nn.Linear(width, classes)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *classifier.parameters()], lr=lr)
    for step, (pixels, labels) in enumerate(batches, start=1):
        model.train()
        loss = nn.functional.cross_entropy(classifier(model.encode_image(pixels)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        monitor.step(model, step)
    monitor.save(store)
    return monitor


if __name__ == "__main__":
    clip, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained="openai")
    data = ImageFolder(sys.argv[1], transform=preprocess)
    shown = torch.stack([data[i][0] for i in range(0, len(data), max(1, len(data) // 64))])
    loader = DataLoader(data, batch_size=32, shuffle=True)
    found = fine_tune(clip, loader, shown, len(data.classes), Path("runs"), lr=1e-4)
    for record in found.records:
        drift = record.means["embedding_drift"]
        sys.stdout.write(f"step {record.step}: embedding drift {drift:.4f}\n")
