"""Which backbone a study means, where its files lie and what they hash to. Torch-free, so that `plan` is."""

import hashlib
from importlib import resources
from pathlib import Path

import msgspec

from heatdrift.config import BackboneSpec
from heatdrift.decoding import decoding, or_none, read_whole
from heatdrift.errors import ModelError
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.tags import pretrained

EMBEDDED = ("lab",)  # backbones whose files are in the package


def is_tag(spec: BackboneSpec) -> bool:
    """Whether the backbone is given by open_clip's name and tag (MODEL/TAG) and not by files."""
    return spec.config is None and spec.weights is None and "/" in spec.name


def backbone_paths(spec: BackboneSpec, folder: Path) -> tuple[Path, Path]:
    """Return where architecture JSON and weights of a backbone given by files should lie; relative ones in `folder`.

    Raises
    ------
    ModelError : neither embedded nor given by both paths.
    """
    if spec.config is None and spec.weights is None and spec.name in EMBEDDED:
        inside = Path(str(resources.files("heatdrift.model"))) / "weights"
        return inside / f"{spec.name}.json", inside / f"{spec.name}.safetensors"
    if spec.config is None or spec.weights is None:
        problem = (
            f"backbone {spec.name!r} is neither embedded ({', '.join(EMBEDDED)}), nor open_clip's MODEL/TAG, nor given "
            "by config and weights"
        )
        hint = 'name = "ViT-B-32-quickgelu/openai", or config = "ARCH.json" and weights = "WEIGHTS.safetensors"'
        raise ModelError(problem, hint=hint)
    return folder / spec.config, folder / spec.weights


def backbone_files(spec: BackboneSpec, folder: Path) -> tuple[Path, Path]:
    """Return the paths of :func:`backbone_paths`; ModelError also when a file is missing."""
    paths = backbone_paths(spec, folder)
    for path in paths:
        if not path.is_file():
            hint = "give the folder with --data-dir, data_dir in heatdrift.toml, or HEATDRIFT_DATA"
            raise ModelError(f"there is no file {path} (backbone {spec.name!r})", hint=hint)
    return paths


def weight_parts(path: Path) -> tuple[Path, ...]:
    """Files of weights: the file, or an index (JSON) and then the files that it names, in order.

    ModelError when an index is none.
    """
    if path.suffix != ".json":
        return (path,)
    hint = "give the weights, or a model.safetensors.index.json"
    with decoding(lambda said: ModelError(f"{path} is no index of sharded weights: {said}", hint=hint)):
        index = msgspec.json.decode(read_whole(path), type=_Index)
    if not index.weight_map:
        raise ModelError(f"{path} is no index of sharded weights: it names no tensor", hint=hint)
    return (path, *(path.parent / name for name in sorted(set(index.weight_map.values()))))


class _Index(msgspec.Struct):
    """model.safetensors.index.json: which file holds which tensor."""

    weight_map: dict[str, str]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_sha256(config: Path, weights: Path) -> str:
    """Hash over the bytes of architecture and weights, of all files of sharded ones."""
    parts = (config, *(part for part in weight_parts(weights) if part.is_file()))
    return hashlib.sha256(b"".join(bytes.fromhex(file_sha256(path)) for path in parts)).hexdigest()


def backbone_sha256(spec: BackboneSpec, folder: Path) -> str:
    """Hash that identifies the backbone: as the study file pins it, else from its files, else of its published name.

    A MODEL/TAG is hashed by that name, so that cells have the same ids before and after the download; what was really
    read is in the run's provenance. ModelError when a file is missing or open_clip has no such model or tag.
    """
    if is_tag(spec):
        name = pretrained(spec.name).name
        return spec.sha256 or hashlib.sha256(f"open_clip:{name}".encode()).hexdigest()
    return spec.sha256 if spec.sha256 is not None else files_sha256(*backbone_files(spec, folder))


def backbone_crops(spec: BackboneSpec) -> dict[str, object]:
    """How a published or embedded backbone makes its crops (fields of ``CropPlan``); empty for one given by files.

    Files may be missing when a study is planned and there when it is trained, and cells must have the same ids then.
    """
    if is_tag(spec):
        tag = pretrained(spec.name)
        size, interpolation = tag.architecture["vision_cfg"]["image_size"], tag.preprocess["interpolation"]
        return _as_crops(size, interpolation)
    if spec.config is None and spec.weights is None and spec.name in EMBEDDED:
        return _file_crops(backbone_paths(spec, Path())[0])
    return {}


def architecture_crops(spec: BackboneSpec, folder: Path) -> dict[str, object]:
    """:func:`backbone_crops`, also of one given by files; empty where these are not at hand or do not say."""
    # loading the backbone says what is wrong with it
    return or_none(lambda: backbone_crops(spec) or _file_crops(backbone_paths(spec, folder)[0])) or {}


def _file_crops(path: Path) -> dict[str, object]:
    config = msgspec.json.decode(read_whole(path))
    size = config.get("model_cfg", config)["vision_cfg"]["image_size"]
    return _as_crops(size, config.get("preprocess_cfg", {}).get("interpolation", "bicubic"))


def _as_crops(size: object, interpolation: object) -> dict[str, object]:
    return {"interpolation": interpolation, "antialias": True, "resize": size, "crop": size}


def backbone_depth(spec: BackboneSpec, folder: Path) -> int | None:
    """Blocks of the visual tower, without torch; None where the architecture is not at hand or does not say.

    ModelError when open_clip has no such model or tag, or the backbone is not given at all.
    """
    if is_tag(spec):
        layers = pretrained(spec.name).architecture["vision_cfg"]["layers"]
        return int(layers)
    path = backbone_paths(spec, folder)[0]

    def depth() -> int:
        config = read_architecture(path)
        return int(config.get("model_cfg", config)["vision_cfg"]["layers"])

    return or_none(depth)  # loading it says what is wrong
