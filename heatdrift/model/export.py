"""A trained model -> safetensors that other tools load: merged weights as open_clip names them, head, adapters.

The folder that :func:`export_weights` writes is three things at once: ``open_clip_config.json`` and
``open_clip_model.safetensors`` are a model for open_clip (``local-dir:FOLDER``) and a backbone for heatdrift (config
and weights by path); ``head.safetensors`` holds the classifier, and the projection where it was trained; the rest is
what the method's family has for other programs, such as an adapter for peft, on a tower with split attention.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import torch
from torch import Tensor

from heatdrift.model.adapt import AdaptedModel
from heatdrift.model.backbone import Backbone
from heatdrift.model.weight_files import write_safetensors, write_text

_PARTS: Final = ("q_proj", "k_proj", "v_proj")


def head_tensors(model: AdaptedModel) -> dict[str, Tensor]:
    """``classifier.weight``, ``classifier.bias``, and ``visual.proj`` where it was trained."""
    trained = model.trained_state()
    return {name: t for name, t in trained.items() if name.startswith("classifier.") or name == "visual.proj"}


def merged_state_dict(backbone: Backbone, model: AdaptedModel) -> dict[str, Tensor]:
    """State dict of the whole adapted CLIP for plain open_clip: adapters added in, q, k and v in one matrix again.

    The classifier is no part of a CLIP: see :func:`head_tensors`. The model itself is left as it is.
    """
    visual = model.family.merged(model.visual)
    text = {name: t.detach() for name, t in backbone.clip.state_dict().items() if not name.startswith("visual.")}
    return {**text, **{f"visual.{name}": tensor for name, tensor in _fused(visual).items()}}


def export_weights(
    folder: Path, backbone: Backbone, model: AdaptedModel, *, metadata: Mapping[str, str]
) -> tuple[Path, ...]:
    """Write the files of a trained model into `folder`, each by atomic rename; returns their paths.

    Parameters
    ----------
    metadata : put into every safetensors file, such as study and cell id.

    Raises
    ------
    ModelError : the folder cannot be written.
    """
    labels = {
        **metadata,
        "backbone": backbone.name,
        "backbone_sha256": backbone.content_sha256,
        "quick_gelu": str(bool(backbone.architecture["quick_gelu"])).lower(),
        "format": "pt",
    }
    files: dict[str, Mapping[str, Tensor] | str] = {
        "open_clip_model.safetensors": merged_state_dict(backbone, model),
        "head.safetensors": head_tensors(model),
        "open_clip_config.json": _config(backbone),
        **model.family.files(model.visual),
    }
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        else:
            write_safetensors(folder / name, content, labels)
    return tuple(folder / name for name in files)


def _fused(split: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names and shapes of torch's fused attention from those of the split one."""
    fused: dict[str, Tensor] = {}
    for name, tensor in split.items():
        stem, _, last = name.rpartition(".")
        block, _, part = stem.rpartition(".")
        if part not in _PARTS:
            fused[name] = tensor
        elif part == _PARTS[0]:
            fused[f"{block}.in_proj_{last}"] = torch.cat([split[f"{block}.{each}.{last}"] for each in _PARTS])
    return fused


def _config(backbone: Backbone) -> str:
    preprocess = msgspec.to_builtins(backbone.preprocess)
    if backbone.preprocess.antialias:
        del preprocess["antialias"]  # always on in open_clip, which has no word for it and passes over ours
    config = {"model_cfg": dict(backbone.architecture), "preprocess_cfg": {**preprocess, "resize_mode": "shortest"}}
    return json.dumps(config, indent=2)
