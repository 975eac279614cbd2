"""Checkpoints to try docs/guide.md on: the embedded model, fine-tuned on drawn tiles in a loop of its own.

python examples/stand_in.py FOLDER   (two epochs, saved as open_clip's training saves them; nothing is downloaded)
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from heatdrift.data.lab import draw_set


def base_model() -> open_clip.CLIP:
    """The embedded model `lab`, as open_clip builds it."""
    folder = files("heatdrift.model") / "weights"
    model = open_clip.CLIP(**json.loads((folder / "lab.json").read_text(encoding="utf-8")))
    model.load_state_dict(load_file(str(folder / "lab.safetensors")))
    return model


def tiles() -> tuple[Tensor, Tensor]:
    """Normalised pixels (n, 3, 28, 28) and classes of the tiles."""
    drawn = draw_set("terrain", "test")
    kept = slice(None, None, 3)  # every third: enough to move the weights, in seconds
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    return (torch.from_numpy(drawn.pixels[kept]).permute(0, 3, 1, 2) / 255 - mean) / std, torch.from_numpy(
        drawn.labels[kept]
    )


def fine_tune(folder: Path, *, epochs: int = 2, lr: float = 2e-3, seed: int = 0) -> None:
    """Train the visual tower and a classifier, and save ``epoch_1.pt`` to ``epoch_N.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model, (pixels, labels) = base_model(), tiles()
    classifier = nn.Linear(model.visual.proj.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.AdamW([*model.visual.parameters(), *classifier.parameters()], lr=lr)
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(pixels)).split(32):
            loss = nn.functional.cross_entropy(classifier(model.encode_image(pixels[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.save({"epoch": epoch, "state_dict": model.state_dict()}, folder / f"epoch_{epoch}.pt")


if __name__ == "__main__":
    fine_tune(Path(sys.argv[1]))
