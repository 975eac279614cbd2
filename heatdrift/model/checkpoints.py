"""A base and models adapted from it elsewhere: any layout, any training loop, opened so that they can be compared."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model.architecture import QUICK_GELU_HINT
from heatdrift.model.backbone import Backbone, BackboneFiles, built_backbone, load_backbone
from heatdrift.model.identity import EMBEDDED, file_sha256, files_sha256
from heatdrift.model.layouts.adapters import adapter_files, is_adapter, merged_adapter
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.layouts.fitting import check_fit, refuse_not_finite
from heatdrift.model.layouts.open_clip_names import fused_attention, split_names
from heatdrift.model.layouts.reading import Weights, config_near, parts_sha256, read_weights, weights_file
from heatdrift.model.tags import open_clip_architecture
from heatdrift.records import SourceRecord

_HOW: Final = "lab, MODEL/TAG of open_clip, or the path of weights (with their configuration next to them or --config)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """A model that was made from a base.

    Attributes
    ----------
    model : the base's backbone with this model's towers in place of its own.
    layout, said : what was recognised and what was converted, in words.
    epoch : that the checkpoint says it is of.
    same_visual, same_text : whether every weight of the tower is the base's, to the last bit.
    """

    path: Path
    model: Backbone
    sha256: str
    layout: str
    said: tuple[str, ...]
    epoch: int | None
    same_visual: bool
    same_text: bool


def open_base(base: str | Path, *, config: str | None, folder: Path, device: torch.device) -> Backbone:
    """Open a base: an embedded one, open_clip's MODEL/TAG, or weights by path in any layout.

    Parameters
    ----------
    config : architecture of weights by path where none lies next to them: a JSON file, or open_clip's MODEL name.
    folder : where relative paths start.

    Raises
    ------
    ModelError : no such base, no architecture stated, or as :func:`load_backbone`.
    """
    path = folder / base
    if isinstance(base, str) and config is None and not path.exists():
        if base in EMBEDDED or ("/" in base and not base.startswith((".", "/", "~")) and path.suffix == ""):
            return load_backbone(BackboneSpec(name=base), folder, device)
        raise ModelError(f"there is no base {base!r}", hint=_HOW)
    weights = weights_file(path)
    stated, where, config_path = _architecture(path, config, folder)
    sha256 = files_sha256(config_path, weights) if config_path else parts_sha256(weights)
    files = BackboneFiles(
        config=stated,
        where=where,
        weights=weights,
        sha256=sha256,
        read=SourceRecord(source=weights.name, sha256=sha256),
    )
    return built_backbone(path.name if path.is_dir() else path.name.split(".")[0], files, device)


def _architecture(path: Path, config: str | None, folder: Path) -> tuple[dict[str, Any], str, Path | None]:
    if config is not None and not (folder / config).is_file():
        found = open_clip_architecture(config)
        if found is None:
            problem = f"{config!r} is neither a configuration file nor a model of open_clip"
            raise ModelError(problem, hint="--config ARCH.json or --config ViT-B-32-quickgelu")
        return {"quick_gelu": False, **found}, f"open_clip's {config}", None
    near = folder / config if config is not None else config_near(path)
    if near is None:
        problem = f"no configuration lies next to {path}, and weights do not say heads, preprocessing or activation"
        raise ModelError(problem, hint="--config ARCH.json or --config ViT-B-32-quickgelu (open_clip's MODEL)")
    return read_architecture(near), str(near), near


def open_adapted(path: Path, base: Backbone) -> Adapted:
    """Open a model that was adapted from `base`: weights in any layout, its visual tower alone, or a peft adapter.

    Raises
    ------
    ModelError : another architecture or activation than the base's, an adapter for another base, missing or unexpected
        tensors (grouped), or what the layouts refuse.
    """
    state = _state(base)
    if is_adapter(path):
        tensors, said = merged_adapter(path, state, base.content_sha256)
        refuse_not_finite(tensors, str(path))
        layout, epoch, sha256 = "peft adapter", None, file_sha256(adapter_files(path)[1])
    else:
        weights = read_weights(path)
        _check_stated(path, weights, base)
        tensors, said = dict(weights.tensors), list(weights.said)
        if weights.visual_only:
            tensors = {name: t for name, t in state.items() if not name.startswith("visual.")} | tensors
            said.append("visual tower alone: the text tower is the base's")
        layout, epoch, sha256 = weights.layout, weights.epoch, weights.sha256
    check_fit(tensors, state, str(path), f"of the base {base.name}")
    same = {name: torch.equal(tensors[name], tensor) for name, tensor in state.items()}
    clip = copy.deepcopy(base.clip)
    clip.load_state_dict(split_names(tensors), strict=True)
    return Adapted(
        path=path,
        model=replace(base, name=path.name, visual=clip.visual, clip=clip),
        sha256=sha256,
        layout=layout,
        said=tuple(said),
        epoch=epoch,
        same_visual=all(equal for name, equal in same.items() if name.startswith("visual.")),
        same_text=all(equal for name, equal in same.items() if not name.startswith(("visual.", "logit_scale"))),
    )


def _state(base: Backbone) -> dict[str, Tensor]:
    """State dict of a base in open_clip's own names: q, k and v of its split attention in one matrix again."""
    return fused_attention({name: tensor.detach().cpu() for name, tensor in base.clip.state_dict().items()})[0]


def _check_stated(path: Path, weights: Weights, base: Backbone) -> None:
    """What a model says of itself must be what the base is: heads and activation are not in the weights."""
    near = config_near(path)
    if near is not None:
        stated = read_architecture(near)
        mine, theirs = _flat(base.architecture), _flat(stated.get("model_cfg", stated))
        other = {key: (theirs[key], mine[key]) for key in mine.keys() & theirs.keys() if theirs[key] != mine[key]}
        if other:
            shown = ", ".join(f"{key} {there!r} (base: {here!r})" for key, (there, here) in sorted(other.items()))
            problem = f"{path} has another architecture than the base {base.name}: {shown}"
            raise ModelError(problem, hint="give the base that it was made from with --base")
    said = weights.metadata.get("quick_gelu")
    quick = str(bool(base.architecture["quick_gelu"])).lower()
    if said not in (None, quick):
        raise ModelError(f"{path} says quick_gelu {said}, the base {base.name} {quick}", hint=QUICK_GELU_HINT)


def _flat(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an architecture by their place; what open_clip takes where one is left out is stated."""
    found = {name: value for name, value in architecture.items() if not isinstance(value, Mapping)}
    for part in ("vision_cfg", "text_cfg"):
        section = architecture.get(part)
        if isinstance(section, Mapping):
            filled = {"mlp_ratio": 4.0, **({"head_width": 64} if part == "vision_cfg" else {}), **section}
            found |= {f"{part}.{name}": value for name, value in filled.items()}
    return found
