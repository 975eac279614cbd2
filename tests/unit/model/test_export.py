import copy
import dataclasses
import json

import open_clip
import peft
import pytest
import stubs
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from heatdrift.config import BackboneSpec
from heatdrift.crop_plan import CropPlan
from heatdrift.errors import ModelError
from heatdrift.methods import METHODS
from heatdrift.methods.families.lora import adapters
from heatdrift.model.adapt import adapt
from heatdrift.model.backbone import load_backbone
from heatdrift.model.export import export_weights, head_tensors, merged_state_dict
from heatdrift.model.weight_files import write_safetensors

LORA = ("lora_r8", "lora_r8_frozen_proj", "lora_r8_all", "dora_r8")


def trained(backbone, method):
    """Stand-in for training: everything that the method trains has moved."""
    model = adapt(backbone, METHODS[method], 5, classifier_seed=1, adapter_seed=2)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.trained():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def export(backbone, model, folder):
    return export_weights(folder, backbone, model, metadata={"study": "s", "cell_id": "c"})


@pytest.mark.parametrize("method", METHODS)
def test_the_merged_weights_load_strictly_into_plain_open_clip_and_embed_the_same(backbone, pixels, method):
    model = trained(backbone, method)
    clip = open_clip.CLIP(**stubs.tiny_config()).eval()
    clip.load_state_dict(merged_state_dict(backbone, model), strict=True)
    tokens = backbone.tokenizer(["a dog"])
    with torch.no_grad():
        torch.testing.assert_close(clip.encode_image(pixels), model.visual(pixels), atol=1e-5, rtol=0)
        assert torch.equal(clip.encode_text(tokens), backbone.clip.encode_text(tokens))
        moved = (model.visual(pixels) - backbone.visual(pixels)).abs().max()
    assert (moved > 1e-3) == (method != "linear_probe")


def test_what_was_not_trained_is_the_base_bit_for_bit(backbone):
    base = stubs.tiny_clip().state_dict()
    changed = {}
    for method in ("linear_probe", "lora_r8_frozen_proj", "bitfit"):
        merged = merged_state_dict(backbone, trained(backbone, method))
        assert merged.keys() == base.keys()
        changed[method] = {name for name, tensor in base.items() if not torch.equal(merged[name], tensor)}
    blocks = range(stubs.TINY_BLOCKS)
    assert changed["linear_probe"] == set()
    assert changed["lora_r8_frozen_proj"] == {f"visual.transformer.resblocks.{b}.attn.in_proj_weight" for b in blocks}
    assert changed["bitfit"] == {name for name in base if name.startswith("visual.") and name.endswith("bias")}


def test_adapters_change_q_and_v_and_never_k_or_out(backbone):
    base, width = stubs.tiny_clip().state_dict(), stubs.TINY_WIDTH
    merged = merged_state_dict(backbone, trained(backbone, "lora_r8"))
    for block in range(stubs.TINY_BLOCKS):
        name = f"visual.transformer.resblocks.{block}.attn"
        moved = (merged[f"{name}.in_proj_weight"] - base[f"{name}.in_proj_weight"]).abs().view(3, width, width)
        assert moved[0].max() > 1e-3
        assert moved[1].max() == 0
        assert moved[2].max() > 1e-3
        assert torch.equal(merged[f"{name}.out_proj.weight"], base[f"{name}.out_proj.weight"])


def test_exporting_leaves_the_model_as_it_is(backbone, pixels, tmp_path):
    model = trained(backbone, "lora_r8")
    before, state = model.logits(pixels), model.trained_state()
    export(backbone, model, tmp_path)
    assert torch.equal(model.logits(pixels), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.trained_state().items())


SMALL_FILE = {**dict.fromkeys(LORA, "adapter_model.safetensors"), "bitfit": "biases.safetensors"}


@pytest.mark.parametrize("method", METHODS)
def test_head_and_small_file_are_all_that_a_method_with_one_trains(backbone, method):
    model = trained(backbone, method)
    files, head = model.family.files(model.visual), head_tensors(model)
    assert {"classifier.weight", "classifier.bias"} <= head.keys()
    assert ("visual.proj" in head) == model.family.description().projection
    tensors = {name: content for name, content in files.items() if not isinstance(content, str)}
    assert list(tensors) == ([SMALL_FILE[method]] if method in SMALL_FILE else [])
    if tensors:
        assert len(tensors[SMALL_FILE[method]]) + len(head) == len(model.trained())


@pytest.mark.parametrize("method", LORA)
def test_the_adapter_folder_is_read_by_peft_itself(backbone, pixels, tmp_path, method):
    model = trained(backbone, method)
    export(backbone, model, tmp_path)
    tower = peft.PeftModel.from_pretrained(copy.deepcopy(backbone.visual), str(tmp_path)).eval()
    head = load_file(tmp_path / "head.safetensors")
    with torch.no_grad():
        if "visual.proj" in head:
            tower.get_base_model().proj.copy_(head["visual.proj"])
        assert torch.equal(tower(pixels), model.visual(pixels))
    assert list(adapters(tower)) == [f"base_model.model.{name}" for name in adapters(model.visual)]


@pytest.mark.parametrize("method", ["full_ft", "lora_r8", "dora_r8", "bitfit"])
def test_the_folder_is_a_model_for_open_clip_and_a_backbone_for_heatdrift(backbone, pixels, tmp_path, method):
    model = trained(backbone, method)
    paths = export(backbone, model, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    clip, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path}")
    spec = BackboneSpec(name="merged", config="open_clip_config.json", weights="open_clip_model.safetensors")
    loaded = load_backbone(spec, tmp_path, torch.device("cpu"))
    assert loaded.preprocess == backbone.preprocess
    assert preprocess.transforms[0].size == backbone.preprocess.size
    with torch.no_grad():
        torch.testing.assert_close(clip.eval().encode_image(pixels), model.visual(pixels), atol=1e-5, rtol=0)
        torch.testing.assert_close(loaded.visual(pixels), model.visual(pixels), atol=1e-5, rtol=0)


def test_every_file_says_where_it_comes_from(backbone, tmp_path):
    paths = export(backbone, trained(backbone, "lora_r8"), tmp_path)
    for path in paths:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as opened:
                said = opened.metadata()
            assert (said["study"], said["cell_id"], said["backbone"]) == ("s", "c", "tiny")
            assert (said["backbone_sha256"], said["quick_gelu"]) == (backbone.sha256, "true")
    assert json.loads((tmp_path / "adapter_config.json").read_text())["r"] == 8


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"a": torch.ones(3)}, {})

    def full(_tensors, made, _metadata):
        made.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("heatdrift.model.weight_files.save_file", full)
    with pytest.raises(ModelError, match="No space left") as caught:
        write_safetensors(path, {"a": torch.zeros(3)}, {})
    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    assert load_file(path)["a"].tolist() == [1, 1, 1]


def test_an_export_keeps_the_crops_of_the_study(backbone, tmp_path):
    """What was trained on other crops must be used with them; open_clip reads the filter, heatdrift all of it."""
    plan = CropPlan(interpolation="bilinear", antialias=False, resize=40)
    other = dataclasses.replace(backbone, preprocess=backbone.preprocess.changed(plan))
    export(other, trained(backbone, "linear_probe"), tmp_path)
    spec = BackboneSpec(name="mine", config="open_clip_config.json", weights="open_clip_model.safetensors")
    assert load_backbone(spec, tmp_path, torch.device("cpu")).preprocess == other.preprocess
    config = json.loads((tmp_path / "open_clip_config.json").read_text())["preprocess_cfg"]
    assert config["interpolation"] == "bilinear"
    export(backbone, trained(backbone, "linear_probe"), tmp_path)
    assert "resize" not in json.loads((tmp_path / "open_clip_config.json").read_text())["preprocess_cfg"]
