"""Adapters of peft on q, k and v of any open_clip tower, for people who train with a loop of their own.

open_clip keeps the three input projections of attention as one weight matrix, so peft finds no q_proj to adapt. Split
into four linear layers, the tower computes the same numbers and peft's usual target modules exist.
"""

from typing import TYPE_CHECKING, Any

from torch import nn

from heatdrift.errors import ModelError
from heatdrift.model.attention import attention_blocks, split_attention

if TYPE_CHECKING:
    import peft


def adapt_open_clip(tower: nn.Module, config: "peft.PeftConfig") -> Any:  # noqa: ANN401 - peft.PeftModel is untyped
    """Put peft's adapters on an open_clip model; its vision transformer is split in place.

    Parameters
    ----------
    tower : open_clip's CLIP model, or its ``visual``; of a whole model only the vision transformer is split, so
        ``q_proj`` and ``v_proj`` exist there alone and the text tower stays as it is.
    config : for example ``peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"])``.

    Returns
    -------
    peft.PeftModel : embeds as before until it is trained; everything but the adapters is frozen.

    Raises
    ------
    ModelError : not a vision transformer of open_clip's default blocks, or no module of it has a targeted name.

    Examples
    --------
    >>> import heatdrift, open_clip, peft
    >>> model = open_clip.create_model("ViT-S-32-alt")  # random weights; your own: pretrained="openai", ...
    >>> model = heatdrift.adapt_open_clip(model, peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    >>> sum(p.numel() for p in model.parameters() if p.requires_grad)
    147456
    """
    import peft

    visual = getattr(tower, "visual", tower)
    if not attention_blocks(visual):
        split_attention(visual)
    try:
        return peft.get_peft_model(tower, config)
    except ValueError as error:
        if "target" not in str(error).lower():
            raise
        hint = 'target_modules=["q_proj", "v_proj"]; also: k_proj, out_proj, c_fc, c_proj'
        raise ModelError(f"peft finds nothing to adapt: {str(error)[:160]}", hint=hint) from error
