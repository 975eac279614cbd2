"""heatdrift's CLIP is open_clip's and Hugging Face's: `python tests/clip_equivalence.py` prints the differences."""

import clip_equivalence as equivalence
import open_clip
import pytest
import stubs

from heatdrift.methods.families.lora import adapters

pytest.importorskip("transformers", reason="pip install transformers: the second implementation to compare with")

FULL_SIZE = ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu")


@pytest.fixture(params=["tiny", "tiny gelu", *(pytest.param(name, marks=pytest.mark.slow) for name in FULL_SIZE)])
def model(request):
    if request.param == "tiny":
        return stubs.tiny_clip(), stubs.tiny_config()
    if request.param == "tiny gelu":
        config = {**stubs.tiny_config(), "quick_gelu": False}
        clip = open_clip.CLIP(**config)
        clip.load_state_dict(stubs.tiny_clip().state_dict())
        return clip.eval(), config
    return equivalence.random_clip(request.param), open_clip.get_model_config(request.param)


def assert_within(found, limit=equivalence.LIMIT):
    assert {what: value for what, value in found.items() if not value <= limit} == {}


def assert_lora_holds(clip, config, pixels):
    found = equivalence.lora(clip, config, pixels)
    width, layers = config["vision_cfg"]["width"], config["vision_cfg"]["layers"]
    assert found["adapter parameters"] == layers * 2 * 8 * 2 * width
    assert found["adapters live, against base"] > 1e-3
    assert found["two passes in training"] > 0
    assert found["two passes in evaluation"] == 0
    assert_within({k: v for k, v in found.items() if k.endswith(("base", "unmerged")) and "live" not in k})


def test_split_attention_equals_the_fused_block(model):
    clip, _ = model
    assert_within(equivalence.against_fused(clip, equivalence.random_pixels(clip, 2)))


def test_the_tower_equals_hugging_faces(model):
    clip, config = model
    assert_within(equivalence.against_hugging_face(clip, config, equivalence.random_pixels(clip, 3)))


def test_adapters_off_merged_and_dropped_behave(model):
    clip, config = model
    assert_lora_holds(clip, config, equivalence.random_pixels(clip, 2))


def test_another_activation_would_not_pass(model):
    """The comparison must be able to fail: the wrong GELU is what it has to find."""
    clip, config = model
    wrong = {**config, "quick_gelu": not config["quick_gelu"]}
    found = equivalence.against_hugging_face(clip, wrong, equivalence.random_pixels(clip, 2))
    assert found["image embedding"] > 10 * equivalence.LIMIT
    assert found["attention maps"] > equivalence.LIMIT


def test_the_given_real_weights_agree_too(shared):
    clip, config = equivalence.photo_mini(shared / "models")
    pixels = equivalence.random_pixels(clip, 4)
    assert_within(equivalence.against_fused(clip, pixels))
    clip.requires_grad_(requires_grad=False)
    assert_within(equivalence.against_hugging_face(clip, config, pixels))
    assert_lora_holds(clip, config, pixels)


def test_lora_of_a_backbone_is_made_of_q_and_v_only():
    backbone = equivalence.as_backbone(stubs.tiny_clip(), stubs.tiny_config())
    names = {name.rpartition(".")[2] for name in adapters(equivalence.lora_model(backbone).visual)}
    assert names == {"q_proj", "v_proj"}
    assert not any(p.requires_grad for p in backbone.clip.parameters())
