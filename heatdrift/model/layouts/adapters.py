"""A peft adapter folder + the weights of its base -> the weights of the adapted model: W + scaling * B A.

The adapter may lie on transformers' CLIP (whole or vision model) or on an open_clip tower with split attention.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import torch
from torch import Tensor

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import ModelError
from heatdrift.model.layouts.containers import read_container
from heatdrift.model.layouts.hugging_face import open_clip_name

CONFIG: Final = "adapter_config.json"
_FILES: Final = ("adapter_model.safetensors", "adapter_model.bin")
_PREFIX: Final = "base_model.model."
_PART: Final = re.compile(r"(.*)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.(weight|bias))?")
_SPLIT: Final = re.compile(r"(.*\.attn\.)([qkv])_proj\.(weight|bias)")
_SAVED: Final = re.compile(r"\.modules_to_save(\.default)?\.")


class AdapterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What of peft's adapter_config.json decides the weights."""

    peft_type: str = "LORA"
    r: int = 8
    lora_alpha: float = 8.0
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    bias: str = "none"
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    base_model_name_or_path: str | None = None

    def scaling(self, module: str) -> float:
        """Strength of the update of one module: alpha / rank, or alpha / sqrt(rank) with rsLoRA."""
        rank = _of_pattern(self.rank_pattern, module, self.r)
        alpha = _of_pattern(self.alpha_pattern, module, self.lora_alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def is_adapter(path: Path) -> bool:
    """Whether a path is a peft adapter folder."""
    return path.is_dir() and (path / CONFIG).is_file()


def adapter_files(folder: Path) -> tuple[Path, Path]:
    """Configuration and weights of an adapter folder; ModelError where the weights are missing."""
    weights = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder} has {CONFIG} but none of {', '.join(_FILES)}", hint="copy the whole adapter folder")
    return folder / CONFIG, weights


def adapter_config(path: Path) -> AdapterConfig:
    """Read adapter_config.json; ModelError where it is none."""
    again = "copy the adapter again"
    with decoding(lambda said: ModelError(f"{path} is no configuration of peft: {said}", hint=again)):
        return msgspec.json.decode(read_whole(path), type=AdapterConfig)


def merged_adapter(folder: Path, base: Mapping[str, Tensor], base_sha256: str) -> tuple[dict[str, Tensor], list[str]]:
    """State dict of the base with the adapter added in, under open_clip's names; what was done, in words.

    Parameters
    ----------
    base : whole state dict of the base, open_clip's names, float32.
    base_sha256 : hash of the base's content, compared with the one that the adapter was saved with, if any.

    Raises
    ------
    ModelError : no adapter of the LoRA family; one for another base: a module that the base lacks, another shape or
        hash.
    """
    config_path, weights = adapter_files(folder)
    config = adapter_config(config_path)
    if config.peft_type != "LORA":
        problem = f"{folder} holds an adapter of kind {config.peft_type}; LoRA, rsLoRA and DoRA are read"
        raise ModelError(problem, hint="merge it with peft (merge_and_unload) and give the merged weights")
    contents = read_container(weights)
    saved_with = contents.metadata.get("backbone_sha256")
    if saved_with not in (None, base_sha256):
        assert saved_with is not None
        problem = f"{folder} was trained on another base: {saved_with[:12]}..., this one is {base_sha256[:12]}..."
        raise ModelError(problem, hint="give the base that the adapter was trained on with --base")
    tensors = {name.removeprefix(_PREFIX): t.float() for name, t in contents.value.items() if isinstance(t, Tensor)}
    if all(open_clip_name(_module(name)) is None and not name.startswith("visual.") for name in tensors):
        tensors = {f"visual.{name}": tensor for name, tensor in tensors.items()}  # it lies on an open_clip tower
    found, pairs = dict(base), _pairs(tensors)
    for module, parts in pairs.items():
        _add(found, module, parts, config, folder)
    rest = {name: t for name, t in tensors.items() if _PART.fullmatch(name) is None}
    for name, tensor in rest.items():
        _replace(found, name, tensor, folder)
    kind = "DoRA" if config.use_dora else "rsLoRA" if config.use_rslora else "LoRA"
    said = [f"peft adapter ({kind}, rank {config.r}, alpha {config.lora_alpha:g}) added to {len(pairs)} layers of base"]
    said += [f"taken whole from the adapter: {', '.join(sorted(rest))}"] if rest else []
    return found, said


def _module(name: str) -> str:
    """Name of the base's weight that a tensor of an adapter belongs to."""
    match = _PART.fullmatch(name)
    return f"{match[1]}.weight" if match else _SAVED.sub(".", name)


def _pairs(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if match := _PART.fullmatch(name):
            pairs.setdefault(match[1], {})[match[2] if match[3] != "bias" else f"{match[2]}.bias"] = tensor
    return pairs


def _add(
    found: dict[str, Tensor], module: str, parts: Mapping[str, Tensor], config: AdapterConfig, folder: Path
) -> None:
    target = _place(f"{module}.weight", found, folder)
    if "lora_A" not in parts or "lora_B" not in parts:
        raise ModelError(f"{folder}: layer {module} lacks lora_A or lora_B", hint="save the adapter again")
    update = config.scaling(module) * (parts["lora_B"].flatten(1) @ parts["lora_A"].flatten(1))
    if config.fan_in_fan_out:
        update = update.T
    old = _read(found, target)
    if update.numel() != old.numel() or update.shape[0] != old.shape[0]:
        problem = (
            f"{folder} is for another base: its update of {module} is {tuple(update.shape)}, "
            f"the base's weight {tuple(old.shape)}"
        )
        raise ModelError(problem, hint="give the base that the adapter was trained on with --base")
    new = old + update.view_as(old)
    if (magnitude := parts.get("lora_magnitude_vector")) is not None:
        norm = new.flatten(1).norm(dim=1)
        new = new * (magnitude.flatten() / norm).view(-1, *[1] * (new.ndim - 1))
    _write(found, target, new)
    if (bias := parts.get("lora_B.bias")) is not None:
        where = _place(f"{module}.bias", found, folder)
        _write(found, where, _read(found, where) + config.scaling(module) * bias)


def _replace(found: dict[str, Tensor], name: str, tensor: Tensor, folder: Path) -> None:
    """Put in what the adapter kept whole: trained biases and modules_to_save."""
    plain = _module(name).replace(".base_layer.", ".")
    turned = plain in ("visual_projection.weight", "text_projection.weight")
    target = _place(plain, found, folder)
    new = tensor.T if turned else tensor
    if new.shape != _read(found, target).shape:
        problem = (
            f"{folder} is for another base: {plain} is {tuple(new.shape)}, not {tuple(_read(found, target).shape)}"
        )
        raise ModelError(problem, hint="give the base that the adapter was trained on with --base")
    _write(found, target, new)


Place = tuple[str, int | None]  # name of open_clip, and which third of it where q, k and v are one matrix


def _place(name: str, found: Mapping[str, Tensor], folder: Path) -> Place:
    ours = open_clip_name(name) or name
    match = _SPLIT.fullmatch(ours)
    target = f"{match[1]}in_proj_{match[3]}" if match else ours
    if target in found:
        return target, "qkv".index(match[2]) if match else None
    problem = f"{folder} is for another base: it changes {name}, which the base does not have"
    raise ModelError(problem, hint="give the base that the adapter was trained on with --base")


def _read(found: Mapping[str, Tensor], place: Place) -> Tensor:
    name, third = place
    return found[name] if third is None else found[name].chunk(3)[third]


def _write(found: dict[str, Tensor], place: Place, value: Tensor) -> None:
    name, third = place
    if third is None:
        found[name] = value
        return
    parts = list(found[name].chunk(3))
    parts[third] = value
    found[name] = torch.cat(parts)


def _of_pattern(pattern: Mapping[str, float], module: str, default: float) -> float:
    """Peft's rule: the first key that ends the module's name, or matches it as a regular expression."""
    for key, value in pattern.items():
        if module.endswith(f".{key}") or module == key or re.fullmatch(rf"(.*\.)?({key})", module):
            return value
    return default
