"""Method: how a method is kept in a cell and its record. What it holds is hashed into the cell id.

The first three families (full, partial, lora) have words of their own here, which records of the first format hold;
every later family writes its ``kind`` and its ``parameters``. A field that is UNSET is not written and not hashed, so
cells that were trained before it came keep their ids.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Parameter = bool | int | float | str | tuple[int | str, ...]


class LoraConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Low-rank adapters as records hold them; see ``families/lora.py``.

    ``targets`` are the names of linear layers of a block; ``blocks`` their positions, UNSET = every block.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    blocks: tuple[int, ...] | UnsetType = UNSET


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained besides the classifier, which every method trains. ``registry.family_of`` reads it.

    Attributes
    ----------
    name : identifier in studies, SQL and charts' data.
    tower : part of the visual tower (without projection) whose own weights are trained (families full and partial).
    projection : whether the visual projection is trained (families full, partial and lora).
    lora : adapters on the frozen tower, or None (family lora).
    kind, parameters : family and its parameters, for all other families.
    alpha : place between the base (0) and what the method trained (1), of ``NAME@ALPHA`` (``between.py``).
    """

    name: str
    tower: Literal["all", "last_block", "none"] = "none"
    projection: bool = False
    lora: LoraConfig | None = None
    kind: str | UnsetType = UNSET
    parameters: Mapping[str, Parameter] | UnsetType = UNSET
    alpha: float | UnsetType = UNSET


def stored_method(text: str | None) -> Method | None:
    """Method of the JSON that the view ``runs`` has as method_spec; None where there is none or it cannot be read."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Method)
    except msgspec.MsgspecError:
        return None
