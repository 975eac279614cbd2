"""Records -> columns of the tables in schema ``raw``, as polars frames for one bulk insert each.

Values go in as measured; drifts and percentages of base are derived by the views. None becomes NULL.
"""

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from heatdrift.chance import transfer_classes
from heatdrift.metrics import STORED
from heatdrift.records import RunRecord, SplitSizes
from heatdrift.store.validate import utc_time

_TEXT, _INT, _LONG, _REAL = pl.String, pl.Int32, pl.Int64, pl.Float64
RUN_SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ("run_id", "seed", "data_seed", "trainable_params", "total_params", "n_train", "n_val", "n_test"), _LONG
    ),
    "n_probe": _LONG,
    **dict.fromkeys(("attempt", "epochs", "batch_size", "train_per_class", "val_per_class", "probe_per_class"), _INT),
    "probe_images": _INT,
    **dict.fromkeys(("selected_epoch", "last_epoch", "threads", "duplicate_rows"), _INT),
    **dict.fromkeys(("lr", "weight_decay", "warmup_fraction", "clip_norm", "test_acc_pct", "wall_s"), _REAL),
    **dict.fromkeys(("adapter_live_max_diff", "adapter_off_max_diff"), _REAL),
    **dict.fromkeys(("study", "cell_id", "record_sha256", "origin", "status", "error", "protocol"), _TEXT),
    **dict.fromkeys(("backbone", "backbone_sha256", "dataset", "data_sha256", "method", "method_spec"), _TEXT),
    **dict.fromkeys(("requested_precision", "select_on", "transfer_set", "prompt_template", "commit"), _TEXT),
    **dict.fromkeys(("diff_sha256", "packages", "python", "platform", "host", "device", "precision"), _TEXT),
    "eval_precision": _TEXT,
    "factors": _TEXT,
    **dict.fromkeys(("split_sha256", "class_names", "preprocess", "sources", "resumed_after", "source"), _TEXT),
    "duplicates": _TEXT,
    "dirty": pl.Boolean,
    **dict.fromkeys(("started_at", "finished_at"), pl.Datetime("us")),
}
EPOCH_SCHEMA: Final[dict[str, Any]] = {
    "run_id": _LONG,
    "epoch": _INT,
    **dict.fromkeys(("train_loss", "train_acc_pct", "val_acc_pct", "track_zero_shot_pct"), _REAL),
    **dict.fromkeys(STORED, _REAL),
}
TRANSFER_SCHEMA: Final[dict[str, Any]] = {
    "run_id": _LONG,
    "transfer_set": _TEXT,
    "n_images": _LONG,
    "base_pct": _REAL,
    "adapted_pct": _REAL,
    "n_classes": _INT,
}
ATTEMPT_SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(("study", "cell_id", "status", "error", "result_sha256", "origin", "host"), _TEXT),
    **dict.fromkeys(("attempt", "selected_epoch"), _INT),
    **dict.fromkeys(("test_acc_pct", "wall_s"), _REAL),
    **dict.fromkeys(("started_at", "finished_at"), pl.Datetime("us")),
}
FURTHER_SCHEMA: Final[dict[str, Any]] = {"run_id": _LONG, "metric": _TEXT, "value": _REAL}
ROBUSTNESS_SCHEMA: Final[dict[str, Any]] = {"run_id": _LONG, "corruption": _TEXT, "acc_pct": _REAL}


class _Values:
    """Blocks of consecutive values under one key each: per-layer and per-head probes without a Python row per value."""

    def __init__(self) -> None:
        self.run_id: list[int] = []
        self.epoch: list[int] = []
        self.metric: list[str] = []
        self.shape: list[tuple[int, int]] = []
        self.values: list[float | None] = []

    def add(self, run_id: int, epoch: int, metric: str, shape: tuple[int, int], values: Iterable[float | None]) -> None:
        self.run_id.append(run_id)
        self.epoch.append(epoch)
        self.metric.append(metric)
        self.shape.append(shape)
        self.values.extend(values)

    def frame(self) -> pl.DataFrame:
        sizes = np.array([layers * heads for layers, heads in self.shape], dtype=np.int64)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        heads = np.repeat(np.array([max(heads, 1) for _, heads in self.shape], dtype=np.int64), sizes)
        return pl.DataFrame(
            {
                "run_id": np.repeat(np.array(self.run_id, dtype=np.int64), sizes),
                "epoch": np.repeat(np.array(self.epoch, dtype=np.int32), sizes),
                "layer": (within // heads).astype(np.int32),
                "head": (within % heads).astype(np.int32),
                "metric": pl.Series(self.metric, dtype=_TEXT).gather(np.repeat(np.arange(len(sizes)), sizes)),
                "value": pl.Series(self.values, dtype=_REAL),
            }
        )


class Rows:
    """The rows of a batch of records, table by table; `frames` gives them for insertion."""

    def __init__(self) -> None:
        self._runs: list[dict[str, Any]] = []
        self._epochs: list[dict[str, Any]] = []
        self._transfer: list[dict[str, Any]] = []
        self._robustness: list[dict[str, Any]] = []
        self._further: list[dict[str, Any]] = []
        self._attempts: list[dict[str, Any]] = []
        self._layers = _Values()
        self._heads = _Values()

    @property
    def size(self) -> int:
        """Number of values held, for deciding when to insert."""
        return len(self._layers.values) + len(self._heads.values) + 100 * (len(self._runs) + len(self._attempts))

    def add(self, record: RunRecord, *, run_id: int, sha256: str) -> None:
        """Add all rows of one record."""
        self._runs.append(_run_row(record) | {"run_id": run_id, "record_sha256": sha256})
        for epoch in record.epochs:
            row: dict[str, Any] = {
                "run_id": run_id,
                "epoch": epoch.epoch,
                "train_loss": epoch.train_loss,
                "train_acc_pct": epoch.train_acc_pct,
                "val_acc_pct": epoch.val_acc_pct,
                "track_zero_shot_pct": epoch.track_zero_shot_pct,
                **epoch.means,
            }
            for metric, values in epoch.layers.items():
                row[f"{metric}_last"] = values[-1] if values else None
                self._layers.add(run_id, epoch.epoch, metric, (len(values), 1), values)
            for metric, rows in epoch.heads.items():
                shape = (len(rows), len(rows[0]) if rows else 0)
                self._heads.add(run_id, epoch.epoch, metric, shape, chain.from_iterable(rows))
            self._epochs.append(row)
        self._transfer.extend(
            {"run_id": run_id, **msgspec.structs.asdict(t), "n_classes": transfer_classes(record, t)}
            for t in record.transfer
        )
        self._robustness.extend({"run_id": run_id, **msgspec.structs.asdict(r)} for r in record.robustness)
        self._further.extend({"run_id": run_id, "metric": n, "value": v} for n, v in (record.further or {}).items())

    def add_attempt(self, record: RunRecord) -> None:
        """Add the row of one execution of a cell."""
        self._attempts.append(
            {
                "study": record.study,
                "cell_id": record.cell_id,
                "attempt": record.attempt,
                "status": record.status,
                "error": record.error,
                "selected_epoch": record.selected_epoch,
                "test_acc_pct": record.test_acc_pct,
                "result_sha256": result_sha256(record),
                "origin": record.origin,
                "host": record.provenance.host,
                "started_at": utc_time(record.started_at) if record.started_at else None,
                "finished_at": utc_time(record.finished_at) if record.finished_at else None,
                "wall_s": record.wall_s,
            }
        )

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return table name -> frame, in an order in which they may be inserted."""
        return {
            "raw.run": pl.DataFrame(self._runs, schema=RUN_SCHEMA),
            "raw.epoch": pl.DataFrame(self._epochs, schema=EPOCH_SCHEMA),
            "raw.layer": self._layers.frame().drop("head"),
            "raw.head": self._heads.frame(),
            "raw.transfer": pl.DataFrame(self._transfer, schema=TRANSFER_SCHEMA),
            "raw.robustness": pl.DataFrame(self._robustness, schema=ROBUSTNESS_SCHEMA),
            "raw.further": pl.DataFrame(self._further, schema=FURTHER_SCHEMA),
            "raw.attempt": pl.DataFrame(self._attempts, schema=ATTEMPT_SCHEMA),
        }


def result_sha256(record: RunRecord) -> str:
    """Return the hash of what a run measured: all of the record but number, time and place of the execution."""
    content = msgspec.to_builtins(record)
    for place in ("format", "attempt", "cell", "provenance", "started_at", "finished_at", "wall_s", "duplicates"):
        del content[place]  # the cell is there by its id, whose meaning does not change when records get new fields
    content.pop("factors", None)  # settings, no measurement
    for transfer in content["transfer"]:
        del transfer["n_classes"]  # no measurement; and records without it keep their hash
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _run_row(record: RunRecord) -> dict[str, Any]:
    cell, recipe, origin = record.cell, record.cell.recipe, record.provenance
    sizes = recipe.sizes if recipe else SplitSizes()
    first = cell.transfer[0].name if cell.transfer else (record.transfer[0].transfer_set if record.transfer else None)
    row = {
        "study": record.study,
        "cell_id": record.cell_id,
        "attempt": record.attempt,
        "origin": record.origin,
        "status": record.status,
        "error": record.error,
        "protocol": cell.protocol,
        "backbone": cell.backbone,
        "backbone_sha256": cell.backbone_sha256,
        "dataset": cell.dataset,
        "data_sha256": cell.data_sha256,
        "method": cell.method,
        "method_spec": _json(cell.method_spec),
        "lr": float(cell.lr),
        "seed": cell.seed,
        "epochs": recipe.epochs if recipe else None,
        "batch_size": recipe.batch_size if recipe else None,
        "weight_decay": recipe.weight_decay if recipe else None,
        "warmup_fraction": recipe.warmup_fraction if recipe else None,
        "clip_norm": recipe.clip_norm if recipe else None,
        "train_per_class": sizes.train,
        "val_per_class": sizes.val,
        "probe_per_class": sizes.probe,
        "probe_images": sizes.probe_images,
        "data_seed": recipe.data_seed if recipe else None,
        "requested_precision": recipe.precision if recipe else None,
        "select_on": recipe.select_on if recipe else None,
        "selected_epoch": record.selected_epoch,
        "last_epoch": record.epochs[-1].epoch if record.epochs else None,
        "trainable_params": record.trainable_params,
        "total_params": record.total_params,
        "test_acc_pct": record.test_acc_pct,
        "n_train": record.n_train,
        "n_val": record.n_val,
        "n_test": record.n_test,
        "n_probe": record.n_probe,
        "transfer_set": first,
        "prompt_template": cell.transfer[0].template if cell.transfer else None,
        "adapter_live_max_diff": record.checks.live_max_diff if record.checks else None,
        "adapter_off_max_diff": record.checks.off_max_diff if record.checks else None,
        "commit": origin.commit,
        "dirty": origin.dirty,
        "diff_sha256": origin.diff_sha256,
        "packages": _json(origin.packages),
        "python": origin.python,
        "platform": origin.platform,
        "host": origin.host,
        "device": origin.device,
        "threads": origin.threads,
        "precision": origin.precision,
        "eval_precision": origin.eval_precision or ("float32" if record.origin == "heatdrift" else None),
        "split_sha256": origin.split_sha256,
        "class_names": _json(origin.class_names),
        "preprocess": _json(origin.preprocess),
        "sources": _json(origin.sources),
        "resumed_after": _json(origin.resumed_after),
        "source": origin.source,
        "started_at": utc_time(record.started_at) if record.started_at else None,
        "finished_at": utc_time(record.finished_at) if record.finished_at else None,
        "wall_s": record.wall_s,
        "duplicate_rows": record.duplicates.rows if record.duplicates else None,
        "duplicates": record.duplicates.rule if record.duplicates else None,
        "factors": _json(record.factors or None),
    }
    return row | dict.fromkeys(origin.unstated)


def _json(value: object) -> str | None:
    """Return `value` as JSON text; None for what is absent or empty."""
    return msgspec.json.encode(value, order="sorted").decode() if value else None
