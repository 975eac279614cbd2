import open_clip
import pytest

from heatdrift.errors import ModelError
from heatdrift.model import tags
from heatdrift.model.tags import pretrained

OPENAI_VIT_B_32 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"


def refused(name):
    with pytest.raises(ModelError) as caught:
        pretrained(name)
    assert caught.value.hint
    return caught.value


def test_the_table_is_that_of_the_installed_open_clip():
    table = tags._tags_by_model()
    listed = open_clip.list_pretrained()
    assert [(model, tag) for model in table for tag in table[model]] == listed
    for model, tag in listed:
        assert table[model][tag] == open_clip.get_pretrained_cfg(model, tag)


def test_an_open_clip_written_otherwise_is_asked_itself(tmp_path, monkeypatch):
    expected = tags._tags_by_model()
    (tmp_path / "constants.py").write_text("X = 1\n")
    (tmp_path / "pretrained.py").write_text("REGISTRY = load()\n")
    monkeypatch.setattr(tags, "_open_clip_folder", lambda: tmp_path)
    assert tags._tags_by_model.__wrapped__() == expected


def test_architectures_are_those_of_the_installed_open_clip():
    for model in ("ViT-B-32-quickgelu", "ViT-B-16", "RN50"):
        assert tags.open_clip_architecture(model) == open_clip.get_model_config(model)
    assert tags.open_clip_architecture("../pretrained") is None


def test_openais_weights_have_an_archive_with_a_published_hash_and_a_hub_file():
    found = pretrained("ViT-B-32-quickgelu/openai")
    assert found.archive_sha256 == OPENAI_VIT_B_32
    assert found.archive_url.endswith(f"/{OPENAI_VIT_B_32}/ViT-B-32.pt")
    assert (found.hub_repo, found.hub_file) == ("timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors")
    assert found.architecture["quick_gelu"] is True
    assert found.preprocess["mean"] == open_clip.OPENAI_DATASET_MEAN


def test_other_addresses_hold_pickles_and_are_not_archives():
    found = pretrained("ViT-B-16/laion400m_e32")
    assert found.archive_url is found.archive_sha256 is None
    assert found.hub_repo == "timm/vit_base_patch16_clip_224.laion400m_e32"


def test_a_named_hub_file_is_taken_as_safetensors(monkeypatch):
    config = {**tags._tags_by_model()["ViT-B-32"]["laion2b_s34b_b79k"], "hf_hub": "owner/name/weights.bin"}
    monkeypatch.setattr(tags, "_tags_by_model", lambda: {"ViT-B-32": {"own": config}})
    found = pretrained("ViT-B-32/own")
    assert (found.hub_repo, found.hub_file) == ("owner/name", "weights.safetensors")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ViT-B-32/openai", "ViT-B-32-quickgelu/openai"),
        ("ViT-B-16/openai", "ViT-B-16-quickgelu/openai"),
        ("ViT-B-16/metaclip_400m", "ViT-B-16-quickgelu/metaclip_400m"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_the_wrong_activation_is_refused_and_the_right_model_named(name, right):
    error = refused(name)
    assert "trained with" in error.message
    assert f'"{right}"' in error.hint
    assert pretrained(right).name == right


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ViT-B-32-quickgelu/opnai", "'ViT-B-32-quickgelu/openai'"),
        ("ViT-B-32-quickgelu/OpenAI", "'ViT-B-32-quickgelu/openai'"),
        ("ViT-B32-quickgelu/openai", "'ViT-B-32-quickgelu/openai'"),
        ("ViT-B-32/laion2b_s34b_b79", "'ViT-B-32/laion2b_s34b_b79k'"),
        ("VIT-B-32/openai", "'ViT-B-32-quickgelu/openai'"),
    ],
)
def test_the_nearest_name_is_offered_and_can_be_used(name, nearest):
    hint = refused(name).hint
    assert f"did you mean {nearest}?" in hint
    pretrained(nearest.strip("'"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("RN50-quickgelu/openai", "ResNet"),
        ("ViT-B-16-SigLIP/webli", "custom_text"),
        ("coca_ViT-B-32/laion2b_s13b_b90k", "custom_text"),
        ("roberta-ViT-B-32/laion2b_s12b_b32k", "hf_model_name"),
        ("convnext_base_w/laion2b_s13b_b82k", "timm_model_name"),
        ("ViT-H-14-quickgelu/dfn5b", "squash"),
        ("no-such-thing/at-all", "no pretrained model"),
    ],
)
def test_models_that_cannot_be_measured_are_refused_before_any_download(name, why):
    assert why in refused(name).message


def test_every_tag_is_either_accepted_or_refused_with_a_reason():
    accepted, hints = set(), []
    for model, tag in open_clip.list_pretrained():
        try:
            accepted.add(pretrained(f"{model}/{tag}").name)
        except ModelError as error:
            hints.append(error.hint)
    assert all(hints)
    assert {f"ViT-{size}-quickgelu/openai" for size in ("B-32", "B-16", "L-14", "L-14-336")} <= accepted
    assert len(accepted) > 50
