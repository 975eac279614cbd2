"""Architecture and weights -> frozen reference model, loaded strictly from safetensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import open_clip
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model.attention import split_attention
from heatdrift.model.identity import backbone_files, files_sha256
from heatdrift.records import Preprocess

# Options of open_clip that change what is pooled or tokenised, and the only value with which probes and prompts hold.
_PLAIN_VISION = {"pool_type": "tok", "attentional_pool": False, "output_tokens": False, "patch_dropout": 0.0}
_PLAIN_TEXT = {"hf_model_name": None, "hf_tokenizer_name": None, "tokenizer_kwargs": None, "vocab_size": 49408}
_NOT_BUILT = (  # what open_clip and torch raise for a configuration that makes no sense
    msgspec.DecodeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A pretrained CLIP: the visual tower is copied per cell, the text tower stays frozen.

    Attributes
    ----------
    visual : open_clip vision transformer with split attention, in eval mode; its parameters need no gradient.
    clip : the whole model; used for text only.
    embed_dim : width of the shared embedding.
    """

    name: str
    sha256: str
    visual: nn.Module
    clip: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    preprocess: Preprocess
    embed_dim: int

    @torch.inference_mode()
    def class_embeddings(self, class_names: Sequence[str], template: str) -> Tensor:
        """Normalised text embeddings of ``template.format(name)``: (classes, embed_dim) float32.

        Raises
        ------
        ModelError : the template cannot be filled, or different names become the same tokens, because it has no ``{}``
            or the names lie beyond the context length. Zero-shot accuracy would quietly be chance.
        """
        try:
            prompts = [template.format(name.replace("_", " ")) for name in class_names]
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


def load_backbone(spec: BackboneSpec, folder: Path, device: torch.device) -> Backbone:
    """Build the architecture and load its weights, strictly and in float32.

    Raises
    ------
    ModelError : a file is missing or damaged, weights of another architecture, or another hash than the study pins.
    """
    config_path, weights_path = backbone_files(spec, folder)
    sha256 = files_sha256(config_path, weights_path)
    if spec.sha256 is not None and sha256 != spec.sha256:
        problem = f"backbone {spec.name!r} has sha256 {sha256[:12]}..., the study file says {spec.sha256[:12]}..."
        raise ModelError(problem, hint="use the weights that the study names, or pin the new hash on purpose")
    try:
        config = msgspec.json.decode(config_path.read_bytes(), type=dict)
        preprocess = _preprocess(config)
        architecture = config.get("model_cfg", config)
        _check_plain(architecture, config_path)
        clip = open_clip.CLIP(**architecture)
    except _NOT_BUILT as error:
        problem = f"{config_path} is not an open_clip architecture: {error}"
        raise ModelError(
            problem, hint="it must hold embed_dim, vision_cfg and text_cfg as open_clip's own configs do"
        ) from error
    try:
        weights = {name: tensor.float() for name, tensor in load_file(weights_path).items()}
        clip.load_state_dict(weights, strict=True)
    except SafetensorError as error:
        problem = f"{weights_path} is not a readable safetensors file: {error}"
        raise ModelError(problem, hint="it may be truncated: copy or download it again") from error
    except RuntimeError as error:
        first = [line.strip() for line in str(error).splitlines()[1:2]]
        problem = f"{weights_path} does not fit the architecture {config_path}: {''.join(first)[:300]}"
        raise ModelError(problem, hint="give the weights that were trained with this architecture") from error
    clip.requires_grad_(requires_grad=False).eval().to(device)
    split_attention(clip.visual)
    clip.visual.requires_grad_(requires_grad=False).eval()
    context = int(architecture["text_cfg"].get("context_length", 77))
    return Backbone(
        name=spec.name,
        sha256=sha256,
        visual=clip.visual,
        clip=clip,
        tokenizer=open_clip.SimpleTokenizer(context_length=context),
        preprocess=preprocess,
        embed_dim=int(architecture["embed_dim"]),
    )


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


def _check_plain(architecture: dict[str, dict[str, object]], config_path: Path) -> None:
    """Refuse towers whose embedding is not made of the class token that is measured, and foreign tokenizers."""
    for part, plain in (("vision_cfg", _PLAIN_VISION), ("text_cfg", _PLAIN_TEXT)):
        for key, wanted in plain.items():
            found = architecture[part].get(key, wanted)
            if found != wanted:
                problem = f"{config_path} sets {part}.{key} to {found!r}"
                hint = f"heatdrift measures class token encoders with CLIP's own tokenizer: {key} must be {wanted!r}"
                raise ModelError(problem, hint=hint)
