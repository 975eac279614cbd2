"""The scripts of examples/ are run, on a tiny model."""

import importlib.util
from pathlib import Path

import pytest
import stubs
import torch
from torch.utils.data import DataLoader

from heatdrift.store.ingest import open_current
from heatdrift.store.read import read_view

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_loop_of_open_clip_trains_adapters_and_stores_its_drift(tmp_path):
    model = stubs.tiny_clip()
    size = model.visual.image_size
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(12, 3, *(size if isinstance(size, tuple) else (size, size)), generator=generator)
    batches = [(pictures[:6], torch.arange(6) % 2), (pictures[6:], torch.arange(6) % 2)] * 2
    monitor = example("open_clip_loop").fine_tune(model, batches, pictures, 2, tmp_path, lr=1e-2)
    assert [record.step for record in monitor.records] == [0, 2, 4]
    assert monitor.records[-1].means["weight_drift"] > monitor.records[1].means["weight_drift"] > 0
    with open_current(tmp_path / "heatdrift.duckdb") as connection:
        assert read_view(connection, "runs")["method"].to_list() == ["lora"]


def batches(model):
    """Twelve pictures for the monitor, and four batches of six with their classes."""
    size = model.visual.image_size
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(12, 3, *(size if isinstance(size, tuple) else (size, size)), generator=generator)
    labels = torch.arange(6) % 2
    return pictures, [(pictures[:6], labels), (pictures[6:], labels)] * 2


def drifted_and_stored(monitor, folder, lr):
    assert [record.step for record in monitor.records] == [0, 2, 4]
    assert monitor.records[-1].means["weight_drift"] > monitor.records[1].means["weight_drift"] > 0
    with open_current(folder / "heatdrift.duckdb") as connection:
        (row,) = read_view(connection, "runs").to_dicts()
    assert (row["method"], row["lr"], row["protocol"]) == ("full_ft", lr, "external")


def test_transformers_trainer_measures_by_its_callback_and_stores_the_run(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the example is for transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, projection_dim=24, num_hidden_layers=3, num_attention_heads=4,
        image_size=28, patch_size=7,
    )  # fmt: skip
    torch.manual_seed(0)
    tower = transformers.CLIPVisionModelWithProjection(config)
    pictures, _ = batches(stubs.tiny_clip())
    examples = [{"pixel_values": picture, "labels": i % 2} for i, picture in enumerate(pictures)]
    monitor = example("hugging_face_trainer").fine_tune(
        tower, examples, pictures, 2, tmp_path, lr=1e-2, max_steps=4, per_device_train_batch_size=6, use_cpu=True,
        dataloader_pin_memory=False, disable_tqdm=True, lr_scheduler_type="constant",
    )  # fmt: skip
    drifted_and_stored(monitor, tmp_path, 1e-2)


@pytest.mark.filterwarnings("ignore")  # Lightning's own: of torch's future, of workers, of so small a run
def test_lightning_measures_by_its_callback_and_stores_the_run(tmp_path):
    pytest.importorskip("lightning.pytorch", reason="the example is for Lightning: pip install lightning")
    model = stubs.tiny_clip().train()
    pictures, steps = batches(model)
    monitor = example("lightning_trainer").fine_tune(
        model, DataLoader(steps, batch_size=None), pictures, 2, tmp_path, lr=1e-2, accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    drifted_and_stored(monitor, tmp_path, 1e-2)
