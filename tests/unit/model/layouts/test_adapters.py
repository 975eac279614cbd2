"""A peft adapter merged into the base's tensors is what peft itself merges, on every kind of model it lies on."""

import copy
import json

import clip_equivalence
import peft
import pytest
import stubs
import torch
from safetensors.torch import load_file

from heatdrift.errors import ModelError
from heatdrift.model.layouts.adapters import merged_adapter
from heatdrift.model.layouts.hugging_face import from_hugging_face
from heatdrift.model.layouts.open_clip_names import to_open_clip

# peft asks transformers for an attribute that transformers has given another name
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
SHA = "0" * 64
Q_V = r".*vision_model.*\.(q_proj|v_proj)"


def trained(model, config):
    wrapped = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return wrapped


def assert_same(found, merged):
    assert found.keys() == merged.keys()
    for name, tensor in merged.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"target_modules": r".*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"},
        {"modules_to_save": ["visual_projection"]},
        {"rank_pattern": {r".*layers.1.*": 2}, "alpha_pattern": {r".*layers.1.*": 9}},
        {"bias": "lora_only"},
    ],
    ids=["lora", "rslora", "dora", "all_layers", "projection", "patterns", "bias"],
)
def test_an_adapter_on_transformers_clip(tmp_path, hugging_face, state, options):
    config = peft.LoraConfig(**{"r": 3, "lora_alpha": 5, "target_modules": Q_V, **options})
    wrapped = trained(copy.deepcopy(hugging_face), config)
    wrapped.save_pretrained(tmp_path)
    merged, _ = from_hugging_face(wrapped.merge_and_unload().state_dict())
    found, said = merged_adapter(tmp_path, state, SHA)
    assert_same(found, merged)
    assert any(not torch.equal(found[name], state[name]) for name in state)
    assert "rank 3" in said[0]


def test_an_adapter_on_an_open_clip_tower(tmp_path, clip, state):
    """open_clip's own attention takes none: it lies on heatdrift's split one, and is saved without 'visual.'."""
    tower = clip_equivalence.split_tower(clip)
    wrapped = trained(tower, peft.LoraConfig(r=3, target_modules=r".*\.(q_proj|v_proj|c_fc)"))
    wrapped.save_pretrained(tmp_path)
    merged, _ = to_open_clip(wrapped.merge_and_unload().state_dict())
    found, _ = merged_adapter(tmp_path, state, SHA)
    assert_same({name: t for name, t in found.items() if name.startswith("visual.")}, merged)


def test_the_tensors_of_the_base_stay_as_they_are(tmp_path, hugging_face, state):
    before = {name: tensor.clone() for name, tensor in state.items()}
    trained(copy.deepcopy(hugging_face), peft.LoraConfig(r=3, target_modules=Q_V)).save_pretrained(tmp_path)
    merged_adapter(tmp_path, state, SHA)
    assert all(torch.equal(before[name], state[name]) for name in state)


def refused(folder, base, sha256=SHA):
    with pytest.raises(ModelError) as caught:
        merged_adapter(folder, base, sha256)
    assert caught.value.hint
    return caught.value.message


def test_an_adapter_for_another_base_is_refused(tmp_path, hugging_face, state):
    trained(copy.deepcopy(hugging_face), peft.LoraConfig(r=3, target_modules=Q_V)).save_pretrained(tmp_path)
    last = f"visual.transformer.resblocks.{stubs.TINY_BLOCKS - 1}"
    shallow = {name: tensor for name, tensor in state.items() if last not in name}
    assert "is for another base" in refused(tmp_path, shallow)
    fused = [name for name in state if name.startswith("visual") and "in_proj_weight" in name]
    wide = {**state, **{name: torch.zeros(3 * 48, 48) for name in fused}}
    message = refused(tmp_path, wide)
    assert "is for another base" in message
    assert "(48, 48)" in message


def test_an_adapter_that_names_the_hash_of_its_base_is_held_to_it(tmp_path, write, hugging_face, state):
    trained(copy.deepcopy(hugging_face), peft.LoraConfig(r=3, target_modules=Q_V)).save_pretrained(tmp_path)
    write(load_file(tmp_path / "adapter_model.safetensors"), "adapter_model.safetensors", {"backbone_sha256": "a" * 64})
    assert "another base: aaaaaaaaaaaa..., this one is 000000000000..." in refused(tmp_path, state)
    merged_adapter(tmp_path, state, "a" * 64)


def test_other_kinds_of_adapters_are_named(tmp_path, state):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    assert "IA3" in refused(tmp_path, state)


def test_an_adapter_without_its_weights_says_so(tmp_path, state):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "adapter_model.safetensors" in refused(tmp_path, state)
