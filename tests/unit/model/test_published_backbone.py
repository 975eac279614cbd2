"""Loading a MODEL/TAG from what lies on the machine; the archive and the caches are made by the tests."""

from importlib.metadata import version

import open_clip
import published_model
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model import tags
from heatdrift.model.backbone import load_backbone
from heatdrift.model.identity import backbone_sha256, file_sha256

CPU = torch.device("cpu")


def load(published, spec=None):
    return load_backbone(spec or published.spec, published.folder, CPU)


def refused(published, spec=None):
    with pytest.raises(ModelError) as caught:
        load(published, spec)
    assert caught.value.hint
    return caught.value


def assert_is_the_published_model(backbone):
    clip = published_model.published_clip()
    pixels = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone.visual(pixels), clip.encode_image(pixels), atol=1e-5, rtol=0)
        tokens = backbone.tokenizer(["a dog", "a car"])
        expected = clip.encode_text(tokens, normalize=True)
    torch.testing.assert_close(backbone.class_embeddings(["a dog", "a car"], "{}"), expected)


@pytest.mark.parametrize("place", ["by hand", "cache"])
def test_openais_archive_is_loaded_by_open_clips_own_loader(published, place):
    path = published.cached if place == "cache" else published.by_hand.with_suffix(".pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(published.archive.read_bytes())
    backbone = load(published)
    assert_is_the_published_model(backbone)
    assert backbone.sha256 == backbone_sha256(published.spec, published.folder)
    assert backbone.content_sha256 == backbone.read.sha256 == published.sha256
    assert backbone.read.source.startswith("open_clip:Tiny-quickgelu/openai (")
    assert backbone.read.revision is None
    assert {p.dtype for p in backbone.clip.parameters()} == {torch.float32}


def test_the_hubs_offline_cache_is_enough_and_its_commit_is_kept(published, tmp_path):
    linked = published_model.write_hub_cache(published.hub, published.safetensors(tmp_path / "made.safetensors"))
    assert constants.HF_HUB_OFFLINE
    backbone = load(published)
    assert_is_the_published_model(backbone)
    assert backbone.content_sha256 == file_sha256(linked) == linked.resolve().name
    assert backbone.read.revision == published_model.COMMIT
    assert f"hf:{published_model.REPO}" in backbone.read.source


def test_the_tags_preprocessing_is_used(published):
    config = published.tags["Tiny-quickgelu"]["openai"]
    config.update(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3), interpolation="bilinear")
    published.safetensors(published.by_hand.with_suffix(".safetensors"))
    found = load(published).preprocess
    assert (found.size, found.mean, found.std) == (28, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert (found.interpolation, found.antialias) == ("bilinear", True)


def test_absent_weights_are_never_downloaded_by_loading(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with published_model.serving(published.archive.read_bytes()) as (address, asked):
        published.set_url(address)
        error = refused(published)
    assert asked == []
    assert "not on this machine" in error.message
    assert "heatdrift fetch --study" in error.hint
    assert str(published.by_hand) in error.hint


def test_a_wrong_hash_is_refused(published):
    path = published.by_hand.with_suffix(".pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(published.archive.read_bytes()[:-1] + b"?")
    assert "sha256" in refused(published).message


def test_a_pickle_in_the_archives_place_is_refused_by_its_hash(published):
    path = published.by_hand.with_suffix(".pt")
    path.parent.mkdir(parents=True)
    torch.save(published_model.published_clip().state_dict(), path)
    assert "sha256" in refused(published).message


@pytest.mark.parametrize("kind", ["text", "pickle", "empty", "module"])
def test_an_archive_that_is_none_is_refused_though_its_hash_is_right(published, kind, monkeypatch):
    """open_clip's loader would hand a pickle to torch.load: it must not come so far."""
    path = published.cached
    path.parent.mkdir(parents=True)
    if kind == "pickle":
        torch.save(published_model.published_clip().state_dict(), path)
    elif kind == "module":
        published_model.write_archive(path, torch.nn.ModuleDict({"visual": torch.nn.Linear(2, 2)}))
    else:
        path.write_bytes(b"" if kind == "empty" else b"no archive")
    published.tags["Tiny-quickgelu"]["openai"]["url"] = f"https://openaipublic/{file_sha256(path)}/Tiny.pt"
    monkeypatch.setattr(torch, "load", None)
    assert "TorchScript" in refused(published).message


@pytest.mark.parametrize("gone", ["the loader", "a part of the loader"])
def test_what_open_clip_lacks_is_no_fault_of_the_file(published, gone, monkeypatch):
    """Its version 4 has no load_openai_model: nobody must be told to delete 350 MB that are as published."""
    path = published.cached
    path.parent.mkdir(parents=True)
    path.write_bytes(published.archive.read_bytes())
    if gone == "the loader":
        monkeypatch.delattr(open_clip, "load_openai_model")
    else:

        def broken(*_args, **_kwargs):
            raise AttributeError("module 'open_clip.model' has no attribute 'build_model_from_openai_state_dict'")

        monkeypatch.setattr(open_clip, "load_openai_model", broken)
    error = refused(published)
    assert error.message.startswith(f"open_clip {version('open_clip_torch')} cannot read the TorchScript archive")
    assert "damaged" not in error.message
    assert "delete" not in error.hint
    assert "open_clip_torch>=3.2,<4" in error.hint


def test_a_pin_is_the_content_hash(published):
    path = published.safetensors(published.by_hand.with_suffix(".safetensors"))
    pinned = BackboneSpec(name=published.spec.name, sha256=file_sha256(path))
    assert load(published, pinned).sha256 == pinned.sha256
    wrong = BackboneSpec(name=published.spec.name, sha256="0" * 64)
    assert "the study file says 0000" in refused(published, wrong).message


def test_weights_of_another_architecture_are_refused(published, monkeypatch):
    """OpenAI's loader builds whatever the archive holds: it must not become the model of another name."""
    path = published.by_hand.with_suffix(".pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(published.archive.read_bytes())
    other = published_model.published_config()
    other["vision_cfg"]["patch_size"] = 14
    monkeypatch.setattr(tags, "open_clip_architecture", lambda _model: other)
    assert "does not fit the architecture Tiny-quickgelu" in refused(published).message


def test_truncated_safetensors_are_refused(published):
    path = published.safetensors(published.by_hand.with_suffix(".safetensors"))
    path.write_bytes(path.read_bytes()[:1000])
    assert "not a readable safetensors file" in refused(published).message


def test_metadata_that_contradict_the_activation_are_refused(published):
    path = published.by_hand.with_suffix(".safetensors")
    path.parent.mkdir(parents=True)
    save_file(published_model.published_clip().state_dict(), path, {"quick_gelu": "false"})
    error = refused(published)
    assert "quick_gelu false" in error.message
    save_file(published_model.published_clip().state_dict(), path, {"quick_gelu": "true"})
    assert_is_the_published_model(load(published))


def test_quick_gelu_weights_in_a_gelu_model_are_refused_by_name(published, monkeypatch):
    published.tags["Tiny"] = dict(published.tags["Tiny-quickgelu"])
    monkeypatch.setattr(
        tags, "open_clip_architecture", lambda _model: published_model.published_config(quick_gelu=False)
    )
    assert '"Tiny-quickgelu/openai"' in refused(published, BackboneSpec(name="Tiny/openai")).hint
