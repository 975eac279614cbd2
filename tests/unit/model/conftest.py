import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import open_clip
import published_model
import pytest
from huggingface_hub import constants
from safetensors.torch import save_file

from heatdrift.config import BackboneSpec
from heatdrift.model import tags


@dataclass(frozen=True)
class Published:
    """A published model `Tiny-quickgelu/openai` and the places where its weights may lie; nothing lies there yet."""

    spec: BackboneSpec
    folder: Path  # of the data
    home: Path
    hub: Path
    archive: Path  # what OpenAI would publish
    tags: dict

    def set_url(self, address):
        self.tags["Tiny-quickgelu"]["openai"]["url"] = f"{address}/openaipublic/{self.sha256}/Tiny.pt"

    @property
    def sha256(self):
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()

    @property
    def by_hand(self):
        return self.folder / "weights" / "Tiny-quickgelu-openai"

    @property
    def cached(self):
        return self.home / ".cache" / "clip" / "Tiny.pt"

    def safetensors(self, path, clip=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file((clip or published_model.published_clip()).state_dict(), path)
        return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "Tiny.pt"
    published_model.write_archive(path, published_model.published_clip())
    return path


@pytest.fixture
def published(archive, tmp_path, monkeypatch):
    config = {
        "hf_hub": f"{published_model.REPO}/",
        "quick_gelu": True,
        "mean": open_clip.OPENAI_DATASET_MEAN,
        "std": open_clip.OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    table = {"Tiny-quickgelu": {"openai": config}}
    made = Published(
        spec=BackboneSpec(name="Tiny-quickgelu/openai"),
        folder=tmp_path / "data",
        home=tmp_path / "home",
        hub=tmp_path / "hub",
        archive=archive,
        tags=table,
    )
    made.set_url("http://127.0.0.1:9")
    architectures = {"Tiny-quickgelu": published_model.published_config()}
    monkeypatch.setattr(tags, "_tags_by_model", lambda: table)
    monkeypatch.setattr(tags, "open_clip_architecture", lambda model: copy.deepcopy(architectures.get(model)))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(made.home))
    return made
