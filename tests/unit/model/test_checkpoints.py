"""A base and models adapted from it: one model in every format embeds alike, others are refused."""

import json

import clip_equivalence
import peft
import pytest
import stubs
import torch
from safetensors.torch import save_file

from heatdrift.errors import ModelError
from heatdrift.model.checkpoints import open_adapted, open_base

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("models")
    stubs.write_tiny_backbone(found)
    return found


@pytest.fixture(scope="module")
def base(folder):
    return open_base("tiny.safetensors", config=None, folder=folder, device=CPU)


@pytest.fixture(scope="module")
def changed():
    clip = stubs.tiny_clip()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for block in clip.visual.transformer.resblocks:
            block.mlp.c_fc.weight.add_(0.05 * torch.randn(block.mlp.c_fc.weight.shape, generator=generator))
    return clip


def pixels():
    return torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(2))


def test_a_base_by_path_has_the_identity_that_a_study_gives_it(folder, base, backbone):
    assert base.sha256 == backbone.sha256
    torch.testing.assert_close(base.visual(pixels()), backbone.visual(pixels()), atol=0, rtol=0)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_one_model_through_seven_formats_embeds_alike_to_1e_5(tmp_path, base, changed):
    state = changed.state_dict()
    tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    save_file(tensors, tmp_path / "plain.safetensors")
    save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "prefixed.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"module.{n}": t for n, t in tensors.items()}}, tmp_path / "epoch_3.pt")
    visual = {name: tensor for name, tensor in tensors.items() if name.startswith("visual.")}
    save_file(visual, tmp_path / "visual.safetensors")
    clip_equivalence.hugging_face(changed, stubs.tiny_config()).save_pretrained(tmp_path / "hf")
    sharded = clip_equivalence.hugging_face(changed, stubs.tiny_config())
    sharded.save_pretrained(tmp_path / "shards", max_shard_size="400KB")
    split = {f"visual.{n}": t.clone() for n, t in clip_equivalence.split_tower(changed).state_dict().items()}
    save_file(split, tmp_path / "split.safetensors")
    wanted = changed.encode_image(pixels()).detach()
    names = ("plain.safetensors", "prefixed.safetensors", "epoch_3.pt", "visual.safetensors", "hf", "shards",
             "split.safetensors")  # fmt: skip
    for name in names:
        found = open_adapted(tmp_path / name, base)
        torch.testing.assert_close(found.model.visual(pixels()), wanted, atol=1e-5, rtol=0)
        assert not found.same_visual
        assert found.same_text
        assert found.epoch == (3 if name.endswith(".pt") else None)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_an_adapter_is_the_model_that_peft_merges(tmp_path, base):
    model = clip_equivalence.hugging_face(stubs.tiny_clip(), stubs.tiny_config())
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=r".*vision.*(q_proj|v_proj)"))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    wrapped.save_pretrained(tmp_path / "adapter")
    found = open_adapted(tmp_path / "adapter", base)
    merged = wrapped.merge_and_unload()
    wanted = merged.get_image_features(pixel_values=pixels()).pooler_output.detach()
    torch.testing.assert_close(found.model.visual(pixels()), wanted, atol=1e-5, rtol=0)
    assert found.layout == "peft adapter"


def test_the_base_itself_is_said_to_be_identical(folder, base):
    found = open_adapted(folder / "tiny.safetensors", base)
    assert (found.same_visual, found.same_text) == (True, True)


def refused(call):
    with pytest.raises(ModelError) as caught:
        call()
    assert caught.value.hint
    return caught.value.message


def test_missing_and_unexpected_tensors_are_listed_in_groups(tmp_path, base, changed):
    state = {name: tensor.clone() for name, tensor in changed.state_dict().items() if ".mlp.c_fc." not in name}
    save_file({**state, "visual.adapter.0.weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    message = refused(lambda: open_adapted(tmp_path / "x.safetensors", base))
    assert f"visual.transformer.resblocks.*.mlp.c_fc.weight ({stubs.TINY_BLOCKS})" in message
    assert "unexpected 1: visual.adapter.*.weight" in message


def test_weights_of_another_architecture_are_refused(tmp_path, base):
    state = {name: tensor.clone() for name, tensor in stubs.tiny_clip().state_dict().items()}
    state["visual.positional_embedding"] = torch.zeros(26, 32)
    save_file(state, tmp_path / "larger.safetensors")
    with pytest.raises(ModelError, match="does not fit") as caught:
        open_adapted(tmp_path / "larger.safetensors", base)
    assert "25 patches" in caught.value.hint


@pytest.mark.parametrize(("part", "key", "value"), [("vision_cfg", "head_width", 16), (None, "quick_gelu", False)])
def test_what_weights_do_not_show_is_compared_where_it_is_stated(tmp_path, base, changed, part, key, value):
    """Other heads or another activation load strictly and give another model."""
    config = stubs.tiny_config()
    (config if part is None else config[part])[key] = value
    (tmp_path / "x.json").write_text(json.dumps(config))
    save_file(changed.state_dict(), tmp_path / "x.safetensors")
    assert f"{key} {value!r}" in refused(lambda: open_adapted(tmp_path / "x.safetensors", base))


def test_metadata_that_contradict_the_activation_of_the_base_are_refused(tmp_path, base, changed):
    save_file(changed.state_dict(), tmp_path / "x.safetensors", {"quick_gelu": "false"})
    assert "quick_gelu false" in refused(lambda: open_adapted(tmp_path / "x.safetensors", base))


def test_a_base_without_a_configuration_or_a_text_tower_is_refused(tmp_path, changed):
    save_file(changed.state_dict(), tmp_path / "x.safetensors")
    assert "no configuration" in refused(lambda: open_base("x.safetensors", config=None, folder=tmp_path, device=CPU))
    (tmp_path / "v.json").write_text(json.dumps(stubs.tiny_config()))
    visual = {name: tensor.clone() for name, tensor in changed.state_dict().items() if name.startswith("visual.")}
    save_file(visual, tmp_path / "v.safetensors")
    assert "visual tower alone" in refused(lambda: open_base("v.safetensors", config=None, folder=tmp_path, device=CPU))


@pytest.mark.parametrize("name", ["labb", "missing.pt", "Nothing/here"])
def test_a_base_that_is_not_there(tmp_path, name):
    assert name.partition("/")[0] in refused(lambda: open_base(name, config=None, folder=tmp_path, device=CPU))
