"""open_clip's own names but for a few: extras of OpenAI's archives, a text tower apart, split attention."""

import math
import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

_EXTRAS: Final = ("input_resolution", "context_length", "vocab_size", "attn_mask")  # buffers, not learned
_LOST: Final = {"logit_bias": "logit_bias left out: it moves all logits alike and changes no accuracy, no probe"}
LOGIT_SCALE: Final = math.log(1 / 0.07)  # open_clip's at the start
_SPLIT: Final = re.compile(r"(.*\.attn\.)([qkv])_proj\.(weight|bias)")


def is_open_clip(names: Mapping[str, object]) -> bool:
    """Whether names are those of an open_clip vision transformer, whole or its visual tower."""
    return "visual.conv1.weight" in names or {"conv1.weight", "class_embedding"} <= names.keys()


def foreign_tower(names: Mapping[str, object]) -> str | None:
    """What a layout is that has open_clip's ``visual.`` or Hugging Face's names but no such vision transformer."""
    kinds = (
        ("visual.trunk.", "a timm tower (keys begin with 'visual.trunk.')"),
        ("visual.layer1.", "a ResNet (keys begin with 'visual.layer1.')"),
        ("vision_model.head.", "a SigLIP (keys begin with 'vision_model.head.')"),
        ("visual.blocks.", "an EVA tower (keys begin with 'visual.blocks.')"),
    )
    return next((kind for start, kind in kinds if any(name.startswith(start) for name in names)), None)


def to_open_clip(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Names and shapes of open_clip's plain CLIP, and what was converted; the values stay."""
    found, said = dict(tensors), []
    if "visual.conv1.weight" not in found:
        found = {f"visual.{name}": tensor for name, tensor in found.items()}
        said.append("names of a visual tower by itself: 'visual.' put before them")
    if any(name.startswith("text.transformer.") for name in found):
        found = {name.removeprefix("text."): tensor for name, tensor in found.items()}
        said.append("text tower in a module of its own: 'text.' taken off")
    if extras := [name for name in _EXTRAS if name in found]:
        said.append(f"left out: {', '.join(extras)} (constants, not learned)")
    for name in (*extras, *(name for name in _LOST if name in found)):
        if name in _LOST:
            said.append(_LOST[name])
        del found[name]
    found, fused = fused_attention(found)
    return found, said + fused


def fused_attention(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Put q, k and v of a split attention into one matrix, as open_clip keeps them."""
    found: dict[str, Tensor] = {}
    blocks = 0
    for name, tensor in tensors.items():
        match = _SPLIT.fullmatch(name)
        names = [] if match is None else [f"{match[1]}{part}_proj.{match[3]}" for part in "qkv"]
        if match is None or not all(each in tensors for each in names):
            found[name] = tensor
        elif match[2] == "q":
            found[f"{match[1]}in_proj_{match[3]}"] = torch.cat([tensors[each] for each in names])
            blocks += match[3] == "weight"
    return found, [f"q, k and v of {blocks} blocks put into one matrix"] if blocks else []


def split_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse for the visual tower: one matrix of a block as q, k and v of heatdrift's split attention."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem, fused, kind = name.partition("in_proj_")
        if fused and name.startswith("visual."):
            found |= {f"{stem}{part}_proj.{kind}": third for part, third in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            found[name] = tensor
    return found


def with_logit_scale(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Add the temperature where a whole CLIP lacks it: it scales all logits alike."""
    if "logit_scale" in tensors or "text_projection" not in tensors:
        return dict(tensors), []
    filled = {**tensors, "logit_scale": torch.tensor(LOGIT_SCALE)}
    return filled, ["no logit_scale: open_clip's first value taken; it changes no accuracy and no probe"]
