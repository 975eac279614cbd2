"""Configuration files -> open_clip's model config: its own JSON (also after a byte order mark), transformers'.

Torch-free, as planning is: depth and crop size of a backbone are asked before anything is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import ModelError

_RESAMPLE: Final = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # PIL's numbers, as preprocessor_config.json has them
_ACTIVATIONS: Final = {"quick_gelu": True, "gelu": False}


def read_architecture(path: Path) -> dict[str, Any]:
    """Table of a configuration file: ``model_cfg`` and ``preprocess_cfg`` where it is transformers', else as it is.

    A square size given as [56, 56] becomes 56, as open_clip itself takes both.

    Raises
    ------
    ModelError : not JSON, or a configuration of transformers for another kind of model.
    """
    with decoding(lambda said: ModelError(f"{path} is not an open_clip architecture: {said}", hint="it must be JSON")):
        config = msgspec.json.decode(read_whole(path).removeprefix(b"\xef\xbb\xbf"), type=dict)
    if "model_type" in config or "vision_config" in config:
        return _transformers(config, path)
    vision = _section(config.get("model_cfg", config), "vision_cfg")
    if vision is not None and _is_square(vision.get("image_size")):
        vision["image_size"] = vision["image_size"][0]
    return config


def _is_square(size: object) -> bool:
    return isinstance(size, list) and len(size) == 2 and size[0] == size[1] and isinstance(size[0], int)


def _section(config: object, name: str) -> dict[str, Any] | None:
    found = config.get(name) if isinstance(config, dict) else None
    return found if isinstance(found, dict) else None


class _Tower(msgspec.Struct):
    """One tower in transformers' words; a default is that of its CLIP."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    image_size: int = 224
    patch_size: int = 32
    max_position_embeddings: int = 77
    vocab_size: int = 49408
    projection_dim: int = 512


def _transformers(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    kind = str(config.get("model_type", "clip"))
    if kind not in ("clip", "clip_vision_model"):
        problem = f"{path} is the configuration of a {kind!r} model of transformers"
        raise ModelError(problem, hint="CLIPModel and CLIPVisionModelWithProjection are read")
    with decoding(
        lambda said: ModelError(f"{path} is no configuration of transformers' CLIP: {said}", hint="save it again")
    ):
        if kind == "clip_vision_model":
            vision, text = msgspec.convert(config, type=_Tower), None
            embed = vision.projection_dim
        else:
            vision = msgspec.convert(config["vision_config"], type=_Tower)
            text = msgspec.convert(config["text_config"], type=_Tower)
            embed = int(config.get("projection_dim", 512))
    for tower in filter(None, (vision, text)):
        if tower.hidden_act not in _ACTIVATIONS or tower.layer_norm_eps != 1e-5:
            problem = f"{path}: hidden_act {tower.hidden_act!r}, layer_norm_eps {tower.layer_norm_eps!r}"
            raise ModelError(problem, hint="open_clip's CLIP computes quick_gelu or gelu, with an eps of 1e-05")
    if text is not None and text.hidden_act != vision.hidden_act:
        raise ModelError(f"{path}: the towers have different activations", hint="open_clip's CLIP has one for both")
    model: dict[str, Any] = {
        "embed_dim": embed,
        "quick_gelu": _ACTIVATIONS[vision.hidden_act],
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "patch_size": vision.patch_size,
            **_ratio(vision),
        },
    }
    if text is not None:
        model["text_cfg"] = {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            **_ratio(text),
        }
    return {"model_cfg": model, "preprocess_cfg": _preprocess(path.with_name("preprocessor_config.json"))}


def _ratio(tower: _Tower) -> dict[str, float]:
    ratio = tower.intermediate_size / tower.hidden_size
    return {} if ratio == 4 else {"mlp_ratio": ratio}


def _preprocess(path: Path) -> dict[str, Any]:
    """What preprocessor_config.json says, in open_clip's words; nothing where there is none."""
    if not path.is_file():
        return {}
    with decoding(lambda said: ModelError(f"{path} is not JSON: {said}", hint="copy it again")):
        said = msgspec.json.decode(read_whole(path), type=dict)
    found = {
        "mean": said.get("image_mean"),
        "std": said.get("image_std"),
        "interpolation": _RESAMPLE.get(said.get("resample", 3)),
    }
    return {name: value for name, value in found.items() if value is not None}
