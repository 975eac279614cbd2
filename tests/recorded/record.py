"""Records what trackers write, with the trackers themselves; the small files next to this one are its output.

Each tracker is installed into an environment of its own, with PyTorch for `tensorboard` and `lightning`:

    python tests/recorded/record.py wandb trackio tensorboard lightning

Two runs of a made-up study (seeds 0 and 1, three epochs counted from 0) with the same values in every tracker.
Recorded with wandb 0.31.0, trackio 0.43.0, tensorboard 2.21.0, pytorch-lightning 2.6.6.
"""

import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = {"model": "ViT-B-32/openai", "dataset": "cars", "method": "full_ft", "learning_rate": 1e-5}


def epochs(seed: int) -> list[dict[str, float]]:
    """Return what every epoch logs."""
    return [{"train/loss": 1 / (e + 1), "val/acc": 0.5 + 0.1 * e + 0.01 * seed} for e in range(3)]


def test_accuracy(seed: int) -> float:
    """Return what the end of the run logs."""
    return 0.66 + 0.01 * seed


def wandb(scratch: Path) -> None:
    """Offline folders, one a run."""
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(scratch))
    import wandb

    settings = wandb.Settings(
        x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True, host="host", disable_git=True,
        disable_code=True, program="train.py",
    )  # fmt: skip
    for seed in (0, 1):
        config = SETTINGS | {"seed": seed, "optim": {"betas": [0.9, 0.99]}}
        run = wandb.init(project="clip", name=f"full-{seed}", id=f"full{seed}", config=config, settings=settings)
        for epoch, values in enumerate(epochs(seed)):
            run.log({"epoch": epoch, "lr": 1e-5 * (1 - epoch / 3), **values})
        run.summary["test/acc"] = test_accuracy(seed)
        run.finish(exit_code=0)
    for file in scratch.rglob("run-*.wandb"):
        target = (
            HERE / "wandb" / file.parent.name.replace(file.parent.name.split("-")[2], "20260101_000000") / file.name
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def trackio(scratch: Path) -> None:
    """A project's database, packed."""
    os.environ["TRACKIO_DIR"] = str(scratch)
    import trackio

    for seed in (0, 1):
        trackio.init(project="clip", name=f"full-{seed}", config=SETTINGS | {"seed": seed})
        for epoch, values in enumerate(epochs(seed)):
            trackio.log(values, step=epoch)
        trackio.log({"test/acc": test_accuracy(seed)})
        trackio.finish()
    import sqlite3

    with sqlite3.connect(scratch / "clip.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    (HERE / "trackio.db.gz").write_bytes(gzip.compress((scratch / "clip.db").read_bytes(), mtime=0))


def tensorboard(scratch: Path) -> None:
    """PyTorch's writer, with `add_hparams`; the best accuracy among the metrics of the hparams plugin."""
    from torch.utils.tensorboard import SummaryWriter

    for seed in (0, 1):
        writer = SummaryWriter(str(scratch / f"full_{seed}"))
        for epoch, values in enumerate(epochs(seed)):
            for name, value in values.items():
                writer.add_scalar(name, value, epoch)
        writer.add_scalar("test/acc", test_accuracy(seed), 3)
        metrics = {"test/acc": test_accuracy(seed), "val/acc": max(values["val/acc"] for values in epochs(seed))}
        writer.add_hparams(SETTINGS | {"seed": seed}, metrics, run_name="hparams")
        writer.close()
    for number, file in enumerate(sorted(scratch.rglob("*tfevents*"))):
        target = HERE / "tensorboard" / file.parent.relative_to(scratch) / f"events.out.tfevents.{number}.host"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def lightning(scratch: Path) -> None:
    """CSVLogger's metrics.csv of one run: fit, then test."""
    import torch
    from pytorch_lightning import LightningModule, Trainer, seed_everything
    from pytorch_lightning.callbacks import LearningRateMonitor
    from pytorch_lightning.loggers import CSVLogger

    class Model(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch, index):
            loss = torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, index):
            self.log("val_acc", (self.layer(batch[0]).argmax(1) == batch[1]).float().mean())

        def test_step(self, batch, index):
            self.log("test_acc", (self.layer(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=0.05)

    seed_everything(0)
    x = torch.randn(96, 4)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16)
    trainer = Trainer(
        max_epochs=3, logger=CSVLogger(scratch), log_every_n_steps=3, accelerator="cpu", enable_progress_bar=False,
        callbacks=[LearningRateMonitor("step")], enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    model = Model()
    trainer.fit(model, data, data)
    trainer.test(model, data, verbose=False)
    shutil.copyfile(next(scratch.rglob("metrics.csv")), HERE / "lightning_metrics.csv")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            {"wandb": wandb, "trackio": trackio, "tensorboard": tensorboard, "lightning": lightning}[name](Path(folder))
