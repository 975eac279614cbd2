"""What a file or folder of weights is, without building the model: sizes from shapes, the rest from what is stated."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import open_clip
import torch
from torch import Tensor

from heatdrift.decoding import decoding
from heatdrift.errors import ModelError
from heatdrift.model.identity import file_sha256
from heatdrift.model.layouts.adapters import adapter_config, adapter_files, is_adapter
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.layouts.containers import read_container
from heatdrift.model.layouts.fitting import check_fit
from heatdrift.model.layouts.reading import Weights, config_near, read_weights

_NOT_SHOWN = "not in the weights, and no configuration lies next to them"


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """QuickGELU or GELU, and how that was decided; `name` None where nothing says it."""

    name: str | None
    decided_by: str


class Tower(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of one tower; `heads` None where they are not stated, because weights do not show them.

    ``tokens``: positions, of the visual tower with the class token.
    """

    blocks: int
    width: int
    mlp_width: int
    heads: int | None
    tokens: int


class WeightsDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised in one file or folder.

    Attributes
    ----------
    layout, converted : what it is, and what reading it converts, in words.
    config : configuration that lies next to it.
    patch_size, image_size, embed_dim : of the visual tower, from shapes.
    precision : type -> tensors, as the file keeps them.
    sha256 : of the file, or over all files of a sharded model.
    epoch : that a training checkpoint states.
    problems : why it cannot be used as it is, such as tensors that are missing.
    """

    path: str
    layout: str
    converted: tuple[str, ...] = ()
    config: str | None = None
    visual: Tower | None = None
    text: Tower | None = None
    patch_size: int | None = None
    image_size: int | None = None
    embed_dim: int | None = None
    activation: Activation | None = None
    parameters: int = 0
    visual_parameters: int = 0
    precision: Mapping[str, int] = {}
    sha256: str
    config_sha256: str | None = None
    epoch: int | None = None
    metadata: Mapping[str, str] = {}
    problems: tuple[str, ...] = ()


def describe(path: Path) -> WeightsDescription:
    """Describe weights in any layout, or a peft adapter.

    Raises
    ------
    ModelError : what ``read_weights`` refuses.
    """
    if is_adapter(path):
        return _adapter(path)
    weights = read_weights(path)
    near = config_near(path)
    stated = {} if near is None else read_architecture(near)
    model = stated.get("model_cfg", stated)
    tensors = weights.tensors
    patches = tensors.get("visual.conv1.weight")
    positions = tensors.get("visual.positional_embedding")
    patch = None if patches is None else int(patches.shape[-1])
    side = None if positions is None else round((positions.shape[0] - 1) ** 0.5)
    return WeightsDescription(
        path=str(path),
        layout=weights.layout,
        converted=weights.said,
        config=None if near is None else str(near),
        visual=_tower(tensors, "visual.", model.get("vision_cfg", {})),
        text=_tower(tensors, "", model.get("text_cfg", {})),
        patch_size=patch,
        image_size=None if patch is None or side is None else side * patch,
        embed_dim=int(tensors["visual.proj"].shape[1]) if "visual.proj" in tensors else None,
        activation=_activation(weights, model, near),
        parameters=sum(t.numel() for t in tensors.values()),
        visual_parameters=sum(t.numel() for name, t in tensors.items() if name.startswith("visual.")),
        precision=weights.dtypes,
        sha256=weights.sha256,
        config_sha256=None if near is None else file_sha256(near),
        epoch=weights.epoch,
        metadata=weights.metadata,
        problems=tuple(_problems(path, weights, model)),
    )


def _tower(tensors: Mapping[str, Tensor], start: str, stated: Mapping[str, Any]) -> Tower | None:
    pattern = re.compile(rf"{re.escape(start)}transformer\.resblocks\.(\d+)\.mlp\.c_fc\.weight")
    found = {int(match[1]): t for name, t in tensors.items() if (match := pattern.fullmatch(name))}
    positions = tensors.get(f"{start}positional_embedding")
    if not found:
        return None
    mlp, width = found[min(found)].shape
    heads = stated.get("heads")
    if start and stated:
        heads = width // stated.get("head_width", 64)
    return Tower(
        blocks=len(found),
        width=width,
        mlp_width=mlp,
        heads=heads,
        tokens=0 if positions is None else int(positions.shape[0]),
    )


def _inferred(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """An architecture with these shapes, one head wide, which names and shapes do not depend on; empty if none has."""
    visual, text, patches = _tower(tensors, "visual.", {}), _tower(tensors, "", {}), tensors.get("visual.conv1.weight")
    if visual is None or patches is None:
        return {}
    side, patch = round(max(visual.tokens - 1, 1) ** 0.5), int(patches.shape[-1])
    proj = tensors.get("visual.proj")
    found: dict[str, Any] = {
        "embed_dim": visual.width if proj is None else int(proj.shape[1]),
        "vision_cfg": {
            "image_size": side * patch,
            "patch_size": patch,
            "layers": visual.blocks,
            "width": visual.width,
            "head_width": visual.width,
            "mlp_ratio": visual.mlp_width / visual.width,
        },
    }
    if text is not None:
        found["text_cfg"] = {
            "context_length": text.tokens or 77,
            "vocab_size": 49408,
            "width": text.width,
            "heads": 1,
            "layers": text.blocks,
            "mlp_ratio": text.mlp_width / text.width,
        }
    return found


def _activation(weights: Weights, model: Mapping[str, Any], near: Path | None) -> Activation:
    names = {True: "QuickGELU", False: "GELU"}
    quick = model.get("quick_gelu")
    if isinstance(quick, bool):
        return Activation(name=names[quick], decided_by=f"stated in {near}")
    if (said := weights.metadata.get("quick_gelu")) in ("true", "false"):
        return Activation(name=names[said == "true"], decided_by="stated in the metadata of the file")
    if any("input_resolution" in text for text in weights.said):
        return Activation(name="QuickGELU", decided_by="guessed: only OpenAI's archives have input_resolution")
    return Activation(name=None, decided_by=_NOT_SHOWN)


def _problems(path: Path, weights: Weights, model: Mapping[str, Any]) -> list[str]:
    """What keeps the weights from being those of their configuration; of a tower alone only its own tensors count."""
    said = ["the visual tower alone: a base must be named with it"] if weights.visual_only else []
    where = "next to it"
    if not {"vision_cfg", "embed_dim"} <= model.keys():
        model, where = _inferred(weights.tensors), "that its shapes imply"
    if not model:
        return [*said, "no blocks of a vision transformer, or no patch embedding"]
    text = model.get("text_cfg") or {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    try:
        with decoding(lambda why: ModelError(f"its configuration cannot be built: {why}")), torch.device("meta"):
            wanted = open_clip.CLIP(**{**model, "text_cfg": text}).state_dict()
    except ModelError as error:
        return [*said, error.message]
    if weights.visual_only:
        wanted = {name: tensor for name, tensor in wanted.items() if name.startswith("visual.")}
    try:
        check_fit({n: t for n, t in weights.tensors.items() if n in wanted or not weights.visual_only}, wanted,
                  str(path), where)  # fmt: skip
    except ModelError as error:
        said.append(error.message)
    return said


def _adapter(path: Path) -> WeightsDescription:
    config_path, file = adapter_files(path)
    config = adapter_config(config_path)
    contents = read_container(file)
    tensors = {name: t for name, t in contents.value.items() if isinstance(t, Tensor)}
    n_layers = sum(".lora_A" in name for name in tensors)
    base = config.base_model_name_or_path or "not said"
    return WeightsDescription(
        path=str(path),
        layout=f"peft adapter ({config.peft_type}, rank {config.r}, alpha {config.lora_alpha:g}) on {n_layers} layers",
        config=str(config_path),
        parameters=sum(t.numel() for t in tensors.values()),
        sha256=file_sha256(file),
        config_sha256=file_sha256(config_path),
        metadata={**contents.metadata, "base": base},
        problems=("an adapter: its base must be named with it",),
    )
