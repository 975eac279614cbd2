import subprocess
import sys

import published_model
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.utils import close_session

from heatdrift import downloads
from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model import download, http
from heatdrift.model.download import fetch_weights, missing_weights, verified_sha256, where_weights
from heatdrift.model.http import from_address, from_hub
from heatdrift.model.identity import backbone_sha256, file_sha256


class Progress(list):
    def __call__(self, name, done, total):
        self.append((name, done, total))


def silent(_name, _done, _total):
    pass


def refused(call, *arguments):
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value


def test_weights_are_looked_for_by_hand_in_the_hub_cache_and_in_open_clips_cache(published):
    spec, folder = published.spec, published.folder
    assert where_weights(spec, folder) is None
    published.cached.parent.mkdir(parents=True)
    published.cached.write_bytes(b"")
    assert where_weights(spec, folder) == published.cached
    linked = published_model.write_hub_cache(published.hub, published.archive)
    assert where_weights(spec, folder) == linked
    for suffix in (".pt", ".safetensors"):
        path = published.by_hand.with_name(published.by_hand.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        assert where_weights(spec, folder) == path


def test_backbones_given_by_files_are_where_the_study_says(tmp_path):
    spec = BackboneSpec(name="own", config="a.json", weights="a.safetensors")
    assert where_weights(spec, tmp_path) is None
    assert "a.json" in refused(fetch_weights, spec, tmp_path, silent).message
    (tmp_path / "a.json").touch()
    assert "a.safetensors" in refused(fetch_weights, spec, tmp_path, silent).message
    (tmp_path / "a.safetensors").touch()
    found = tmp_path / "a.safetensors"
    assert where_weights(spec, tmp_path) == fetch_weights(spec, tmp_path, silent) == found
    assert where_weights(BackboneSpec(name="lab"), tmp_path).name == "lab.safetensors"


def test_the_identity_is_that_of_the_name_before_and_after_the_download(published):
    before = backbone_sha256(published.spec, published.folder)
    published.safetensors(published.by_hand.with_suffix(".safetensors"))
    assert backbone_sha256(published.spec, published.folder) == before
    pinned = BackboneSpec(name=published.spec.name, sha256="a" * 64)
    assert backbone_sha256(pinned, published.folder) == "a" * 64
    with pytest.raises(ModelError, match="Tiny"):
        backbone_sha256(BackboneSpec(name="Tiny-quickgelu/opnai", sha256="a" * 64), published.folder)


def test_an_archive_is_downloaded_verified_and_kept_where_open_clip_looks(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    published.tags["Tiny-quickgelu"]["openai"]["hf_hub"] = ""
    progress = Progress()
    with published_model.serving(published.archive.read_bytes()) as (address, asked):
        published.set_url(address)
        found = fetch_weights(published.spec, published.folder, progress)
        assert fetch_weights(published.spec, published.folder, silent) == found
    size = published.archive.stat().st_size
    assert found == published.cached
    assert found.read_bytes() == published.archive.read_bytes()
    assert asked == [None]
    assert progress[0] == ("Tiny.pt", 0, size)
    assert progress[-1] == ("Tiny.pt", size, size)
    assert sorted(path.name for path in found.parent.iterdir()) == ["Tiny.pt"]


def test_an_interrupted_archive_is_continued(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(downloads, "_CHUNK", 1000)
    content, progress = published.archive.read_bytes(), Progress()
    target = published.cached
    with published_model.serving(content, cut_at=5000) as (address, asked):
        url = f"{address}/Tiny.pt"
        assert "after 5000 of" in refused(from_address, url, target, published.sha256, silent).message
        assert not target.exists()
        assert from_address(url, target, published.sha256, progress) == target
    assert asked == [None, "bytes=5000-"]
    assert progress[0] == ("Tiny.pt", 5000, len(content))
    assert target.read_bytes() == content


def test_a_server_that_cannot_continue_starts_again(published):
    content = published.archive.read_bytes()
    part = published.cached.with_name("Tiny.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:3000])
    with published_model.serving(content, ranges=False) as (address, _):
        from_address(f"{address}/Tiny.pt", published.cached, published.sha256, silent)
    assert published.cached.read_bytes() == content


def test_a_part_that_is_already_whole_is_only_verified(published):
    content = published.archive.read_bytes()
    part = published.cached.with_name("Tiny.pt.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    with published_model.serving(content) as (address, asked):
        from_address(f"{address}/Tiny.pt", published.cached, published.sha256, silent)
    assert asked == [f"bytes={len(content)}-"]
    assert published.cached.read_bytes() == content


def test_bytes_of_another_hash_never_get_the_files_name(published):
    with published_model.serving(b"something else") as (address, _):
        message = refused(from_address, f"{address}/Tiny.pt", published.cached, published.sha256, silent).message
    assert "sha256" in message
    assert list(published.cached.parent.iterdir()) == []


@pytest.mark.parametrize("status", [404, 500])
def test_an_address_that_answers_with_an_error_is_named(published, status):
    with published_model.serving(b"", status=status) as (address, _):
        message = refused(from_address, f"{address}/Tiny.pt", published.cached, published.sha256, silent).message
    assert str(status) in message
    assert address in message


def test_a_damaged_file_in_open_clips_cache_is_replaced(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    published.tags["Tiny-quickgelu"]["openai"]["hf_hub"] = ""
    content = published.archive.read_bytes()
    published.cached.parent.mkdir(parents=True)
    published.cached.write_bytes(content[:-1])
    with published_model.serving(content) as (address, _):
        published.set_url(address)
        assert fetch_weights(published.spec, published.folder, silent).read_bytes() == content


@pytest.mark.parametrize("with_archive", [False, True])
def test_safetensors_come_from_the_hub_though_there_is_an_archive(published, monkeypatch, tmp_path, with_archive):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    made = published.safetensors(tmp_path / "made.safetensors")
    progress = Progress()
    with published_model.serving(made.read_bytes()) as (address, _):
        if with_archive:
            published.set_url(address)
        else:
            del published.tags["Tiny-quickgelu"]["openai"]["url"]
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        found = fetch_weights(published.spec, published.folder, progress)
        close_session()
    assert found.read_bytes() == made.read_bytes()
    assert found.parent.name == published_model.COMMIT
    assert where_weights(published.spec, published.folder) == found
    assert progress[-1] == (published_model.FILE, made.stat().st_size, made.stat().st_size)


def test_the_archive_is_asked_for_where_the_hub_fails(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def no_hub(*_args):
        raise ModelError("the hub does not answer", hint="later")

    monkeypatch.setattr(download, "from_hub", no_hub)
    with published_model.serving(published.archive.read_bytes()) as (address, asked):
        published.set_url(address)
        assert fetch_weights(published.spec, published.folder, silent) == published.cached
    assert asked == [None]


def test_a_repository_without_safetensors_is_a_pickle(published, monkeypatch):
    def no_such_file(*_args, **_kwargs):
        raise EntryNotFoundError("404")

    monkeypatch.setattr(http, "hf_hub_download", no_such_file)
    assert "pickle" in refused(from_hub, published_model.REPO, published_model.FILE, silent).message


def test_offline_the_error_says_what_is_missing_and_where_to_put_it(published):
    error = refused(fetch_weights, published.spec, published.folder, silent)
    assert "HF_HUB_OFFLINE" in error.message
    assert published.spec.name in error.message
    for shown in (
        f"{published.sha256}/Tiny.pt\nat {published.by_hand}.pt",
        f"{published_model.REPO}/resolve/main/{published_model.FILE}\nat {published.by_hand}.safetensors",
    ):
        assert shown in error.hint


def test_when_neither_way_works_both_are_named(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with published_model.serving(b"", status=404) as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        published.set_url(address)
        message = refused(fetch_weights, published.spec, published.folder, silent).message
        close_session()
    assert f"{address}/openaipublic" in message
    assert f"hf:{published_model.REPO}" in message


def test_a_tag_that_is_a_pickle_only_is_refused(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    published.tags["Tiny-quickgelu"]["openai"].update(url="https://example.org/weights.pt", hf_hub="")
    error = refused(fetch_weights, published.spec, published.folder, silent)
    assert "pickle" in error.message
    assert "safetensors" in error.hint


def test_a_cached_pickle_does_not_count_and_is_named(published, tmp_path):
    del published.tags["Tiny-quickgelu"]["openai"]["url"]
    pickle = tmp_path / "weights.bin"
    torch.save({"visual.proj": torch.ones(2)}, pickle)
    published_model.write_hub_cache(published.hub, pickle, file="open_clip_pytorch_model.bin")
    assert where_weights(published.spec, published.folder) is None
    assert "pickle" in missing_weights(published.spec, published.folder).message


def test_hashes_are_checked_against_the_publisher_the_cache_and_the_study(published):
    published.by_hand.parent.mkdir(parents=True)
    archive = published.by_hand.with_suffix(".pt")
    archive.write_bytes(published.archive.read_bytes())
    assert verified_sha256(published.spec, archive) == published.sha256
    archive.write_bytes(published.archive.read_bytes() + b" ")
    assert "published" in refused(verified_sha256, published.spec, archive).message

    linked = published_model.write_hub_cache(published.hub, published.archive)
    assert verified_sha256(published.spec, linked) == published.sha256
    pinned = BackboneSpec(name=published.spec.name, sha256="b" * 64)
    assert "the study file says bbbb" in refused(verified_sha256, pinned, linked).message
    linked.resolve().write_bytes(b"cut")
    assert str(linked) in refused(verified_sha256, published.spec, linked).hint


def test_a_disk_that_cannot_be_written_is_an_error_of_the_user(published, tmp_path):
    target = tmp_path / "file" / "Tiny.pt"
    target.parent.write_text("a file where a folder should be")
    with published_model.serving(b"x") as (address, _):
        assert "cannot be downloaded" in refused(from_address, f"{address}/x", target, "0" * 64, silent).message


def test_nothing_here_imports_torch_and_the_real_table_is_found():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from heatdrift.config import BackboneSpec\n"
        "from heatdrift.model.download import where_weights\n"
        "where_weights(BackboneSpec(name='ViT-B-32-quickgelu/openai'), Path('/nowhere'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_file_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
