import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import peft
import pytest
import stubs
import torch
from PIL import Image
from torch import nn

from heatdrift.errors import DataError, ModelError, StudyError
from heatdrift.model.adapt_tower import adapt_open_clip
from heatdrift.model.attention import split_attention
from heatdrift.store.ingest import open_current
from heatdrift.store.read import read_view
from heatdrift.train.drift_callbacks import lightning_callback, trainer_callback
from heatdrift.train.drift_sinks import (
    EXTRAS,
    MissingPackageError,
    MlflowSink,
    TensorBoardSink,
    TrackioSink,
    WandbSink,
    optional,
)
from heatdrift.train.external import measure
from heatdrift.train.monitor import DriftMonitor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("monitored")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=10, size=32, seed=0)
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    for i in range(12):
        picture = Image.fromarray(generator.integers(0, 255, (32, 40, 3), dtype=np.uint8))
        picture.save(folder / "photos" / f"{i}.png")
    return folder


def changed(size):
    clip = stubs.tiny_clip()
    with torch.no_grad():
        for name, p in clip.visual.named_parameters():
            if p.ndim == 2 and name != "positional_embedding":
                p.add_(size * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name))))
    return clip


def pixels(n=12):
    size = stubs.tiny_clip().visual.image_size
    size = size[0] if isinstance(size, tuple) else size
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_monitor_measures_what_measure_measures(place):
    model = changed(0.05)
    torch.save({"state_dict": model.state_dict()}, place / "after.pt")
    theirs = measure("tiny.safetensors", "after.pt", images="photos", transfer="colours.parquet", folder=place)
    monitor = DriftMonitor("tiny.safetensors", "photos", transfer="colours.parquet", folder=place)
    ours = monitor.measure(model, 5)
    row = theirs.result.checkpoints[-1]
    assert ours.means.keys() == row.means.keys()
    for name, value in row.means.items():
        assert ours.means[name] == pytest.approx(value, abs=1e-5), name
    epoch = theirs.outcome.record.epochs[-1]
    for name, values in epoch.layers.items():
        assert ours.layers[name] == pytest.approx(values, abs=1e-5), name
    for name, rows in epoch.heads.items():
        np.testing.assert_allclose(ours.heads[name], rows, atol=1e-5)
    assert (ours.zero_shot_pct, ours.retention_pct) == (row.zero_shot_pct, pytest.approx(row.retention_pct))


def test_model_and_random_numbers_are_left_as_they_are():
    model = nn.Sequential(stubs.tiny_clip().visual, nn.Dropout(0.5))
    model.train()
    model[0].ln_post.eval()
    modes = [m.training for m in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    monitor = DriftMonitor(model, pixels())
    random = torch.get_rng_state()
    monitor.measure(model, 1)
    assert torch.equal(torch.get_rng_state(), random)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_zero_shot_and_probes_are_float32_under_the_autocast_of_a_loop(place):
    seen = []
    model = changed(0.05)
    model.visual.ln_post.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    monitor = DriftMonitor("tiny.safetensors", "photos", transfer="colours.parquet", folder=place)
    alone = monitor.measure(model, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = monitor.measure(model, 2)
        with torch.no_grad():
            model.visual(pixels(1))
    assert set(seen[:-1]) == {torch.float32}
    assert seen[-1] == torch.bfloat16  # the loop's own arithmetic goes on
    assert (inside.means, inside.heads, inside.zero_shot_pct) == (alone.means, alone.heads, alone.zero_shot_pct)


def test_each_projection_of_attention_is_computed_once_a_pass():
    counts = {}
    model = stubs.tiny_clip()
    split_attention(model.visual)
    for name, module in model.visual.named_modules():
        if name.endswith("_proj"):
            module.register_forward_hook(lambda _m, _i, _o, name=name: counts.update({name: counts.get(name, 0) + 1}))
    monitor = DriftMonitor(model, pixels())
    counts.clear()
    monitor.measure(model, 1)
    assert set(counts.values()) == {1}
    assert len(counts) >= 4 * stubs.TINY_BLOCKS


def test_a_plain_loop_with_adapters_is_followed_step_by_step():
    model = adapt_open_clip(stubs.tiny_clip(), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    monitor = DriftMonitor(model, pixels(), every=2)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for step in range(1, 7):
        model.train()
        loss = model.encode_image(pixels(4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert (monitor.step(model, step) is not None) == (step % 2 == 0)
    assert [record.step for record in monitor.records] == [0, 2, 4, 6]
    drift = [record.means["weight_drift"] for record in monitor.records]
    assert drift == sorted(drift)
    assert drift[0] == 0 < drift[1]
    assert monitor.records[-1].means["proj_drift"] == 0


def test_steps_are_one_run_of_the_store(place, tmp_path):
    monitor = DriftMonitor(
        "tiny.safetensors", "photos", transfer="colours.parquet", folder=place, labels={"lr": "1e-4", "seed": "3"}
    )
    for step in (10, 20):
        monitor.measure(changed(0.001 * step), step)
    stored = monitor.save(tmp_path)
    with open_current(tmp_path / "heatdrift.duckdb") as connection:
        runs, epochs = read_view(connection, "runs"), read_view(connection, "epochs")
    assert stored == f"external/{runs['cell_id'][0]}"
    assert (runs["method"].to_list(), runs["lr"].to_list(), runs["seed"].to_list()) == (["external"], [1e-4], [3])
    assert epochs["epoch"].to_list() == [0, 10, 20]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"images": pixels(3)}, DataError, "too few"),
        ({"images": pixels()[0]}, DataError, "not float"),
        ({"every": 0}, StudyError, "every is 0"),
        ({"transfer": "colours.parquet"}, ModelError, "text tower"),
        ({"images": "photos", "base": nn.Sequential(stubs.tiny_clip().visual)}, DataError, "cropped"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, error, words):
    with pytest.raises(error, match=words) as raised:
        DriftMonitor(**{"base": stubs.tiny_clip(), "images": pixels(), **options})
    assert raised.value.hint


def test_a_step_that_goes_back_and_a_run_without_learning_rate_are_refused(tmp_path):
    monitor = DriftMonitor(stubs.tiny_clip(), pixels())
    with pytest.raises(StudyError, match="no step"):
        monitor.save(tmp_path)
    monitor.measure(changed(0.1), 5)
    with pytest.raises(StudyError, match="step 5 comes after step 5"):
        monitor.measure(changed(0.1), 5)
    with pytest.raises(StudyError, match="learning rate"):
        monitor.save(tmp_path)


class Calls(ModuleType):
    def __init__(self, name):
        super().__init__(name)
        self.made = []

    def log_metrics(self, values, **other):
        self.made.append((values, other))

    def log(self, values, **other):
        self.made.append((values, other))


@pytest.mark.parametrize(("name", "sink"), [("mlflow", MlflowSink), ("wandb", WandbSink), ("trackio", TrackioSink)])
def test_each_tracker_gets_the_numbers_of_each_step(name, sink, monkeypatch):
    module = Calls(name)
    monkeypatch.setitem(sys.modules, name, module)
    monitor = DriftMonitor(stubs.tiny_clip(), pixels(), sinks=[sink()])
    record = monitor.measure(changed(0.1), 7)
    ((values, other),) = module.made
    assert other.get("step", values.get("heatdrift/step")) == 7
    assert record.flat().items() <= values.items()
    assert values["heatdrift/embedding_drift"] == record.means["embedding_drift"]
    assert values["heatdrift/layer01/map_js"] == record.layers["map_js"][1]


def test_tensorboard_takes_scalars_through_the_loops_own_writer():
    written = []
    writer = SimpleNamespace(add_scalar=lambda *given: written.append(given), flush=lambda: None)
    monitor = DriftMonitor(stubs.tiny_clip(), pixels(), sinks=[TensorBoardSink(writer)])
    record = monitor.measure(changed(0.1), 3)
    assert written == [(name, value, 3) for name, value in record.flat().items()]


def test_a_package_that_is_absent_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingPackageError, match="wandb is not installed") as raised:
        WandbSink()
    assert raised.value.hint == "pip install 'heatdrift[wandb]'"
    with pytest.raises(MissingPackageError) as raised:
        optional("no_such_package_of_anybody", "its-name")
    assert raised.value.hint == "pip install its-name"


def test_the_extras_that_errors_name_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) <= set(extras) - {"dev"}


def test_the_trainer_of_transformers_drives_the_monitor(tmp_path):
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.tower = stubs.tiny_clip().visual
            self.head = nn.LazyLinear(2)
            self.head(self.tower(pixels(2)))

        def forward(self, pixel_values, labels):
            logits = self.head(self.tower(pixel_values))
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    model = Classifier()
    monitor = DriftMonitor(model, pixels(), every=2, store=tmp_path / "runs")
    callback = trainer_callback(monitor)
    assert isinstance(callback, TrainerCallback)
    args = TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=4, per_device_train_batch_size=4, learning_rate=1e-3,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, logging_strategy="no",
        dataloader_pin_memory=False,
    )  # fmt: skip
    data = [{"pixel_values": picture, "labels": i % 2} for i, picture in enumerate(pixels())]
    Trainer(model=model, args=args, train_dataset=data, callbacks=[callback]).train()
    assert [record.step for record in monitor.records] == [0, 2, 4]
    assert monitor.records[-1].means["weight_drift"] > 0
    with open_current(tmp_path / "runs" / "heatdrift.duckdb") as connection:
        assert read_view(connection, "runs")["lr"].to_list() == [1e-3]


def test_lightning_drives_the_monitor_by_its_events(tmp_path):
    model = stubs.tiny_clip()
    monitor = DriftMonitor(model, pixels(), every=2, store=tmp_path, labels={"lr": "1e-3"})
    callback = lightning_callback(monitor)
    trainer = SimpleNamespace(global_step=0, is_global_zero=True)
    callback.on_fit_start(trainer, model)  # an event that means nothing to the monitor
    for batch in range(8):  # two batches to an optimiser step: global_step stays for one of them
        trainer.global_step = (batch + 1) // 2
        callback.on_train_batch_end(trainer, model, None, None, batch)
    callback.on_train_end(trainer, model)
    assert [record.step for record in monitor.records] == [0, 2, 4]
    with pytest.raises(AttributeError):
        _ = callback.state_key
