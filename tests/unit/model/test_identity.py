import hashlib
import subprocess
import sys

import pytest
import stubs

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError
from heatdrift.model.identity import EMBEDDED, backbone_files, backbone_sha256, files_sha256, is_tag


def test_paths_are_taken_relative_to_the_data_folder_or_as_they_are(tmp_path):
    spec = stubs.write_tiny_backbone(tmp_path)
    wanted = (tmp_path / "tiny.json", tmp_path / "tiny.safetensors")
    assert backbone_files(spec, tmp_path) == wanted
    absolute = BackboneSpec(name="tiny", config=str(wanted[0]), weights=str(wanted[1]))
    assert backbone_files(absolute, tmp_path / "elsewhere") == wanted


def test_the_hash_is_over_both_files_in_order(tmp_path):
    config, weights = tmp_path / "a", tmp_path / "b"
    config.write_bytes(b"one")
    weights.write_bytes(b"two")
    parts = [hashlib.sha256(text).digest() for text in (b"one", b"two")]
    assert files_sha256(config, weights) == hashlib.sha256(b"".join(parts)).hexdigest()
    assert files_sha256(weights, config) != files_sha256(config, weights)


def test_bytes_moved_from_one_file_to_the_other_change_the_hash(tmp_path):
    config, weights = tmp_path / "a", tmp_path / "b"
    config.write_bytes(b"on")
    weights.write_bytes(b"etwo")
    first = files_sha256(config, weights)
    config.write_bytes(b"one")
    weights.write_bytes(b"two")
    assert files_sha256(config, weights) != first


def test_a_pinned_hash_needs_no_files(tmp_path):
    spec = BackboneSpec(name="far", config="far.json", weights="far.safetensors", sha256="f" * 64)
    assert backbone_sha256(spec, tmp_path) == "f" * 64


def test_without_a_pin_the_files_are_hashed(tmp_path):
    spec = stubs.write_tiny_backbone(tmp_path)
    assert backbone_sha256(spec, tmp_path) == files_sha256(*backbone_files(spec, tmp_path))


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_backbones_lie_in_the_package(name, tmp_path):
    config, weights = backbone_files(BackboneSpec(name=name), tmp_path)
    assert config.is_file()
    assert weights.is_file()
    assert weights.stat().st_size <= 8_000_000


@pytest.mark.parametrize("given", [{}, {"config": "tiny.json"}, {"weights": "tiny.safetensors"}])
def test_a_backbone_neither_embedded_nor_given_by_both_paths_is_refused(tmp_path, given):
    with pytest.raises(ModelError, match="unheard-of") as caught:
        backbone_files(BackboneSpec(name="unheard-of", **given), tmp_path)
    assert "config" in caught.value.hint


@pytest.mark.parametrize("name", ["tiny.json", "tiny.safetensors"])
def test_a_missing_file_is_named_with_what_to_do(tmp_path, name):
    spec = stubs.write_tiny_backbone(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=name) as caught:
        backbone_sha256(spec, tmp_path)
    assert "--data-dir" in caught.value.hint


def test_identity_needs_no_torch():
    code = "import sys, heatdrift.model.identity; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_published_backbone_is_identified_by_its_name_without_torch_or_download(tmp_path):
    wanted = hashlib.sha256(b"open_clip:ViT-B-32-quickgelu/openai").hexdigest()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from heatdrift.config import BackboneSpec\n"
        "from heatdrift.model.identity import backbone_sha256\n"
        "spec = BackboneSpec(name='ViT-B-32-quickgelu/openai')\n"
        f"assert backbone_sha256(spec, Path({str(tmp_path)!r})) == {wanted!r}\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'open_clip', 'huggingface_hub')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_a_name_without_files_is_a_tag():
    assert is_tag(BackboneSpec(name="ViT-B-32-quickgelu/openai"))
    assert not is_tag(BackboneSpec(name="ViT-B-32-quickgelu/openai", config="a.json", weights="b.safetensors"))
    assert not is_tag(BackboneSpec(name="lab"))
