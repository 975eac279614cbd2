"""Largest absolute differences between heatdrift's CLIP and the same weights elsewhere: open_clip's fused attention,
Hugging Face's CLIPModel, and the export. `python tests/clip_equivalence.py` prints them; the tests hold them to limits.
"""

import argparse
import copy
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file

from heatdrift.crop_plan import Preprocess
from heatdrift.methods import METHODS
from heatdrift.methods.families.lora import adapters
from heatdrift.model.adapt import AdaptedModel, adapt
from heatdrift.model.attention import observed, split_attention
from heatdrift.model.backbone import Backbone
from heatdrift.model.export import merged_state_dict
from heatdrift.records import SourceRecord

LIMIT = 1e-5
PROMPTS = ["a photo of a dog.", "a photo of a red car.", "a photo of a field of wheat.", "a photo of a lake."]


class Maps:
    """Attention observer that keeps everything, which no probe does."""

    def __init__(self):
        self.maps = []

    def observe(self, layer, attention):
        assert layer == len(self.maps)
        self.maps.append(attention.detach().clone())


def random_clip(name, seed=0):
    """An architecture of open_clip with its own initialisation; biases and norms, which start at 0 and 1, move too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**open_clip.get_model_config(name))
        with torch.no_grad():
            for part, parameter in clip.named_parameters():
                if parameter.ndim == 1 and part.endswith(("bias", "weight")):
                    parameter.add_(0.02 * torch.randn_like(parameter))
    return clip.eval()


def split_tower(clip):
    visual = copy.deepcopy(clip.visual)
    split_attention(visual)
    return visual.eval()


def random_pixels(clip, n):
    size = clip.visual.image_size[0]
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def largest(x, y):
    return float((x.detach() - y.detach()).abs().max())


def gradients(tower, pixels):
    tower.zero_grad()
    tower.requires_grad_(requires_grad=True)
    out = tower(pixels)
    direction = torch.linspace(-1, 1, out.numel()).view_as(out)
    (out * direction / direction.norm()).sum().backward()
    return out.detach(), {name: p.grad for name, p in tower.named_parameters()}


def against_fused(clip, pixels):
    """Split attention against open_clip's fused block: output, and the gradient of every weight."""
    out, grads = gradients(clip.visual, pixels)
    split_out, split_grads = gradients(split_tower(clip), pixels)
    for name in [n for n in split_grads if n.rpartition(".")[0].endswith(".q_proj")]:
        stem, last = name.split(".q_proj.")
        parts = [split_grads.pop(f"{stem}.{part}_proj.{last}") for part in "qkv"]
        split_grads[f"{stem}.in_proj_{last}"] = torch.cat(parts)
    assert split_grads.keys() == grads.keys()
    return {"forward": largest(out, split_out), "gradient": max(largest(grads[n], split_grads[n]) for n in grads)}


def hugging_face(clip, config):
    """CLIPModel of transformers with the weights of an open_clip CLIP, every one of them placed."""
    from transformers import CLIPConfig, CLIPModel

    def tower(part, width, heads, layers):
        mlp = clip.get_submodule(part).resblocks[0].mlp.c_fc.out_features
        act = "quick_gelu" if config.get("quick_gelu") else "gelu"
        return {
            "hidden_size": width,
            "intermediate_size": mlp,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "hidden_act": act,
            "projection_dim": config["embed_dim"],
        }

    vision, text = config["vision_cfg"], config["text_cfg"]
    vision_heads = vision["width"] // vision.get("head_width", 64)
    wanted = CLIPConfig(
        vision_config={
            **tower("visual.transformer", vision["width"], vision_heads, vision["layers"]),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        text_config={
            **tower("transformer", text["width"], text["heads"], text["layers"]),
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
        },
        projection_dim=config["embed_dim"],
        attn_implementation="eager",
    )
    model = CLIPModel(wanted).eval()
    model.load_state_dict(_renamed(clip.state_dict()), strict=True)
    return model


def _renamed(state):
    """open_clip's names and shapes -> those of transformers."""
    whole = {
        "logit_scale": "logit_scale",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    }
    prefixes = {
        "visual.ln_pre.": "vision_model.pre_layrnorm.",
        "visual.ln_post.": "vision_model.post_layernorm.",
        "ln_final.": "text_model.final_layer_norm.",
        "visual.transformer.resblocks.": "vision_model.encoder.layers.",
        "transformer.resblocks.": "text_model.encoder.layers.",
    }
    inside = {"attn.": "self_attn.", "ln_1.": "layer_norm1.", "ln_2.": "layer_norm2.", "mlp.c_fc.": "mlp.fc1.",
              "mlp.c_proj.": "mlp.fc2."}  # fmt: skip
    found = {}
    for name, tensor in state.items():
        if name in whole:
            found[whole[name]] = tensor
            continue
        if name in ("visual.proj", "text_projection"):
            found[f"{'visual' if name.startswith('visual') else 'text'}_projection.weight"] = tensor.T
            continue
        old = next(prefix for prefix in prefixes if name.startswith(prefix))
        new = prefixes[old] + name.removeprefix(old)
        for here, there in inside.items():
            new = new.replace(f".{here}", f".{there}")
        if ".in_proj_" in new:
            stem, kind = new.split("in_proj_")
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{stem}{part}_proj.{kind}"] = piece
        else:
            found[new] = tensor
    return found


@torch.no_grad()
def against_hugging_face(clip, config, pixels):
    """heatdrift's tower against CLIPModel: embeddings, residual stream, zero-shot logits and every attention map."""
    other, tower, maps = hugging_face(clip, config), split_tower(clip), Maps()
    streams = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: streams.append(out)) for block in tower.transformer.resblocks
    ]
    with observed(tower, maps):
        image = tower(pixels)
    for hook in hooks:
        hook.remove()
    tokens = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])(PROMPTS)
    text = clip.encode_text(tokens, normalize=True)
    logits = clip.logit_scale.exp() * torch.nn.functional.normalize(image, dim=-1) @ text.T
    theirs = other(input_ids=tokens, pixel_values=pixels, output_attentions=True, output_hidden_states=True)
    vision = theirs.vision_model_output
    assert len(vision.attentions) == len(maps.maps) == config["vision_cfg"]["layers"]
    unnormalised = vision.pooler_output  # transformers puts the projected embedding there
    return {
        "image embedding": largest(image, unnormalised),
        "text embedding": largest(text, theirs.text_embeds),
        "zero-shot logits": largest(logits, theirs.logits_per_image),
        "residual stream": max(largest(a, b) for a, b in zip(streams, vision.hidden_states[1:], strict=True)),
        "attention maps": max(largest(a, b) for a, b in zip(maps.maps, vision.attentions, strict=True)),
    }


def as_backbone(clip, config):
    """What `load_backbone` returns for these weights; the given model is left as it is."""
    split = copy.deepcopy(clip).requires_grad_(requires_grad=False)
    split_attention(split.visual)
    split.visual.requires_grad_(requires_grad=False).eval()
    return Backbone(
        name="equivalence",
        sha256="0" * 64,
        read=SourceRecord(source="equivalence", sha256="0" * 64),
        architecture=config,
        visual=split.visual,
        clip=split,
        tokenizer=open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"]),
        preprocess=Preprocess(size=224, mean=(0, 0, 0), std=(1, 1, 1)),
        embed_dim=config["embed_dim"],
    )


def lora_model(backbone, spread=0.05) -> AdaptedModel:
    """Stand-in for a trained lora_r8: no B is 0 any more, and dropout has its place."""
    model = adapt(backbone, METHODS["lora_r8"], 10, classifier_seed=1, adapter_seed=2)
    generator = torch.Generator().manual_seed(3)
    for layer in adapters(model.visual).values():
        weight = layer.lora_B["default"].weight
        weight.data = spread * torch.randn(weight.shape, generator=generator)
    return model


def before_projection(tower, pixels):
    seen = []
    handle = tower.ln_post.register_forward_hook(lambda _m, _i, out: seen.append(out))
    tower(pixels)
    handle.remove()
    return seen[0]


@torch.no_grad()
def lora(clip, config, pixels):
    """lora_r8: live, off, merged in plain open_clip, and two passes with dropout."""
    backbone = as_backbone(clip, config)
    model = lora_model(backbone)
    base, live = (before_projection(tower, pixels) for tower in (backbone.visual, model.visual))
    with model.family.switched_off(model.visual, backbone.visual):
        off = before_projection(model.visual, pixels)
    merged = open_clip.CLIP(**config).eval()
    merged.load_state_dict(merged_state_dict(backbone, model), strict=True)
    unmerged = model.visual(pixels)
    again = model.visual(pixels)
    model.train_mode(on=True)
    dropped = model.visual(pixels), model.visual(pixels)
    return {
        "adapter parameters": sum(p.numel() for n, p in model.visual.named_parameters() if ".lora_" in n),
        "adapters live, against base": largest(live, base),
        "adapters off, against base": largest(off, base),
        "merged, against unmerged": largest(merged.encode_image(pixels), unmerged),
        "two passes in training": largest(*dropped),
        "two passes in evaluation": largest(unmerged, again),
    }


def photo_mini(folder):
    """The given real weights (../shared/models), fused, and their config."""
    import json

    config = json.loads((folder / "photo-mini.json").read_text())
    clip = open_clip.CLIP(**config)
    clip.load_state_dict({n: t.float() for n, t in load_file(folder / "photo-mini.safetensors").items()})
    return clip.eval(), config


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2)
    images = parser.parse_args().images
    given = Path(__file__).resolve().parents[1] / ".." / "shared" / "models"
    models = [(name, random_clip(name), open_clip.get_model_config(name)) for name in ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu")]  # fmt: skip  # noqa: E501
    if given.is_dir():
        models.append(("photo-mini", *photo_mini(given)))
    for name, clip, config in models:
        pixels = random_pixels(clip, images)
        found = {
            **{f"split against fused: {k}": v for k, v in against_fused(clip, pixels).items()},
            **{f"against transformers: {k}": v for k, v in against_hugging_face(clip, config, pixels).items()},
            **{f"lora_r8: {k}": v for k, v in lora(clip, config, pixels).items()},
        }
        for what, value in found.items():
            print(f"{name:20} {what:45} {value:.3g}" if isinstance(value, float) else f"{name:20} {what:45} {value}")  # noqa: T201


if __name__ == "__main__":
    main()
