"""Small real things for tests: a CLIP of open_clip's own classes with seeded random weights, and labelled pictures.

Nothing here imitates heatdrift: the tests run its code on inputs that are small.
"""

import colorsys
import io
import json
from pathlib import Path

import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save_file

from heatdrift.config import BackboneSpec
from heatdrift.store.folder import find_cells

TINY_BLOCKS = 3
TINY_HEADS = 4
TINY_WIDTH = 32
TINY_PATCHES = 16
TINY_DIM = 24


def tiny_config() -> dict:
    """Architecture of the tiny CLIP: 3 blocks of width 32 with 4 heads, 28 px in 4 x 4 patches."""
    return {
        "embed_dim": TINY_DIM,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 28, "layers": TINY_BLOCKS, "width": TINY_WIDTH, "head_width": 8, "patch_size": 7},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }


def tiny_clip(seed: int = 0) -> open_clip.CLIP:
    """The tiny CLIP in eval mode, fused attention; no weight or bias is left at 0 or 1, and attention is not flat."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**tiny_config())
        with torch.no_grad():
            for name, parameter in clip.named_parameters():
                if name.endswith(".in_proj_weight"):
                    parameter.mul_(2)
                elif name.endswith("bias") or ".ln_" in name:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return clip.eval()


def write_tiny_backbone(folder: Path, seed: int = 0) -> BackboneSpec:
    """Write tiny.json and tiny.safetensors into `folder`; the returned spec names them relative to it."""
    (folder / "tiny.json").write_text(json.dumps(tiny_config()), encoding="utf-8")
    save_file(tiny_clip(seed).state_dict(), folder / "tiny.safetensors")
    return BackboneSpec(name="tiny", config="tiny.json", weights="tiny.safetensors")


def write_image_parquet(path: Path, *, classes: int, per_class: int, size: int, seed: int) -> None:
    """Write pictures of striped squares, one hue and stripe width per class, with seeded noise and shifts.

    Columns: image (PNG bytes), label (int32), label_name ("colour 0", ...); rows in class order.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes, dtype=np.int32), per_class)
    table = pa.table(
        {
            "image": pa.array([_picture(label, classes, size, generator) for label in labels.tolist()], pa.binary()),
            "label": pa.array(labels, pa.int32()),
            "label_name": pa.array([f"colour {label}" for label in labels.tolist()], pa.string()),
        }
    )
    pq.write_table(table, path)


def _picture(label: int, classes: int, size: int, generator: np.random.Generator) -> bytes:
    hue = np.array(colorsys.hsv_to_rgb(label / classes, 0.8, 0.9))
    period = 2 + 2 * (label % 3)
    stripes = (np.arange(size) + generator.integers(period)) // (period / 2) % 2
    light = 0.6 + 0.4 * stripes[:, None, None] * np.ones((1, size, 1))
    pixels = light * hue + generator.normal(0, 0.08, (size, size, 3))
    buffer = io.BytesIO()
    Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def find_records(store_folder: Path, study: str | None = None) -> list[Path]:
    """The record.json of every cell (of one study), in order of study and cell id."""
    return [path for folder in find_cells(store_folder, study) if (path := folder / "record.json").is_file()]
