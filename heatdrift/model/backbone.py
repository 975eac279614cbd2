"""Architecture and weights -> frozen reference model, loaded strictly and without pickle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import open_clip
import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode

from heatdrift.config import BackboneSpec
from heatdrift.crop_plan import Preprocess
from heatdrift.decoding import decoding
from heatdrift.errors import ModelError
from heatdrift.model.architecture import QUICK_GELU_HINT, check_plain, check_states_activation
from heatdrift.model.attention import split_attention
from heatdrift.model.download import missing_weights, origin, verified_sha256, where_weights
from heatdrift.model.identity import backbone_files, backbone_sha256, files_sha256, is_tag
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.layouts.fitting import check_fit
from heatdrift.model.layouts.reading import read_weights
from heatdrift.model.tags import pretrained
from heatdrift.model.weight_files import read_openai_archive
from heatdrift.records import SourceRecord

TESTED = "open_clip_torch>=3.2,<4"  # as in pyproject.toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A pretrained CLIP: the visual tower is copied per cell, the text tower stays frozen.

    Attributes
    ----------
    sha256 : identity, part of every cell id: of a MODEL/TAG the pin or the hash of that name, else over both files.
    read : what was really read: its source, the hash of its content, the hub's commit.
    said : what the weights' layout made it necessary to convert, in words.
    architecture : open_clip's model config.
    visual : open_clip vision transformer with split attention, in eval mode; its parameters need no gradient.
    clip : the whole model; used for text only.
    embed_dim : width of the shared embedding.
    """

    name: str
    sha256: str
    read: SourceRecord
    said: tuple[str, ...] = ()
    architecture: Mapping[str, Any]
    visual: nn.Module
    clip: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    preprocess: Preprocess
    embed_dim: int

    @property
    def content_sha256(self) -> str:
        """Hash of what was read: of a MODEL/TAG its weights file, else the same as `sha256`."""
        return self.read.sha256

    @torch.inference_mode()
    def class_embeddings(self, class_names: Sequence[str], template: str | Sequence[str]) -> Tensor:
        """Normalised text embeddings of ``template.format(name)``, names as they are: (classes, embed_dim) float32.

        Of several templates, the normalised embeddings of a class are averaged and normalised again, as CLIP does.

        Raises
        ------
        ModelError : a template cannot be filled, or different names become the same tokens, because it has no ``{}``
            or the names lie beyond the context length. Zero-shot accuracy would quietly be chance.
        """
        if isinstance(template, str):
            return self._embedded(class_names, template)
        mean = torch.stack([self._embedded(class_names, one) for one in template]).mean(dim=0)
        return torch.nn.functional.normalize(mean, dim=-1)

    def _embedded(self, class_names: Sequence[str], template: str) -> Tensor:
        try:
            prompts = [template.format(name) for name in class_names]
        except (LookupError, ValueError) as error:
            problem = f"prompt template {template!r} cannot be filled with a class name: {error}"
            raise ModelError(problem, hint="write one {} where the class name goes") from error
        tokens = self.tokenizer(prompts)
        if len({tuple(row) for row in tokens.tolist()}) < len(set(prompts)) or len(set(prompts)) < len(
            set(class_names)
        ):
            problem = f"different class names give the same prompt with template {template!r}"
            raise ModelError(problem, hint="write one {} in a template short enough for the text tower's context")
        parts = torch.split(tokens.to(next(self.clip.parameters()).device), 256)
        return torch.cat([self.clip.encode_text(part, normalize=True) for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneFiles:
    """Config (open_clip's ``model_cfg`` and ``preprocess_cfg``) and weights of a backbone, found and verified."""

    config: dict[str, Any]
    where: str
    weights: Path
    sha256: str
    read: SourceRecord


def load_backbone(spec: BackboneSpec, folder: Path, device: torch.device) -> Backbone:
    """Build the architecture and load its weights, strictly and in float32. Nothing is downloaded.

    Raises
    ------
    ModelError : no such model or tag; weights are not here, damaged, of another architecture or trained with another
        activation; another hash than published or than the study pins.
    """
    files = _published(spec, folder) if is_tag(spec) else _given(spec, folder)
    return built_backbone(spec.name, files, device)


def built_backbone(name: str, files: BackboneFiles, device: torch.device) -> Backbone:
    """The frozen model of a configuration and weights; errors as :func:`load_backbone`."""
    hint = "it must hold embed_dim, vision_cfg and text_cfg as open_clip's own configs do"
    with decoding(lambda said: ModelError(f"{files.where} is not an open_clip architecture: {said}", hint=hint)):
        preprocess = _preprocess(files.config)
        architecture = files.config.get("model_cfg", files.config)
        check_plain(architecture, files.where)
        check_states_activation(architecture, files.where)
        clip = _built(architecture, files.where)
    weights, said = _weights(files, quick_gelu=architecture["quick_gelu"])
    check_fit(weights, clip.state_dict(), str(files.weights), files.where)
    clip.load_state_dict(weights, strict=True)
    clip.requires_grad_(requires_grad=False).eval().to(device)
    split_attention(clip.visual)
    clip.visual.requires_grad_(requires_grad=False).eval()
    context = int(architecture["text_cfg"].get("context_length", 77))
    return Backbone(
        name=name,
        sha256=files.sha256,
        read=files.read,
        said=said,
        architecture=architecture,
        visual=clip.visual,
        clip=clip,
        tokenizer=open_clip.SimpleTokenizer(context_length=context),
        preprocess=preprocess,
        embed_dim=int(architecture["embed_dim"]),
    )


def _built(architecture: dict[str, Any], where: str) -> open_clip.CLIP:
    """Build the model; what open_clip or torch no longer have is said of them, not of the configuration."""
    try:
        return open_clip.CLIP(**architecture)
    except AttributeError as error:
        packages = " and ".join(f"{name} {version(name)}" for name in ("open_clip_torch", "torch"))
        problem = f"{packages} cannot build {where}: {str(error)[:200]}"
        hint = f"nothing is said against the file; install an open_clip that was tested: pip install '{TESTED}'"
        raise ModelError(problem, hint=hint) from error


def _given(spec: BackboneSpec, folder: Path) -> BackboneFiles:
    """Architecture JSON and safetensors by path, or embedded in the package."""
    config_path, weights_path = backbone_files(spec, folder)
    sha256 = files_sha256(config_path, weights_path)
    if spec.sha256 is not None and sha256 != spec.sha256:
        problem = f"backbone {spec.name!r} has sha256 {sha256[:12]}..., the study file says {spec.sha256[:12]}..."
        raise ModelError(problem, hint="use the weights that the study names, or pin the new hash on purpose")
    config = read_architecture(config_path)
    read = SourceRecord(source=spec.weights or spec.name, sha256=sha256)
    return BackboneFiles(config=config, where=str(config_path), weights=weights_path, sha256=sha256, read=read)


def _published(spec: BackboneSpec, folder: Path) -> BackboneFiles:
    """A MODEL/TAG of open_clip whose weights are on this machine."""
    tag = pretrained(spec.name)
    weights = where_weights(spec, folder)
    if weights is None:
        raise missing_weights(spec, folder)
    content = verified_sha256(spec, weights)
    came_from, revision = origin(spec, weights)
    return BackboneFiles(
        config={
            "model_cfg": {"quick_gelu": False, **tag.architecture},  # open_clip's default, checked against the tag
            "preprocess_cfg": tag.preprocess,
        },
        where=tag.model,
        weights=weights,
        sha256=backbone_sha256(spec, folder),
        read=SourceRecord(source=f"open_clip:{tag.name} ({came_from})", sha256=content, revision=revision),
    )


def _weights(files: BackboneFiles, *, quick_gelu: bool) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors of the weights file and what was converted; what its metadata say of the activation must agree."""
    if files.weights.suffix == ".pt" and files.read.source.startswith("open_clip:"):
        return read_openai_archive(files.weights), ()
    found = read_weights(files.weights)
    metadata = found.metadata
    if metadata.get("quick_gelu", str(quick_gelu).lower()) != str(quick_gelu).lower():
        problem = (
            f"{files.weights} says quick_gelu {metadata['quick_gelu']}, {files.where} says {str(quick_gelu).lower()}"
        )
        raise ModelError(problem, hint=QUICK_GELU_HINT)
    if found.visual_only:
        problem = f"{files.weights} holds a visual tower alone, and a base needs its text tower too"
        raise ModelError(problem, hint="give the whole model it comes from as the base, this file as the adapted one")
    return found.tensors, found.said


def _preprocess(config: dict[str, dict[str, object]]) -> Preprocess:
    given = config.get("preprocess_cfg", {})
    architecture = config.get("model_cfg", config)
    vision = architecture["vision_cfg"]
    defaults = {
        "size": vision["image_size"],  # type: ignore[index]
        "mean": open_clip.OPENAI_DATASET_MEAN,
        "std": open_clip.OPENAI_DATASET_STD,
    }
    chosen = {**defaults, **{k: v for k, v in given.items() if k in Preprocess.__struct_fields__}}
    preprocess = msgspec.convert(chosen, type=Preprocess)
    InterpolationMode(preprocess.interpolation)
    if given.get("resize_mode", "shortest") != "shortest":
        raise ValueError(f"resize_mode is {given['resize_mode']!r}; only the shorter side can be resized and cropped")
    return preprocess
