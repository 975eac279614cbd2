import copy
import json
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import open_clip
import pytest
import stubs
import torch
from safetensors.torch import save_file

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model import backbone as backbone_module
from heatdrift.model.attention import attention_blocks
from heatdrift.model.backbone import load_backbone

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    stubs.write_tiny_backbone(tmp_path)
    return tmp_path


SPEC = BackboneSpec(name="tiny", config="tiny.json", weights="tiny.safetensors")


def refused(folder, spec=SPEC):
    with pytest.raises(ModelError) as caught:
        load_backbone(spec, folder, CPU)
    assert caught.value.hint
    return caught.value.message


def write_config(folder, *, part=None, **changes):
    config = copy.deepcopy(stubs.tiny_config())
    (config if part is None else config[part]).update(changes)
    (folder / "tiny.json").write_text(json.dumps(config))


def test_the_loaded_model_embeds_as_open_clip_does(backbone, pixels):
    clip = stubs.tiny_clip()
    with torch.no_grad():
        torch.testing.assert_close(backbone.visual(pixels), clip.encode_image(pixels), atol=1e-5, rtol=0)
        tokens = open_clip.SimpleTokenizer(context_length=16)(["a photo of a red car.", "a photo of a dog."])
        expected = clip.encode_text(tokens, normalize=True)
    found = backbone.class_embeddings(["red car", "dog"], "a photo of a {}.")
    torch.testing.assert_close(found, expected)
    np.testing.assert_allclose(found.norm(dim=-1).numpy(), 1, rtol=1e-6)


def test_many_classes_are_embedded_in_order(backbone):
    names = [f"thing {i}" for i in range(300)]
    found = backbone.class_embeddings(names, "{}")
    torch.testing.assert_close(found[[0, 257, 299]], backbone.class_embeddings([names[i] for i in (0, 257, 299)], "{}"))


def test_the_loaded_model_is_frozen_split_and_in_eval_mode(backbone):
    assert not any(p.requires_grad for p in backbone.clip.parameters())
    assert not any(module.training for module in backbone.clip.modules())
    assert len(attention_blocks(backbone.visual)) == stubs.TINY_BLOCKS
    assert backbone.embed_dim == stubs.TINY_DIM


def test_preprocessing_comes_from_the_config_or_from_openai(folder, backbone):
    assert backbone.preprocess.size == 28
    assert backbone.preprocess.mean == open_clip.OPENAI_DATASET_MEAN
    assert backbone.preprocess.std == open_clip.OPENAI_DATASET_STD
    given = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear", "resize_mode": "shortest"}
    wrapped = {"model_cfg": stubs.tiny_config(), "preprocess_cfg": given}
    (folder / "tiny.json").write_text(json.dumps(wrapped))
    found = load_backbone(SPEC, folder, CPU).preprocess
    assert (found.size, found.mean, found.std) == (28, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert found.interpolation == "bilinear"


def test_half_precision_weights_are_computed_in_float32(folder):
    save_file({n: t.half() for n, t in stubs.tiny_clip().state_dict().items()}, folder / "tiny.safetensors")
    loaded = load_backbone(SPEC, folder, CPU)
    assert {p.dtype for p in loaded.clip.parameters()} == {torch.float32}


def test_a_pinned_hash_is_enforced(folder, backbone):
    pinned = BackboneSpec(name="tiny", config="tiny.json", weights="tiny.safetensors", sha256=backbone.sha256)
    assert load_backbone(pinned, folder, CPU).sha256 == backbone.sha256
    save_file(stubs.tiny_clip(seed=1).state_dict(), folder / "tiny.safetensors")
    assert "sha256" in refused(folder, pinned)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("vision_cfg", {"width": 64, "head_width": 16}),
        ("vision_cfg", {"layers": 2}),
        ("vision_cfg", {"layers": 4}),
        ("vision_cfg", {"patch_size": 14}),
        ("vision_cfg", {"layers": [1, 1, 1, 1]}),
        ("text_cfg", {"layers": 2}),
        (None, {"embed_dim": 16}),
    ],
)
def test_weights_of_another_architecture_are_refused(folder, part, changes):
    write_config(folder, part=part, **changes)
    message = refused(folder)
    assert "does not fit" in message
    assert "tiny.safetensors" in message


def test_weights_with_a_tensor_too_few_or_too_many_are_refused(folder):
    weights = stubs.tiny_clip().state_dict()
    save_file({n: t for n, t in weights.items() if n != "visual.proj"}, folder / "tiny.safetensors")
    assert "visual.proj" in refused(folder)
    save_file({**weights, "extra.weight": torch.ones(1)}, folder / "tiny.safetensors")
    assert "extra.weight" in refused(folder)


@pytest.mark.parametrize("said", [None, "yes", 1])
def test_an_architecture_by_path_must_say_its_activation(folder, said):
    """Both activations load strictly; left out, open_clip computes GELU, which is wrong for OpenAI's weights."""
    config = stubs.tiny_config()
    del config["quick_gelu"]
    (folder / "tiny.json").write_text(json.dumps(config | ({} if said is None else {"quick_gelu": said})))
    with pytest.raises(ModelError, match="activation") as caught:
        load_backbone(SPEC, folder, CPU)
    assert '"quick_gelu": true' in caught.value.hint


def test_metadata_of_the_weights_must_agree_on_the_activation(folder):
    weights = stubs.tiny_clip().state_dict()
    save_file(weights, folder / "tiny.safetensors", {"quick_gelu": "false"})
    assert "quick_gelu" in refused(folder)
    save_file(weights, folder / "tiny.safetensors", {"quick_gelu": "true", "format": "pt"})
    load_backbone(SPEC, folder, CPU)


def test_what_was_read_is_kept(folder):
    loaded = load_backbone(SPEC, folder, CPU)
    assert loaded.content_sha256 == loaded.read.sha256 == loaded.sha256
    assert (loaded.read.source, loaded.read.revision) == ("tiny.safetensors", None)


@pytest.mark.parametrize("keep", [7, 1000, -1])
def test_truncated_weights_are_refused(folder, keep):
    path = folder / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a readable safetensors file" in refused(folder)


def test_a_pickle_that_needs_code_is_not_loaded(folder):
    torch.save(stubs.tiny_clip(), folder / "tiny.safetensors")
    assert "a pickle that needs code" in refused(folder)


def test_a_square_size_given_twice_is_that_size(folder, backbone):
    write_config(folder, part="vision_cfg", image_size=[28, 28])
    loaded = load_backbone(SPEC, folder, CPU)
    assert loaded.preprocess == backbone.preprocess
    assert loaded.architecture == backbone.architecture


def test_a_byte_order_mark_before_a_config_is_read_over(folder):
    (folder / "tiny.json").write_bytes(b"\xef\xbb\xbf" + (folder / "tiny.json").read_bytes())
    assert load_backbone(SPEC, folder, CPU).preprocess.size == 28


@pytest.mark.parametrize("name", ["tiny.json", "tiny.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert str(folder / name) in refused(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "\xff\xfe",
        "[1, 2]",
        "{}",
        '{"embed_dim": 8}',
        '{"model_cfg": 3}',
        '{"model_cfg": {"embed_dim": 8, "vision_cfg": 4, "text_cfg": {}}}',
    ],
)
def test_a_config_that_is_none_is_refused(folder, text):
    (folder / "tiny.json").write_bytes(text.encode("latin-1"))
    assert "tiny.json" in refused(folder)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (None, {"vision_cfg": 3}),
        (None, {"text_cfg": 3}),
        (None, {"unknown_key": 3}),
        (None, {"embed_dim": "wide"}),
        (None, {"preprocess_cfg": 3}),
        ("vision_cfg", {"width": -32}),
        ("vision_cfg", {"head_width": 0}),
        ("vision_cfg", {"head_width": 10}),
        ("vision_cfg", {"unknown_key": 1}),
        ("vision_cfg", {"image_size": "large"}),
        ("vision_cfg", {"image_size": [28, 35]}),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(folder, part, changes):
    write_config(folder, part=part, **changes)
    assert "is not an open_clip architecture" in refused(folder)


def test_an_attribute_error_of_open_clip_is_not_the_fault_of_the_file(folder, monkeypatch):
    def removed(**_architecture):
        raise AttributeError("module 'torch' has no attribute 'something_renamed'")

    monkeypatch.setattr(open_clip, "CLIP", removed)
    said = refused(folder)
    assert "is not an open_clip architecture" not in said
    assert f"open_clip_torch {version('open_clip_torch')}" in said
    assert "something_renamed" in said


def test_the_tested_range_is_that_of_the_package():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert backbone_module.TESTED in project["dependencies"]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("vision_cfg", "pool_type", "avg"),
        ("vision_cfg", "output_tokens", True),
        ("vision_cfg", "attentional_pool", True),
        ("vision_cfg", "patch_dropout", 0.5),
        ("text_cfg", "hf_tokenizer_name", "bert-base-uncased"),
        ("text_cfg", "hf_model_name", "roberta-base"),
        ("text_cfg", "vocab_size", 100),
    ],
)
def test_models_that_the_probes_or_prompts_would_misread_are_refused(folder, part, key, value):
    """An embedding not made of the class token that is measured, or tokens that CLIP's tokenizer does not make."""
    write_config(folder, part=part, **{key: value})
    assert f"{part}.{key}" in refused(folder)


@pytest.mark.parametrize("given", [{"resize_mode": "squash"}, {"interpolation": "random"}, {"size": [28, 28]}, 3])
def test_preprocessing_that_would_not_be_followed_is_refused(folder, given):
    (folder / "tiny.json").write_text(json.dumps({"model_cfg": stubs.tiny_config(), "preprocess_cfg": given}))
    assert "tiny.json" in refused(folder)


@pytest.mark.parametrize(
    ("names", "template"),
    [
        (("cat", "dog"), "a photo."),
        (("cat", "dog"), "a photo of an animal that is very probably, as far as anyone can tell, a {}."),
        (("Cat", "cat"), "a photo of a {}."),
    ],
)
def test_prompts_that_cannot_tell_classes_apart_are_refused(backbone, names, template):
    """No {}, or a name beyond the context length: zero-shot would quietly be chance."""
    with pytest.raises(ModelError, match="same prompt") as caught:
        backbone.class_embeddings(names, template)
    assert caught.value.hint


def test_classes_of_one_name_share_their_embedding(backbone):
    found = backbone.class_embeddings(["crane", "dog", "crane"], "a photo of a {}.")
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("template", ["a {animal}", "a {} {}", "a {"])
def test_a_template_that_cannot_be_filled_is_refused(backbone, template):
    with pytest.raises(ModelError, match="template") as caught:
        backbone.class_embeddings(["cat", "dog"], template)
    assert caught.value.hint


def test_several_templates_are_averaged_as_open_clip_does(backbone):
    templates = ("a photo of a {}.", "art of the {}.", "itap of a {}.")
    names = ["red car", "dog", "cat"]
    theirs = open_clip.build_zero_shot_classifier(
        stubs.tiny_clip(), open_clip.SimpleTokenizer(context_length=16), names, [t.format for t in templates]
    )
    found = backbone.class_embeddings(names, templates)
    torch.testing.assert_close(found, theirs.T)
    torch.testing.assert_close(
        backbone.class_embeddings(names, templates[:1]), backbone.class_embeddings(names, templates[0])
    )
    with pytest.raises(ModelError, match="the same prompt"):
        backbone.class_embeddings(names, ("a photo of a {}.", "a photo."))
