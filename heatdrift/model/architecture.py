"""What an architecture may say, so that probes, prompts and activations mean what they say. Torch-free."""

from collections.abc import Mapping
from typing import Final

from heatdrift.errors import ModelError

# Options of open_clip that change what is pooled, projected or tokenised, and the only value with which probes and
# prompts hold.
_PLAIN_MODEL: Final[dict[str, object]] = {"custom_text": False, "multimodal_cfg": None, "init_logit_bias": None}
_PLAIN_VISION: Final[dict[str, object]] = {
    "timm_model_name": None,
    "pool_type": "tok",
    "attentional_pool": False,
    "output_tokens": False,
    "patch_dropout": 0.0,
}
_PLAIN_TEXT: Final[dict[str, object]] = {
    "hf_model_name": None,
    "hf_tokenizer_name": None,
    "tokenizer_kwargs": None,
    "vocab_size": 49408,
}
QUICK_GELU_HINT: Final = (
    'write "quick_gelu": true for weights trained with QuickGELU (OpenAI, MetaCLIP, DFN), "quick_gelu": false otherwise'
)


def check_plain(architecture: Mapping[str, object], where: str) -> None:
    """Refuse what is measured wrongly: an embedding not made of the class token, or prompts of a foreign tokenizer.

    Parameters
    ----------
    architecture : open_clip's model config (embed_dim, vision_cfg, text_cfg, ...).
    where : file or name that says so, for the message.
    """
    parts = (("", _PLAIN_MODEL), ("vision_cfg", _PLAIN_VISION), ("text_cfg", _PLAIN_TEXT))
    for part, plain in parts:
        section = architecture[part] if part else architecture
        if not isinstance(section, Mapping):
            raise TypeError(f"{part} is not a table")
        for key, wanted in plain.items():
            found = section.get(key, wanted)
            if found != wanted:
                problem = f"{where} sets {f'{part}.' if part else ''}{key} to {found!r}"
                hint = f"heatdrift measures class token encoders with CLIP's own tokenizer: {key} must be {wanted!r}"
                raise ModelError(problem, hint=hint)


def check_states_activation(architecture: Mapping[str, object], where: str) -> None:
    """Refuse an architecture file that leaves `quick_gelu` to open_clip's default.

    Weights do not show which activation they were trained with, both load strictly, and the wrong one gives a model
    that is worse but works: with files given by path the architecture must say it.
    """
    if not isinstance(architecture.get("quick_gelu"), bool):
        raise ModelError(f"{where} does not say which activation the weights were trained with", hint=QUICK_GELU_HINT)
