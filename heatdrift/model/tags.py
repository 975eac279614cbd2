"""Pretrained models by open_clip's name and tag ("ViT-B-32-quickgelu/openai"): what they are, where they are published.

Importing open_clip imports torch, and `plan` must not: architectures are read from open_clip's own JSON files, and the
table of tags is made by running only that part of its ``pretrained.py`` which fills it.
"""

import ast
import copy
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from heatdrift.errors import ModelError, nearest_name
from heatdrift.model.architecture import check_plain

HUB_SAFETENSORS: Final = "open_clip_model.safetensors"  # what open_clip calls the file where a tag names a repository
_QUICK: Final = "-quickgelu"  # ends the names of open_clip's models that compute QuickGELU
_OPENAI: Final = "openaipublic"  # in the address of OpenAI's archives, which carries their SHA-256


class _TagConfig(msgspec.Struct, frozen=True, kw_only=True):
    """open_clip's entry of one tag; what is not used here is left out."""

    url: str = ""
    hf_hub: str = ""
    quick_gelu: bool = False
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """One pretrained model of open_clip.

    Attributes
    ----------
    architecture : open_clip's model config.
    preprocess : mean, std, interpolation and resize_mode, as the tag was trained.
    archive_url, archive_sha256 : OpenAI's TorchScript archive and its published hash; None for all other tags, whose
        files at an address are pickles and are not read.
    hub_repo, hub_file : repository on the Hugging Face hub and its safetensors file; None when there is none.
    """

    model: str
    tag: str
    architecture: dict[str, Any]
    preprocess: dict[str, Any]
    archive_url: str | None
    archive_sha256: str | None
    hub_repo: str | None
    hub_file: str | None

    @property
    def name(self) -> str:
        """MODEL/TAG, as studies and records write it."""
        return f"{self.model}/{self.tag}"


def pretrained(name: str) -> Pretrained:
    """Return the pretrained model MODEL/TAG.

    Raises
    ------
    ModelError : no such model or tag (the nearest is named), not a vision transformer that can be measured, or weights
        trained with QuickGELU in a model with GELU, or the reverse.
    """
    model, _, tag = name.partition("/")
    tags = _tags_by_model()
    architecture = open_clip_architecture(model)
    if architecture is None or model not in tags:
        meant = nearest_name(name, [f"{m}/{t}" for m in tags for t in tags[m] if _fits(m, tags[m][t])])
        hint = (
            f"did you mean {meant!r}?" if meant else "python -c 'import open_clip; print(open_clip.list_pretrained())'"
        )
        raise ModelError(f"open_clip has no pretrained model {model!r} (backbone {name!r})", hint=hint)
    if tag not in tags[model]:
        raise _no_such_tag(model, tag, tags)
    config = msgspec.convert(tags[model][tag], type=_TagConfig)
    _check(model, tag, architecture, config)
    archive = config.url if _OPENAI in config.url else None
    path = PurePosixPath(config.hf_hub)
    has_file = bool(config.hf_hub) and not config.hf_hub.endswith("/")
    return Pretrained(
        model=model,
        tag=tag,
        architecture=architecture,
        preprocess={
            "mean": config.mean,
            "std": config.std,
            "interpolation": config.interpolation,
            "resize_mode": config.resize_mode,
        },
        archive_url=archive,
        archive_sha256=archive.split("/")[-2] if archive else None,
        hub_repo=str(path.parent if has_file else path) if config.hf_hub else None,
        hub_file=(path.with_suffix(".safetensors").name if has_file else HUB_SAFETENSORS) if config.hf_hub else None,
    )


def _check(model: str, tag: str, architecture: Mapping[str, Any], config: _TagConfig) -> None:
    check_plain(architecture, model)
    if isinstance(architecture["vision_cfg"].get("layers"), list):
        problem = f"{model} is a ResNet, which has no attention blocks"
        raise ModelError(problem, hint="take a vision transformer, such as ViT-B-32-quickgelu/openai")
    if config.resize_mode != "shortest":
        problem = f"{model}/{tag} was trained on images resized by {config.resize_mode!r}"
        raise ModelError(problem, hint="heatdrift resizes the shorter side and crops: take another tag")
    if config.quick_gelu != bool(architecture.get("quick_gelu", False)):
        raise _wrong_activation(model, tag, trained_quick=config.quick_gelu)


def _wrong_activation(model: str, tag: str, *, trained_quick: bool) -> ModelError:
    trained, built = ("QuickGELU", "GELU") if trained_quick else ("GELU", "QuickGELU")
    right = f"{model}{_QUICK}" if trained_quick else model.removesuffix(_QUICK)
    problem = f"weights {tag!r} were trained with {trained}, {model} computes {built}"
    return ModelError(problem, hint=f'backbone = {{ name = "{right}/{tag}" }}')


def _no_such_tag(model: str, tag: str, tags: Mapping[str, Mapping[str, Any]]) -> ModelError:
    """open_clip lists only QuickGELU tags under its QuickGELU models: a tag of the other one is a mismatch, no typo."""
    if tag in tags.get(model.removesuffix(_QUICK), {}):
        return _wrong_activation(model, tag, trained_quick=False)
    meant = nearest_name(tag, [t for t in tags[model] if _fits(model, tags[model][t])])
    guess = f"did you mean {f'{model}/{meant}'!r}? " if meant else ""
    problem = f"{model!r} has no pretrained tag {tag!r}"
    return ModelError(problem, hint=f"{guess}tags of {model}: {', '.join(sorted(tags[model]))}")


def _fits(model: str, config: Mapping[str, Any]) -> bool:
    """Whether a name may be offered: not one that would be refused for its activation."""
    return model.endswith(_QUICK) or not config.get("quick_gelu", False)


def _open_clip_folder() -> Path:
    found = find_spec("open_clip")
    if found is None or not found.submodule_search_locations:
        raise ModelError("open_clip is not installed", hint="pip install open_clip_torch")
    return Path(found.submodule_search_locations[0])


def open_clip_architecture(model: str) -> dict[str, Any] | None:
    """Open_clip's own config of a MODEL, as its JSON file has it; None where there is no such model."""
    path = _open_clip_folder() / "model_configs" / f"{PurePosixPath(model).name}.json"
    return msgspec.json.decode(path.read_bytes(), type=dict) if path.is_file() else None


@cache
def _tags_by_model() -> dict[str, dict[str, dict[str, Any]]]:
    """Model -> tag -> config: the installed open_clip's table."""
    folder = _open_clip_folder()
    try:
        names = runpy.run_path(str(folder / "constants.py")) | {"copy": copy}
        exec(_table_part(folder / "pretrained.py"), names)
        table = names["_PRETRAINED"]
    except (OSError, SyntaxError, LookupError, NameError, TypeError, AttributeError):  # written otherwise: ask itself
        import open_clip

        table = {}
        for model, tag in open_clip.list_pretrained():
            table.setdefault(model, {})[tag] = open_clip.get_pretrained_cfg(model, tag)
    return {model: dict(tags) for model, tags in table.items()}


def _table_part(path: Path) -> Any:  # noqa: ANN401  a code object
    """The statements of open_clip's pretrained.py that fill its table, without imports and downloading functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept: list[ast.stmt] = [
        node
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.For, ast.Expr))
        or (isinstance(node, ast.FunctionDef) and node.name.startswith("_") and node.name.endswith("cfg"))
    ]
    return compile(ast.Module(body=kept, type_ignores=[]), str(path), "exec")
