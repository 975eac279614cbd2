"""The scripts of examples/ are run, on a tiny model."""

import importlib.util
from pathlib import Path

import stubs
import torch

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
