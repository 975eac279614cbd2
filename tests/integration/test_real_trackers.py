"""A monitor's records in the trackers themselves, and Lightning's own Trainer; each needs its extra installed."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
import stubs
import torch
from torch import nn

from heatdrift.store.ingest import open_current
from heatdrift.store.read import read_view
from heatdrift.train.drift_callbacks import lightning_callback
from heatdrift.train.drift_sinks import MlflowSink, TensorBoardSink, TrackioSink, WandbSink
from heatdrift.train.monitor import DriftMonitor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what other packages deprecate is not ours to repair
]
NAME = "heatdrift/embedding_drift"


def pixels(n=12):
    size = stubs.tiny_clip().visual.image_size
    size = size[0] if isinstance(size, tuple) else size
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def two_steps(sink):
    """Measure two steps of a tower that moves; step -> embedding drift."""
    model = stubs.tiny_clip()
    monitor = DriftMonitor(model, pixels(), sinks=[sink])
    for step in (3, 7):
        with torch.no_grad():
            model.visual.proj.add_(0.05 * torch.randn(model.visual.proj.shape))
        monitor.measure(model, step)
    found = {record.step: record.means["embedding_drift"] for record in monitor.records[1:]}
    assert found[7] > 0
    return found


def test_wandb_has_each_step(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="clip", mode="offline", dir=str(tmp_path))
    found = two_steps(WandbSink())
    assert run.summary[NAME] == pytest.approx(found[7])
    assert run.summary["heatdrift/step"] == 7
    run.finish()
    assert list(tmp_path.rglob("run-*.wandb"))


def test_tensorboard_has_each_step(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = two_steps(TensorBoardSink(tmp_path))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {event.step: event.value for event in events.Scalars(NAME)} == pytest.approx(found, rel=1e-6)


def test_mlflow_has_each_step(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run() as run:
        found = two_steps(MlflowSink())
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, NAME)
    assert {metric.step: metric.value for metric in history} == pytest.approx(found)


def test_trackio_has_each_step(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    trackio = pytest.importorskip("trackio")
    trackio.init(project="clip", name="full", config={"dataset": "cars", "method": "full_ft", "learning_rate": 1e-5})
    found = two_steps(TrackioSink())
    trackio.finish()
    (database,) = tmp_path.glob("clip*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT step, metrics FROM metrics ORDER BY step").fetchall()
    logged = {step: json.loads(metrics)[NAME] for step, metrics in rows if NAME in json.loads(metrics)}
    assert logged == pytest.approx(found)


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_lightnings_trainer_drives_the_monitor(package, tmp_path: Path):
    lightning = pytest.importorskip(package)

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.tower = stubs.tiny_clip().visual
            self.head = nn.Linear(self.tower.output_dim, 2)

        def training_step(self, batch, _index):
            return nn.functional.cross_entropy(self.head(self.tower(batch[0])), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    model = Classifier()
    monitor = DriftMonitor(model, pixels(), every=2, store=tmp_path / "runs", labels={"lr": "1e-3"})
    callback = lightning_callback(monitor)
    assert isinstance(callback, lightning.Callback)
    data = torch.utils.data.TensorDataset(pixels(), torch.arange(12) % 2)
    trainer = lightning.Trainer(
        max_steps=4, accelerator="cpu", callbacks=[callback], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accumulate_grad_batches=2, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=3))
    assert [record.step for record in monitor.records] == [0, 2, 4]
    assert monitor.records[-1].means["weight_drift"] > 0
    with open_current(tmp_path / "runs" / "heatdrift.duckdb") as connection:
        assert read_view(connection, "runs")["lr"].to_list() == [1e-3]
