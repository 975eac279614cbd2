"""What training loops put around a state dict: tables of a checkpoint, prefixes of names, heads next to the CLIP."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from heatdrift.errors import ModelError

# Where checkpoints keep the weights, in the order of trust; the table with the most tensors would be the optimiser's.
_TABLES: Final = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "state", "ema_state_dict")
PREFIXES: Final = (  # of DataParallel, wrappers, torch.compile, peft, FSDP, Lightning modules
    *("module.", "model.", "_orig_mod.", "base_model.", "_fsdp_wrapped_module.", "_forward_module.", "network."),
    *("clip.", "clip_model.", "image_encoder."),
)
_HEADS: Final = ("classifier.", "classification_head.", "head.", "fc.", "linear.", "logits.")


def unwrapped(value: Mapping[str, Any], where: str) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors of a checkpoint by name, and what was passed through to reach them.

    Raises
    ------
    ModelError : no table in it holds tensors.
    """
    said: list[str] = []
    while not (tensors := _tensors(value)):
        name = next((t for t in _TABLES if isinstance(value.get(t), Mapping)), None)
        if name is None:
            keys = ", ".join(map(repr, list(value)[:6])) or "nothing"
            hint = f"save the model's state_dict, alone or under one of {', '.join(_TABLES[:4])}"
            raise ModelError(f"{where} holds no weights: its keys are {keys}", hint=hint)
        others = [f"epoch {value['epoch']}"] if isinstance(value.get("epoch"), int) else []
        others += [str(key) for key in value if key not in (name, "epoch")][:4]
        said.append(f"taken from {name!r} of a training checkpoint" + (f" ({', '.join(others)})" if others else ""))
        value = value[name]
    return tensors, said


def epoch_of(value: Mapping[str, Any]) -> int | None:
    """Epoch that a training checkpoint says it is of."""
    epoch = value.get("epoch")
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) and epoch >= 0 else None


def _tensors(value: Mapping[str, Any]) -> dict[str, Tensor]:
    """The table's own tensors; none where it holds tables that may have them."""
    if any(isinstance(value.get(name), Mapping) for name in _TABLES):
        return {}
    return {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}


def without_prefixes(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Names without the prefixes of wrappers, in any combination; what was taken off.

    A name is left as it is where taking the prefix off would make it that of another tensor.
    """
    found, taken = dict(tensors), Counter[str]()
    again = True
    while again:
        again = False
        for prefix in PREFIXES:
            short = {name: name.removeprefix(prefix) for name in found if name.startswith(prefix)}
            if short and len({*short.values(), *(found.keys() - short.keys())}) == len(found):
                found = {short.get(name, name): tensor for name, tensor in found.items()}
                taken[prefix] += len(short)
                again = True
    return found, [f"prefix {prefix!r} taken off {n} names" for prefix, n in taken.items()]


def without_heads(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Leave out a classifier that was trained on the embedding: it is no part of a CLIP."""
    heads = [name for name in tensors if name.startswith(_HEADS)]
    said = [f"left out: {', '.join(heads)} (a classifier, no part of the CLIP)"] if heads else []
    return {name: tensor for name, tensor in tensors.items() if name not in heads}, said


def first_parts(names: Mapping[str, object]) -> str:
    """How names begin, most frequent first, for an error that says which layout was found."""
    counted = Counter(f"{name.split('.', 1)[0]}." if "." in name else name for name in names)
    shown = ", ".join(f"{part!r} ({n})" for part, n in counted.most_common(4))
    return shown + (", ..." if len(counted) > 4 else "")
