"""The tiny backbone and pixels for it, for tests of models and methods."""

import pytest
import stubs
import torch

from heatdrift.model.backbone import load_backbone


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """The tiny backbone, as a study loads it. Not to be changed: ``adapt`` copies its tower."""
    folder = tmp_path_factory.mktemp("backbone")
    return load_backbone(stubs.write_tiny_backbone(folder), folder, torch.device("cpu"))


@pytest.fixture(scope="session")
def pixels():
    return torch.randn(5, 3, 28, 28, generator=torch.Generator().manual_seed(3))
