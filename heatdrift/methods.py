"""METHODS: what each fine-tuning method trains. Adding a method is adding one entry (and its row in the tests).

Torch-free: the plan hashes a method's parameters into the cell id, ``model/adapt.py`` carries them out.
"""

from typing import Final, Literal

import msgspec

from heatdrift.errors import UnknownNameError


class LoraConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Low-rank adapters (Hu et al. 2021) on linear layers of every visual block; update = (alpha / rank) B A."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained beside the classifier, which every method trains.

    Attributes
    ----------
    name : identifier in studies, SQL and charts' data.
    tower : part of the visual tower (without projection) whose own weights are trained.
    projection : whether the visual projection is trained.
    lora : adapters on the frozen tower, or None.
    """

    name: str
    tower: Literal["all", "last_block", "none"] = "none"
    projection: bool = False
    lora: LoraConfig | None = None


_ALL = (
    Method(name="full_ft", tower="all", projection=True),
    Method(name="lora_r8", projection=True, lora=LoraConfig()),
    Method(name="lora_r8_frozen_proj", lora=LoraConfig()),
    Method(name="last_block", tower="last_block"),
    Method(name="linear_probe"),
)
METHODS: Final[dict[str, Method]] = {m.name: m for m in _ALL}
METHOD_TITLES: Final[dict[str, str]] = {  # words for people; kept apart because a title must not change a cell id
    "full_ft": "Full FT",
    "lora_r8": "LoRA r=8",
    "lora_r8_frozen_proj": "LoRA r=8, frozen projection",
    "last_block": "Last block",
    "linear_probe": "Linear probe",
}


def learning_rate_text(lr: float) -> str:
    """Return a learning rate as study files and axes write it: 1e-05 is `1e-5`, 0.003 is `3e-3`."""
    if lr == 0:
        return "0"
    mantissa, exponent = f"{lr:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def method(name: str) -> Method:
    """Return the method `name`; UnknownNameError (naming the nearest) when there is none."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownNameError("method", name, METHODS) from None
