"""What is fuzzed: every kind of file that heatdrift reads, a whole one of each to begin with, and what reads it.

A reader raises an error of ours or returns; what it returns from a record is compared with the whole one. Readers that
write do it into the store folder that they are given.
"""

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import torch
from PIL import Image
from safetensors.torch import save as save_tensors

from heatdrift.cli.workspace import Workspace
from heatdrift.config import Settings, load_settings
from heatdrift.data.archive import open_archive
from heatdrift.data.images import decode_image
from heatdrift.data.names_file import read_names_file
from heatdrift.data.parquet import open_parquet
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.layouts.containers import read_container
from heatdrift.plan.study import load_study
from heatdrift.records import Cell, EpochRecord, Recipe, RunRecord, SplitSizes, TransferPlan, TransferRecord
from heatdrift.store.checksum import encode_record, split_checksum
from heatdrift.store.claims import Running, read_claim
from heatdrift.store.folder import read_arrays, read_record, write_record
from heatdrift.store.hits import hits_problems
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.importers.columns import ColumnMap, column_map
from heatdrift.store.importers.per_image_table import read_run_images
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.reference import import_reference
from heatdrift.store.importers.table import import_table
from heatdrift.store.importers.tensorboard import read_tensorboard
from heatdrift.store.importers.tracked import import_tracked
from heatdrift.store.importers.trackio import read_trackio
from heatdrift.store.importers.wandb import read_wandb
from heatdrift.store.ingest import ingest
from heatdrift.store.reference_points import PointsFile, ReferencePoint, points_path, read_points
from heatdrift.train.checkpoint import Checkpoint
from heatdrift.train.status import all_studies

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
Read = Callable[[Path, Path], object]  # the changed file, a store folder -> what came of it


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file: its name, the bytes of a whole one, what reads it, and its share of the inputs."""

    name: str
    whole: bytes
    read: Read
    share: float = 1.0


def record() -> RunRecord:
    """Return a small finished run."""
    cell = Cell(
        backbone="lab", backbone_sha256="b" * 64, dataset="shapes", data_sha256="d" * 64, protocol="leakfree",
        method="full_ft", method_spec=None, lr=1e-4, seed=7,
        recipe=Recipe(epochs=1, batch_size=8, sizes=SplitSizes(train=4, val=2, probe=2), data_seed=1),
        transfer=(TransferPlan(name="objects", data_sha256=None),),
    )  # fmt: skip
    epochs = [EpochRecord(epoch=n, means={"entropy": 2.0 + n}, layers={"entropy": (1.5, 2.5 + n)}) for n in range(2)]
    transfer = TransferRecord(transfer_set="objects", base_pct=60.0, adapted_pct=55.0, n_images=20)
    return RunRecord(study="fuzzed", cell_id=cell.cell_id, status="done", cell=cell, selected_epoch=1,
                     test_acc_pct=70.0, epochs=tuple(epochs), transfer=(transfer,))  # fmt: skip


WHOLE = encode_record(record())


def _same_record(path: Path, _: Path) -> None:
    """A record that is read is the one that was written, unless its checksum is gone, which makes it unverified."""
    found = read_record(path)
    assert found == record() or split_checksum(path.read_bytes())[1] is None, "another record, unnoticed"


def _ingested(path: Path, store: Path) -> None:
    """A store folder in which one record is changed: it is reported or left out, and the ingest goes on."""
    cell = store / "fuzzed" / record().cell_id
    cell.mkdir(parents=True)
    (cell / "record.json").write_bytes(path.read_bytes())
    write_record(msgspec.structs.replace(record(), study="whole"), store)
    report = ingest(store / "heatdrift.duckdb")
    assert report.added == 2 or [p.path for p in report.problems if p.path.is_relative_to(cell)], "lost without a word"


def _kept_plan(path: Path, _: Path) -> None:
    Workspace(settings=Settings(), store=path.parents[1] / "heatdrift.duckdb").kept_plan(path.parent.name)


def _claimed(path: Path, store: Path) -> None:
    cell = store / "fuzzed" / record().cell_id
    cell.mkdir(parents=True)
    (cell / "running.json").write_bytes(path.read_bytes())
    write_record(msgspec.structs.replace(record(), study="whole"), store)
    read_claim(cell)
    all_studies(store, {})
    ingest(store / "heatdrift.duckdb")


def _table(path: Path, store: Path) -> None:
    import_table(path, ColumnMap(), store_folder=store, study="s", duplicates="first")


def _bulk(path: Path, store: Path) -> None:
    import_bulk(path.parent, store)


def _part(path: Path, store: Path) -> None:
    """A bulk part of which one file is changed."""
    source = store / "source"
    source.mkdir()
    (source / "runs.parquet").write_bytes(RUNS)
    import_bulk(source, store)
    (part,) = (store / "_parts").iterdir()
    (part / path.name).write_bytes(path.read_bytes())
    report = ingest(store / "heatdrift.duckdb")
    same = path.suffix == ".parquet" and path.read_bytes() == RUNS
    assert same or report.problems, "a changed part was taken in"


def _tracker(path: Path, store: Path) -> None:
    read = {"project.db": read_trackio, "run-1.wandb": read_wandb}.get(path.name, read_tensorboard)
    import_tracked(read(path), ColumnMap(), source=str(path), origin="t", store_folder=store, study="s",
                   choices=Choices(percent="as-is"))  # fmt: skip


POINTS = PointsFile(
    study="s", points=(ReferencePoint(backbone="b", dataset="d", metric="zero_shot_pct", value_pct=50.0, source="x"),)
)


def _points(path: Path, store: Path) -> None:
    """A set of points lies under the hash of its content."""
    kept = points_path(POINTS, store)
    kept.parent.mkdir()
    kept.write_bytes(path.read_bytes())
    assert read_points(kept) == POINTS, "other points, unnoticed"


def _hits(path: Path, _: Path) -> None:
    list(hits_problems(read_arrays(path.parent, "hits"), record().transfer))


def _names(path: Path, _: Path) -> None:
    read_names_file(path)


def _decoded(path: Path, _: Path) -> None:
    decode_image(path.read_bytes(), str(path))


def _archive(path: Path, _: Path) -> None:
    for member in open_archive(path).members:
        if member.name.endswith(".png"):
            decode_image(member.read(), f"{path}: {member.name}")


def _pictures(path: Path, _: Path) -> None:
    images = open_parquet(path.name, path.parent)
    for i in range(len(images)):
        images.read(i)


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (12, 12, 3), np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def _frame() -> pl.DataFrame:
    columns = {"backbone": "b", "dataset": "d", "method": "full_ft", "lr": 1e-4, "seed": 1, "epochs": 2,
               "test_acc_pct": 50.5, "remark": 'a "quoted", text', "started_at": "2026-01-02T03:04:05"}  # fmt: skip
    return pl.DataFrame([columns | {"seed": n, "lr": 10.0**-n, "test_acc_pct": 50.0 + n} for n in range(1, 6)])


def _parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


RUNS = _parquet(_frame().with_columns(study=pl.lit("s"), cell_id="c" + pl.col("seed").cast(pl.String)))


def _torch(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    files = {}
    for name, values in arrays.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, values)
        files[f"{name}.npy"] = stream.getvalue()
    return _zip(files)


def _zip(files: dict[str, bytes]) -> bytes:
    """Return a ZIP whose times are those of 1980, so that it is the same at every start."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _packed(kind: str) -> bytes:
    stream, picture = io.BytesIO(), _picture("png")
    if kind == "zip":
        return _zip({"cat/1.png": picture, "dog/2.png": picture})
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("cat/1.png", "dog/2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(picture)
            tar.addfile(info, io.BytesIO(picture))
    return gzip.compress(stream.getvalue(), mtime=0) if kind == "tgz" else stream.getvalue()


def _trackio(folder: Path) -> bytes:
    path = folder / "whole.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metrics (id INTEGER, run_id TEXT, run_name TEXT, step INTEGER, metrics TEXT)")
        database.execute("CREATE TABLE configs (id INTEGER, run_id TEXT, config TEXT)")
        for step in range(3):
            logged = json.dumps({"val_acc_pct": 50 + step, "train_loss": 1 / (1 + step)})
            database.execute("INSERT INTO metrics VALUES (?, 'a', 'a', ?, ?)", [step, step, logged])
        database.execute("INSERT INTO configs VALUES (1, 'a', ?)", [json.dumps(_frame().row(0, named=True))])
    database.close()
    return path.read_bytes()


def _images_table() -> bytes:
    key = {"dataset": "d", "method": "m", "lr": 1e-4, "seed": 1, "transfer_set": "t"}
    rows = [key | {"image": i, "label": i % 2, "base_pred": i % 2, "adapted_pred": 0} for i in range(6)]
    return _parquet(pl.DataFrame(rows))


def kinds(scratch: Path) -> list[Kind]:
    """Return every kind of input; `scratch` is a folder for what must be made as a file."""
    frame, picture = _frame(), _picture("png")
    plain, text = frame.write_csv().encode(), json.dumps(frame.to_dicts()).encode()
    lines = b"\n".join(json.dumps(row).encode() for row in frame.to_dicts())
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3)}
    claim = Running(host="h", boot="b", pid_space="p", pid=1, pid_started=1, token="t", started_at=1e9, heartbeat=1e9,
                    beat=5.0, cell=record().cell)  # fmt: skip
    hits = {"t/base": np.array([True, False]), "t/adapted": np.array([True, True])}
    package = Path(__file__).resolve().parents[2] / "heatdrift"
    study = next(package.rglob("demo.toml")).read_bytes()
    recorded_event = next(p for p in sorted((RECORDED / "tensorboard").rglob("*")) if p.is_file()).read_bytes()
    recorded_wandb = next(p for p in sorted((RECORDED / "wandb").rglob("*.wandb"))).read_bytes()
    shards = [{"image": {"bytes": picture, "path": f"{i}.png"}, "label": i % 2} for i in range(4)]
    maps = {"maps": np.ones((2, 3, 3), np.float16)}
    plan = msgspec.json.encode({"study": load_study("demo"), "cells": [record().cell]})
    settings = b'study = "demo"\nstore = "runs/x.duckdb"\ndata_dir = "data"\ncache_dir = "off"\n'
    towers = {"image_size": 28, "patch_size": 7}, {"context_length": 16, "vocab_size": 49408, "heads": 2}
    vision, words = ({"width": 32, "layers": 3} | tower for tower in towers)
    architecture = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": words}
    files: dict[str, tuple[bytes, Read, float]] = {
        "record.json": (WHOLE, _same_record, 4),
        "record.json ingest": (WHOLE, _ingested, 0.05),
        "running.json": (msgspec.json.encode(claim), _claimed, 0.05),
        "plan.json": (plan, _kept_plan, 1),
        "part.json": (b'{"source":"x","n_runs":5,"files":{}}', _part, 0.02),
        "runs.parquet part": (RUNS, _part, 0.02),
        "runs.parquet bulk": (RUNS, _bulk, 0.03),
        "study.toml": (study, lambda path, _: load_study(str(path)), 2),
        "heatdrift.toml": (settings, lambda path, _: load_settings(path.parent), 1),
        "map.toml": (b'[columns]\nlr = "rate"\n[constants]\nseed = 3\n', lambda path, _: column_map(file=path), 1),
        "table.csv": (plain, _table, 0.3),
        "table.json": (text, _table, 1),
        "table.jsonl": (lines, _table, 1),
        "table.parquet": (_parquet(frame), _table, 1),
        "table.csv.gz": (gzip.compress(plain, mtime=0), _table, 0.3),
        "images.parquet": (_images_table(), lambda path, _: read_run_images(path), 1),
        "reference.json": (REFERENCE, lambda path, store: import_reference(path.parent, store, "s"), 1),
        "points.json": (msgspec.json.encode(POINTS), _points, 1),
        "project.db": (_trackio(scratch), _tracker, 1),
        "run-1.wandb": (recorded_wandb, _tracker, 1),
        "events.out.tfevents.1": (recorded_event, lambda path, _: list(read_tensorboard(path)), 1),
        "hits.npz": (_npz(hits), _hits, 1),
        "gallery.npz": (_npz(maps), lambda path, _: read_arrays(path.parent, "gallery"), 1),
        "weights.safetensors": (save_tensors(tensors), lambda path, _: read_container(path), 1),
        "weights.pt": (_torch(tensors), lambda path, _: read_container(path), 1),
        "checkpoint.pt": (_torch({"key": "k", "state": tensors}), lambda path, _: Checkpoint(path, "k").read(), 1),
        "architecture.json": (json.dumps(architecture).encode(), lambda path, _: read_architecture(path), 1),
        "names.txt": (b"cat\ndog\n", _names, 0.5),
        "names.csv": (b"number,name\n0,cat\n1,dog\n", _names, 0.5),
        "names.json": (b'{"0": "cat", "1": "dog"}', _names, 0.5),
        "pictures.parquet": (_parquet(pl.DataFrame(shards)), _pictures, 1),
    }
    files |= {
        f"picture.{kind}": (_picture(kind), _decoded, 1) for kind in ("png", "jpeg", "webp", "gif", "bmp", "tiff")
    }
    files |= {f"pictures.{kind}": (_packed(kind), _archive, 1) for kind in ("zip", "tar", "tgz")}
    return [Kind(name=name, whole=whole, read=read, share=share) for name, (whole, read, share) in files.items()]


_ATTENTION = {"entropy_per_layer": [1.0, 2.0], "erf95_per_layer": [1.0, 2.0], "gini_per_layer": [0.1, 0.2],
              "entropy_mean": 1.5, "erf95_mean": 1.5, "gini_mean": 0.15}  # fmt: skip
REFERENCE = json.dumps(
    {
        "run_id": "R1",
        "config": {"dataset": "pets", "method": "lora_r8", "lr": 1e-5, "seed": 7, "epochs": 1, "batch_size": 32,
                   "weight_decay": 0.01, "model_name": "openai/clip-vit-base-patch32", "num_classes": 10,
                   "splits": {"train": 60, "val": 30, "test": 50}, "steps_per_epoch": 2, "total_steps": 2},
        "parameters": {"trainable": 10, "total": 100},
        "baseline": {"attention": _ATTENTION, "transfer_track_acc": 0.5, "transfer": {"cifar100@100": 0.5}},
        "history": [{"epoch": 1, "val_acc": 0.7, "train_loss": 0.5, "entropy_mean": 1.6}],
        "selected_epoch": 1,
        "test_acc": 0.85,
        "transfer": {"cifar100": {"accuracy": 0.4, "pretrained": 0.5, "n_images": 100}},
    }
).encode()  # fmt: skip
