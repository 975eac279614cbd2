import copy

import open_clip
import peft
import pytest
import stubs
import timm
import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipVisionConfig, SiglipVisionModel

from heatdrift.errors import ModelError
from heatdrift.model.adapt_tower import adapt_open_clip
from heatdrift.model.attention import split_attention
from heatdrift.model.tower_weights import BaseWeights, acting_weights, check_same
from heatdrift.model.towers import find_tower

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
QV = {"r": 4, "target_modules": ["q_proj", "v_proj"]}


class Kept:
    def __init__(self):
        self.attention = []

    def observe(self, _layer, attention):
        self.attention.append(attention)


@torch.inference_mode()
def seen(model, pixels):
    tower, kept = find_tower(model), Kept()
    with tower.observed(tower.module, kept):
        embedding = tower.embed(pixels)
    return kept.attention, embedding


def hugging_face(kind):
    torch.manual_seed(0)
    if kind == "clip":
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**SMALL, projection_dim=16, attn_implementation="eager"))
    else:
        model = SiglipVisionModel(SiglipVisionConfig(**SMALL, attn_implementation="eager"))
    return model.eval()


def pixels_of(size=32, n=3):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_attention_of_clip_is_what_transformers_gives():
    model, pixels = hugging_face("clip"), pixels_of()
    attention, embedding = seen(model, pixels)
    out = model(pixels, output_attentions=True)
    for ours, theirs in zip(attention, out.attentions, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(embedding, out.image_embeds)


def test_a_tower_without_class_token_is_read_by_the_mean_of_its_patches_rows():
    model, pixels = hugging_face("siglip"), pixels_of()
    attention, _ = seen(model, pixels)
    for ours, theirs in zip(attention, model(pixels, output_attentions=True).attentions, strict=True):
        torch.testing.assert_close(ours[..., 1:, 1:], theirs)
        torch.testing.assert_close(ours[..., 0, 1:], theirs.mean(-2))
        assert (ours[..., 0] == 0).all()


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_attention_of_timm_is_what_its_plain_path_forms(name):
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=56, patch_size=14, depth=2).eval()
    formed = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_pre_hook(lambda _m, args: formed.append(args[0]))
    attention, _ = seen(model, pixels_of(56))
    prefix = model.num_prefix_tokens
    for ours, theirs in zip(attention, formed, strict=True):
        kept = theirs[..., 0, [0, *range(prefix, theirs.shape[-1])]]
        torch.testing.assert_close(ours[..., 0, :], kept / kept.sum(-1, keepdim=True))


def test_fused_and_split_attention_of_open_clip_are_read_alike():
    fused = stubs.tiny_clip()
    split = copy.deepcopy(fused)
    split_attention(split.visual)
    size = open_clip.get_model_preprocess_cfg(fused)["size"]
    pixels = pixels_of(size if isinstance(size, int) else size[0])
    for one, other in zip(seen(fused, pixels)[0], seen(split, pixels)[0], strict=True):
        torch.testing.assert_close(one, other)
    drift = BaseWeights.of(acting_weights(find_tower(fused)), "proj").moved(acting_weights(find_tower(split)))
    assert drift == {"weight_drift": 0.0, "proj_drift": 0.0}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("dora", [False, True])
def test_adapters_are_read_and_weighed_as_they_act(dora):
    base, pixels = hugging_face("clip"), pixels_of()
    before = acting_weights(find_tower(base))
    adapted = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(**QV, use_dora=dora, init_lora_weights=False))
    adapted.eval()
    weights, (attention, embedding) = acting_weights(find_tower(adapted)), seen(adapted, pixels)
    merged = adapted.merge_and_unload()
    for name, weight in acting_weights(find_tower(merged)).items():
        torch.testing.assert_close(weights[name], weight)
    for ours, theirs in zip(attention, seen(merged, pixels)[0], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(embedding, seen(merged, pixels)[1], atol=1e-5, rtol=1e-4)
    assert BaseWeights.of(before, "visual_projection.weight").moved(weights)["weight_drift"] > 0.001


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_a_module_trained_in_full_next_to_adapters_is_weighed_by_its_own_copy():
    base = hugging_face("clip")
    adapted = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(**QV, modules_to_save=["visual_projection"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "modules_to_save" in name:
                parameter.mul_(1.5)
    weights = acting_weights(find_tower(adapted))
    drift = BaseWeights.of(acting_weights(find_tower(base)), "visual_projection.weight").moved(weights)
    assert drift == {"weight_drift": 0.0, "proj_drift": pytest.approx(0.5)}


def test_two_lines_put_adapters_of_peft_on_an_open_clip_model():
    model = stubs.tiny_clip()
    size = model.visual.image_size[0] if isinstance(model.visual.image_size, tuple) else model.visual.image_size
    pixels = pixels_of(size)
    with torch.no_grad():
        before = model.encode_image(pixels)
    adapted = adapt_open_clip(model, peft.LoraConfig(**QV))
    torch.testing.assert_close(adapted.encode_image(pixels), before, atol=1e-5, rtol=1e-4)
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert len(trained) == stubs.TINY_BLOCKS * 2 * 2
    assert all("visual" in name and ("q_proj" in name or "v_proj" in name) for name in trained)
    adapted.encode_image(pixels).square().sum().backward()
    gradients = [p.grad for name, p in adapted.named_parameters() if "lora_B" in name]
    assert all(g is not None and g.abs().max() > 0 for g in gradients)


def test_a_target_that_no_module_has_is_said():
    with pytest.raises(ModelError, match="nothing to adapt"):
        adapt_open_clip(stubs.tiny_clip(), peft.LoraConfig(r=2, target_modules=["query"]))


@pytest.mark.parametrize(
    ("name", "module"),
    [("beit_base_patch16_224", r"blocks\.0\.attn \(Attention\)"), ("eva02_tiny_patch14_224", r"blocks\.0\.attn \(Eva")],
)
def test_attention_that_cannot_be_read_is_refused_and_the_module_is_named(name, module):
    model = nn.Sequential(timm.create_model(name, depth=1), nn.Linear(2, 2))
    with pytest.raises(ModelError, match=rf"cannot be read of 0\.{module}"):
        find_tower(model)


def test_a_network_without_attention_is_refused():
    with pytest.raises(ModelError, match="ResNet holds no vision transformer"):
        find_tower(timm.create_model("resnet18"))


def test_fused_attention_with_an_adapter_is_refused_with_the_way_that_works():
    model = peft.get_peft_model(stubs.tiny_clip().visual, peft.LoraConfig(r=2, target_modules=["attn"]))
    with pytest.raises(ModelError, match=r"resblocks\.0\.attn") as raised:
        find_tower(model)
    assert "adapt_open_clip" in raised.value.hint


def test_a_tower_inside_wrappers_is_found():
    inner = stubs.tiny_clip()
    tower = find_tower(nn.ModuleDict({"model": torch.compile(inner), "head": nn.Linear(2, 2)}))
    assert tower.module is inner.visual


def test_models_of_different_architecture_are_not_compared():
    one, other = acting_weights(find_tower(stubs.tiny_clip())), acting_weights(find_tower(hugging_face("clip")))
    with pytest.raises(ModelError, match="not the weights of the base"):
        check_same(one, other)
