"""A trained model -> safetensors that other tools load: adapters as peft names them, merged weights as open_clip does.

The folder that :func:`export_weights` writes is three things at once: ``open_clip_config.json`` and
``open_clip_model.safetensors`` are a model for open_clip (``local-dir:FOLDER``) and a backbone for heatdrift (config
and weights by path); ``adapter_config.json`` and ``adapter_model.safetensors`` are an adapter for peft, on a tower with
split attention; ``head.safetensors`` holds the classifier, and the projection where it was trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import torch
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from heatdrift.methods import LoraConfig
from heatdrift.model import lora
from heatdrift.model.adapt import AdaptedModel
from heatdrift.model.backbone import Backbone
from heatdrift.model.weight_files import write_safetensors, write_text

_PEFT_PREFIX: Final = "base_model.model."  # what PeftModel puts before a name of the model that it wraps
_PARTS: Final = ("q_proj", "k_proj", "v_proj")


def adapter_tensors(model: AdaptedModel) -> dict[str, Tensor]:
    """A and B of every adapter under peft's names; empty for methods without adapters."""
    if not lora.adapters(model.visual):
        return {}
    state = get_peft_model_state_dict(model.visual, state_dict=dict(model.visual.state_dict()), adapter_name="default")
    return {f"{_PEFT_PREFIX}{name}": tensor.detach() for name, tensor in state.items()}


def head_tensors(model: AdaptedModel) -> dict[str, Tensor]:
    """``classifier.weight``, ``classifier.bias``, and ``visual.proj`` where it was trained.

    With the adapters this is all that a LoRA method trains.
    """
    trained = model.trained_state()
    return {name: t for name, t in trained.items() if name.startswith("classifier.") or name == "visual.proj"}


def merged_state_dict(backbone: Backbone, model: AdaptedModel) -> dict[str, Tensor]:
    """State dict of the whole adapted CLIP for plain open_clip: adapters added in, q, k and v in one matrix again.

    The classifier is no part of a CLIP: see :func:`head_tensors`. The model itself is left as it is.
    """
    updates = lora.adapter_updates(model.visual)
    visual = {
        name.replace(".base_layer", ""): tensor.detach()
        for name, tensor in model.visual.state_dict().items()
        if ".lora_" not in name
    }
    for name, update in updates.items():
        visual[name] = visual[name] + update
    text = {name: t.detach() for name, t in backbone.clip.state_dict().items() if not name.startswith("visual.")}
    return {**text, **{f"visual.{name}": tensor for name, tensor in _fused(visual).items()}}


def export_weights(
    folder: Path, backbone: Backbone, model: AdaptedModel, *, adapter: LoraConfig | None, metadata: Mapping[str, str]
) -> tuple[Path, ...]:
    """Write the files of a trained model into `folder`, each by atomic rename; returns their paths.

    Parameters
    ----------
    adapter : the method's adapters, None for methods without.
    metadata : put into every safetensors file, such as study and cell id.

    Raises
    ------
    ModelError : the folder cannot be written.
    """
    said = {
        **metadata,
        "backbone": backbone.name,
        "backbone_sha256": backbone.content_sha256,
        "quick_gelu": str(bool(backbone.architecture["quick_gelu"])).lower(),
        "format": "pt",
    }
    files = {
        "open_clip_model.safetensors": merged_state_dict(backbone, model),
        "head.safetensors": head_tensors(model),
        **({} if adapter is None else {"adapter_model.safetensors": adapter_tensors(model)}),
    }
    for name, tensors in files.items():
        write_safetensors(folder / name, tensors, said)
    configs = {"open_clip_config.json": _config(backbone)}
    if adapter is not None:
        configs["adapter_config.json"] = json.dumps(lora.wiring(adapter).to_dict(), indent=2, default=str)
    for name, text in configs.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in (*files, *configs))


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
    del preprocess["antialias"]  # always on in open_clip, which has no word for it
    config = {"model_cfg": dict(backbone.architecture), "preprocess_cfg": {**preprocess, "resize_mode": "shortest"}}
    return json.dumps(config, indent=2)
