import json

import clip_equivalence
import pytest
import stubs
import torch
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def clip():
    return stubs.tiny_clip()


@pytest.fixture(scope="session")
def state(clip):
    """open_clip's state dict of the tiny CLIP; copy before changing."""
    return clip.state_dict()


@pytest.fixture(scope="session")
def hugging_face(clip):
    return clip_equivalence.hugging_face(clip, stubs.tiny_config())


@pytest.fixture
def write(tmp_path):
    """Write tensors as safetensors under a name; the architecture lies next to them."""
    (tmp_path / "open_clip_config.json").write_text(json.dumps(stubs.tiny_config()))

    def written(tensors, name="given.safetensors", metadata=None):
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file({n: t.clone().contiguous() for n, t in tensors.items()}, path, metadata)
        else:
            torch.save(tensors, path)
        return path

    return written
