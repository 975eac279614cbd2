import json
import zipfile

import pytest
import stubs
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model.backbone import load_backbone
from heatdrift.model.layouts.reading import read_weights, weights_file


def assert_is(read, state):
    assert read.tensors.keys() == state.keys()
    for name, tensor in state.items():
        assert read.tensors[name].dtype == torch.float32
        torch.testing.assert_close(read.tensors[name], tensor.float(), rtol=0, atol=0)


def refused(path):
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.model."]
)
def test_prefixes_of_wrappers_in_any_combination(write, state, prefix):
    read = read_weights(write({f"{prefix}{name}": tensor for name, tensor in state.items()}))
    assert_is(read, state)
    assert all(f"{part}.'" in " ".join(read.said) for part in prefix.split(".") if part)


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".safetensors"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_training_checkpoint_of_open_clip(tmp_path, state, suffix, legacy):
    kept = {
        "epoch": 10,
        "name": "run",
        "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
    }
    path = tmp_path / f"epoch_10{suffix}"
    torch.save(kept, path, _use_new_zipfile_serialization=not legacy)
    read = read_weights(path)
    assert_is(read, state)
    assert read.epoch == 10
    assert "training checkpoint" in read.layout


def test_extras_of_openai_and_a_logit_bias_are_left_out_and_said(write, state):
    numbers = {"input_resolution": 28, "context_length": 16, "vocab_size": 49408, "logit_bias": -10.0}
    extras = {"attn_mask": torch.zeros(16, 16)} | {name: torch.tensor(value) for name, value in numbers.items()}
    wanted = {name: tensor for name, tensor in state.items() if name != "attn_mask"}
    read = read_weights(write({**wanted, **extras}))
    assert_is(read, wanted)
    for name in extras:
        assert name in " ".join(read.said)


def test_a_missing_temperature_is_filled_and_said(write, state):
    read = read_weights(write({name: tensor for name, tensor in state.items() if name != "logit_scale"}))
    assert read.tensors.keys() == state.keys()
    assert "no logit_scale" in " ".join(read.said)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_computed_in_float32(write, state, dtype):
    read = read_weights(write({name: tensor.to(dtype) for name, tensor in state.items()}))
    assert_is(read, {name: tensor.to(dtype) for name, tensor in state.items()})
    assert str(dtype).removeprefix("torch.") in " ".join(read.said)


def test_a_text_tower_in_a_module_of_its_own(write, state):
    apart = {n if n.startswith("visual.") or n == "logit_scale" else f"text.{n}": t for n, t in state.items()}
    assert_is(read_weights(write(apart)), state)


def test_a_classifier_next_to_the_clip_is_left_out_and_said(write, state):
    read = read_weights(write({**state, "classifier.weight": torch.zeros(3, 24)}))
    assert_is(read, state)
    assert "classifier.weight" in " ".join(read.said)


@pytest.mark.parametrize("prefix", ["visual.", ""])
def test_a_visual_tower_alone(write, state, prefix):
    visual = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
    read = read_weights(write({prefix + name.removeprefix("visual."): tensor for name, tensor in visual.items()}))
    assert_is(read, visual)
    assert read.visual_only


def test_split_attention_is_put_together(write, backbone, state):
    split = {f"visual.{name}": tensor for name, tensor in backbone.visual.state_dict().items()}
    assert any("q_proj" in name for name in split)
    read = read_weights(write(split))
    assert_is(read, {name: tensor for name, tensor in state.items() if name.startswith("visual.")})


@pytest.mark.parametrize("shards", ["5GB", "400KB"])
def test_a_folder_of_transformers(tmp_path, hugging_face, state, shards):
    hugging_face.save_pretrained(tmp_path, max_shard_size=shards)
    assert (weights_file(tmp_path).suffix == ".json") == (shards == "400KB")
    read = read_weights(tmp_path)
    assert_is(read, state)
    assert read.layout.startswith("transformers' CLIPModel")


def test_a_missing_shard_is_named(tmp_path, hugging_face):
    hugging_face.save_pretrained(tmp_path, max_shard_size="400KB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[-1]
    gone.unlink()
    assert gone.name in refused(tmp_path)


def test_fused_attention_under_transformers_names(write, hugging_face, state):
    split = hugging_face.state_dict()
    fused = {name: tensor for name, tensor in split.items() if "_proj." not in name or "out_proj" in name}
    fused |= {name: split[name] for name in split if name.endswith("_projection.weight")}
    for name in [n for n in split if ".q_proj." in n]:
        stem, kind = name.split("q_proj.")
        fused[f"{stem}in_proj_{kind}"] = torch.cat([split[f"{stem}{part}_proj.{kind}"] for part in "qkv"])
    assert_is(read_weights(write(fused)), state)


def test_a_vision_model_of_transformers(tmp_path, hugging_face, state):
    config = CLIPVisionConfig(**hugging_face.config.vision_config.to_dict() | {"projection_dim": stubs.TINY_DIM})
    vision = CLIPVisionModelWithProjection(config)
    own = hugging_face.state_dict()
    vision.load_state_dict({name: own[name] for name in vision.state_dict()})
    vision.save_pretrained(tmp_path)
    read = read_weights(tmp_path)
    assert_is(read, {name: tensor for name, tensor in state.items() if name.startswith("visual.")})
    assert "CLIPVisionModelWithProjection" in read.layout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty", b"", "empty (0 bytes)"),
        ("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "Git LFS pointer"),
        ("page", b"\n<!DOCTYPE html><html><body>403</body></html>", "a web page"),
        ("noise", b"\x07" * 400, "not a readable safetensors file"),
        ("half", b"PK\x03\x04" + b"\x00" * 100, "begins as a file of torch.save"),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_what_is_no_weights_is_named(tmp_path, name, content, said, suffix):
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(content)
    assert said in refused(path)


class Trap:
    def __reduce__(self):
        return (__import__("pathlib").Path.touch, (__import__("pathlib").Path("trapped"),))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch, state, legacy):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state, "callback": Trap()}, "trap.pt", _use_new_zipfile_serialization=not legacy)
    assert "a pickle that needs code" in refused(tmp_path / "trap.pt")
    assert not (tmp_path / "trapped").exists()


def test_torchscript_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "scripted.pt", "w") as archive:
        archive.writestr("scripted/constants.pkl", b"")
    assert "TorchScript" in refused(tmp_path / "scripted.pt")


def test_an_unknown_layout_is_named_by_its_keys(write, state):
    found = refused(write({**{f"student.{n}": t for n, t in state.items()}, "teacher.x": torch.zeros(1)}))
    assert f"keys begin with 'student.' ({len(state)})" in found
    assert "truncated" not in found


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("visual.trunk.blocks.0.attn.qkv.weight", "timm"),
        ("visual.layer1.0.conv1.weight", "ResNet"),
        ("vision_model.head.probe", "SigLIP"),
        ("base_model.model.x.lora_A.weight", "peft adapter"),
    ],
)
def test_towers_that_are_not_measured_are_named(write, key, said):
    assert said in refused(write({key: torch.zeros(2, 2)}))


def test_a_checkpoint_without_weights_says_what_it_has(write):
    assert "'epoch', 'note'" in refused(write({"epoch": 3, "note": "none"}, "x.pt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(write, state, value):
    bad = {**state, "visual.proj": state["visual.proj"].clone()}
    bad["visual.proj"][0, 0] = value
    found = refused(write(bad))
    assert "visual.proj (1 of" in found
    assert "not finite" in found


def test_a_study_reads_every_layout(tmp_path, hugging_face, backbone):
    """`config` and `weights` of a study name the files of a folder of transformers like any other."""
    hugging_face.save_pretrained(tmp_path)
    spec = BackboneSpec(name="hf", config="config.json", weights="model.safetensors")
    loaded = load_backbone(spec, tmp_path, torch.device("cpu"))
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.visual(pixels), backbone.visual(pixels), atol=1e-5, rtol=0)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "clip"
    assert loaded.architecture["quick_gelu"] is True
