import io

import numpy as np
import pytest
import stubs
import torch
from PIL import Image
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import UnknownNameError
from heatdrift.report.map_images import LESS, MORE
from heatdrift.report.map_pictures import TILE, MapRow, side_by_side
from heatdrift.train.attention_maps import attention_maps


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=3, size=32, seed=0)
    state = {name: tensor.clone() for name, tensor in stubs.tiny_clip().state_dict().items()}
    for name in (n for n in state if n.startswith("visual.") and "in_proj_weight" in n):
        state[name].mul_(1.5)
    torch.save(state, folder / "changed.pt")
    return folder


def test_maps_are_rows_that_sum_to_1_for_every_block_and_head(place):
    found = attention_maps("tiny.safetensors", "changed.pt", images="colours.parquet", n_images=5, folder=place)
    arrays = found.arrays()
    shape = (5, stubs.TINY_BLOCKS, stubs.TINY_HEADS, stubs.TINY_PATCHES)
    assert arrays["base_cls"].shape == arrays["adapted_cls"].shape == shape
    np.testing.assert_allclose(arrays["base_cls"].sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(arrays["base_rollout"].sum(-1), 1, atol=1e-2)
    np.testing.assert_array_equal(arrays["difference_cls"], arrays["adapted_cls"] - arrays["base_cls"])
    assert np.abs(arrays["difference_cls"]).max() > 1e-3


def test_the_same_model_twice_differs_nowhere(place):
    found = attention_maps("tiny.safetensors", "tiny.safetensors", images="colours.parquet", n_images=2, folder=place)
    assert not found.arrays()["difference_cls"].any()
    assert not found.arrays()["difference_rollout"].any()


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_difference_shows_where_attention_went():
    base, adapted = np.array([1.0, 0, 0, 0]), np.array([0.0, 0, 0, 1])
    row = MapRow(label="block 0", base=base, adapted=adapted)
    page = opened(side_by_side(np.zeros((3, 8, 8), dtype=np.uint8), [row], ["base", "adapted"]))
    left, top = 6 + 3 * (TILE + 6), 18
    assert tuple(page[top + 10, left + 10]) == LESS
    assert tuple(page[top + TILE - 10, left + TILE - 10]) == MORE
    assert tuple(page[top + 10, left + TILE - 10]) == (255, 255, 255)


def test_the_command_writes_arrays_and_a_picture_each(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    arguments = ["maps", "--model", "tiny.safetensors", "--images", "colours.parquet", "--out", str(tmp_path)]
    run = CliRunner().invoke(app, [*arguments, "--n-images", "2", "--block", "0", "--block", "2", "--head", "1"])
    assert run.exit_code == 0, run.output
    with np.load(tmp_path / "maps.npz") as arrays:
        assert set(arrays.files) == {"base_cls", "base_rollout", "pictures"}
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 2
    assert opened(pictures[0].read_bytes()).shape[:2] == (18 + 3 * (TILE + 24), 2 * (TILE + 6) + 6)


def test_a_block_that_is_not_there_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    arguments = ["maps", "--model", "tiny.safetensors", "--images", "colours.parquet", "--out", str(tmp_path)]
    run = CliRunner().invoke(app, [*arguments, "--block", "3"])
    assert isinstance(run.exception, UnknownNameError)
    assert not list(tmp_path.iterdir())
