"""Names and shapes of transformers' CLIPModel and CLIPVisionModelWithProjection -> open_clip's."""

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from heatdrift.model.layouts.open_clip_names import fused_attention

_WHOLE: Final = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "visual_projection.weight": "visual.proj",
    "text_projection.weight": "text_projection",
}
_TURNED: Final = ("visual_projection.weight", "text_projection.weight")  # nn.Linear there, a matrix here
_STARTS: Final = {
    "vision_model.pre_layrnorm.": "visual.ln_pre.",
    "vision_model.pre_layernorm.": "visual.ln_pre.",
    "vision_model.post_layernorm.": "visual.ln_post.",
    "text_model.final_layer_norm.": "ln_final.",
    "vision_model.encoder.layers.": "visual.transformer.resblocks.",
    "text_model.encoder.layers.": "transformer.resblocks.",
}
_INSIDE: Final = {
    "self_attn.": "attn.", "layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}  # fmt: skip
_FUSED: Final = re.compile(r"attn\.(?:in_proj|qkv|qkv_proj)\.(weight|bias)$")
_CONSTANT: Final = ".embeddings.position_ids"  # a buffer that transformers of before 4.31 saved


def is_hugging_face(names: Mapping[str, object]) -> bool:
    """Whether names are those of transformers' CLIP, whole or its vision model."""
    return any(name.startswith("vision_model.encoder.layers.") for name in names)


def open_clip_name(name: str) -> str | None:
    """The name in open_clip of a tensor of transformers' CLIP; None for one that has no place there."""
    if name in _WHOLE:
        return _WHOLE[name]
    start = next((start for start in _STARTS if name.startswith(start)), None)
    if start is None:
        return None
    rest = name.removeprefix(start)
    for theirs, ours in _INSIDE.items():
        rest = rest.replace(f".{theirs}", f".{ours}")
    return _STARTS[start] + _FUSED.sub(r"attn.in_proj_\1", rest)


def from_hugging_face(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Open_clip's names and shapes, and what was converted; names without a place there stay as they are."""
    found: dict[str, Tensor] = {}
    dropped = [name for name in tensors if name.endswith(_CONSTANT)]
    for name, tensor in tensors.items():
        if name not in dropped:
            found[open_clip_name(name) or name] = tensor.T.contiguous() if name in _TURNED else tensor
    found, fused = fused_attention(found)
    said = ["names of transformers' CLIP turned into open_clip's", *fused]
    return found, said + ([f"left out: {', '.join(dropped)} (constants, not learned)"] if dropped else [])
