"""read_weights: any file or folder of a CLIP's weights -> tensors in open_clip's names, and what was done to them."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from heatdrift.errors import ModelError
from heatdrift.model.identity import file_sha256, weight_parts
from heatdrift.model.layouts.adapters import is_adapter
from heatdrift.model.layouts.containers import read_container
from heatdrift.model.layouts.fitting import refuse_not_finite
from heatdrift.model.layouts.hugging_face import from_hugging_face, is_hugging_face
from heatdrift.model.layouts.open_clip_names import foreign_tower, is_open_clip, to_open_clip, with_logit_scale
from heatdrift.model.layouts.wrappers import PREFIXES, epoch_of, first_parts, unwrapped, without_heads, without_prefixes

FILES: Final = (  # what a model's folder holds, in the order in which it is looked for
    "open_clip_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
CONFIGS: Final = ("open_clip_config.json", "config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of a CLIP, read.

    Attributes
    ----------
    path : the file that was read.
    tensors : open_clip's names, float32.
    layout : what was recognised, in words.
    said : what was converted, in words, in order.
    dtypes : how the file keeps its tensors, type -> tensors.
    metadata : of safetensors.
    epoch : that a training checkpoint says it is of.
    sha256 : of the file, or over all files of a sharded model.
    """

    path: Path
    tensors: dict[str, Tensor]
    layout: str
    said: tuple[str, ...]
    dtypes: Mapping[str, int]
    metadata: Mapping[str, str]
    epoch: int | None
    sha256: str

    @property
    def visual_only(self) -> bool:
        """Whether the text tower is missing."""
        return not any(not name.startswith("visual.") for name in self.tensors if name != "logit_scale")


def read_weights(path: Path) -> Weights:
    """Read a file, or a folder of open_clip or transformers, of any layout that is known.

    Raises
    ------
    ModelError : not weights (``containers``), a layout that is not known (named by how its keys begin), NaN.
    """
    file = weights_file(path)
    contents = read_container(file)
    tensors, said = unwrapped(contents.value, str(file))
    dtypes = Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
    checkpoint = bool(said)
    tensors, taken = without_prefixes(tensors)
    tensors, heads = without_heads(tensors)
    layout, tensors, converted = _recognised(tensors, file)
    other = {kind: n for kind, n in dtypes.items() if "float" in kind and kind != "float32"}
    halves = [f"{n} tensors of {kind} computed in float32" for kind, n in other.items()]
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    tensors, filled = with_logit_scale(tensors)
    refuse_not_finite(tensors, str(file))
    return Weights(
        path=file,
        tensors=tensors,
        layout=f"{layout}, {'training checkpoint, ' if checkpoint else ''}{contents.container}",
        said=tuple(said + taken + heads + converted + halves + filled),
        dtypes=dict(dtypes),
        metadata=contents.metadata,
        epoch=epoch_of(contents.value),
        sha256=parts_sha256(file),
    )


def weights_file(path: Path) -> Path:
    """The weights of a folder, or the path itself.

    Raises
    ------
    ModelError : nothing there, a folder without weights, or an adapter, which is nothing without its base.
    """
    if not path.exists():
        raise ModelError(f"there is no file or folder {path}", hint="check the path")
    if not path.is_dir():
        return path
    if is_adapter(path):
        raise ModelError(f"{path} is a peft adapter, not a model", hint="name its base with --base, it as --adapted")
    found = next((path / name for name in FILES if (path / name).is_file()), None)
    if found is None:
        raise ModelError(f"{path} holds no weights under a name that is known", hint=f"one of {', '.join(FILES)}")
    return found


def config_near(path: Path) -> Path | None:
    """The configuration that belongs to weights: in their folder, or a JSON of the same name next to the file.

    That of a folder counts for the file that the folder is about, not for any checkpoint that lies in it.
    """
    folder = path if path.is_dir() else path.parent
    same = [] if path.is_dir() else [path.with_suffix(".json")]
    whole = [folder / name for name in CONFIGS] if path.is_dir() or path.name in FILES else []
    return next((c for c in (*same, *whole) if c.is_file() and c != path), None)


def parts_sha256(file: Path) -> str:
    """Hash of the file, or over all files of a sharded model."""
    parts = weight_parts(file)
    if len(parts) == 1:
        return file_sha256(file)
    return hashlib.sha256(b"".join(bytes.fromhex(file_sha256(part)) for part in parts)).hexdigest()


def _recognised(tensors: dict[str, Tensor], file: Path) -> tuple[str, dict[str, Tensor], list[str]]:
    if (foreign := foreign_tower(tensors)) is not None:
        problem = f"{file} is {foreign}; heatdrift measures CLIP's own vision transformers"
        raise ModelError(problem, hint="give a ViT of open_clip or transformers' CLIP")
    if any(name.startswith("encoder.layers.") for name in tensors) and "embeddings.class_embedding" in tensors:
        tensors = {f"vision_model.{name}" if name.split(".")[0] in _BARE else name: t for name, t in tensors.items()}
    if is_hugging_face(tensors):
        whole = any(name.startswith("text_model.") for name in tensors)
        found, said = from_hugging_face(tensors)
        return f"transformers' {'CLIPModel' if whole else 'CLIPVisionModelWithProjection'}", found, said
    if is_open_clip(tensors):
        found, said = to_open_clip(tensors)
        whole = any(not name.startswith("visual.") for name in found)
        return f"open_clip {'model' if whole else 'visual tower alone'}", found, said
    if any(".lora_A" in name for name in tensors):
        problem = f"{file} holds the tensors of a peft adapter, not a model"
        raise ModelError(problem, hint="give its folder (with adapter_config.json) as --adapted, and its --base")
    problem = f"{file} has a layout that is not known: keys begin with {first_parts(tensors)}"
    hint = f"open_clip's and transformers' CLIP names are read, also behind {' '.join(PREFIXES[:4])}; rename the keys"
    raise ModelError(problem, hint=hint)


_BARE: Final = ("encoder", "embeddings", "pre_layrnorm", "post_layernorm")
