"""Every file that a user or a disk may damage: our error with the file's name, whatever its decoder raises."""

import io
import os
import pickle
import sqlite3
import struct
import zipfile
from functools import partial

import msgspec
import polars as pl
import pytest
import torch

from heatdrift.cli.workspace import Workspace
from heatdrift.config import BackboneSpec, Settings, load_settings
from heatdrift.data.manifest import manifest_path, read_manifest
from heatdrift.data.names_file import read_names_file
from heatdrift.data.parquet import open_parquet
from heatdrift.errors import HeatdriftError
from heatdrift.model.identity import architecture_crops, backbone_depth, weight_parts
from heatdrift.model.layouts.adapters import merged_adapter
from heatdrift.model.layouts.architectures import read_architecture
from heatdrift.model.layouts.containers import read_container
from heatdrift.plan.study import load_study
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.lr_levels import stored_rates
from heatdrift.store.importers.per_image_table import read_run_images
from heatdrift.store.importers.reference_format import decode_reference
from heatdrift.store.importers.table_file import read_table_file
from heatdrift.store.importers.tensorboard import read_tensorboard
from heatdrift.store.importers.trackio import is_trackio, read_trackio
from heatdrift.store.importers.wandb import read_wandb
from heatdrift.store.reference_points import read_points
from heatdrift.train.checkpoint import Checkpoint

DEEP = b"[" * 200_000
TEXTS = (b"", b"\xff\xfe\xfa", b"\x00" * 50, DEEP, b'{"a":' * 100_000, b'{"a": "\xff"}', b"1" * 5_000, b"null", b"[]")
BINARY = (
    b"",
    b"\xff" * 100,
    b"PAR1\xff\xff\xff\xffPAR1",
    b"PK\x03\x04" + b"\x00" * 60,
    b"\x80\x02}q\x00.",
    b"\x80\x05",
)
BLOCKS = struct.pack("<Q", 2**62) + b"{" + b" " * 50  # a safetensors header longer than any file

READERS = {  # file name -> what reads it; each may refuse, and must then name the file
    "study.toml": lambda path: load_study(str(path)),
    "heatdrift.toml": lambda path: load_settings(path.parent),
    "map.toml": lambda path: column_map(file=path),
    "names.txt": read_names_file,
    "names.csv": read_names_file,
    "names.json": read_names_file,
    "arch.json": read_architecture,
    "model.safetensors.index.json": weight_parts,
    "weights.safetensors": read_container,
    "weights.pt": read_container,
    "table.csv": read_table_file,
    "table.json": read_table_file,
    "table.jsonl": read_table_file,
    "table.parquet": read_table_file,
    "table.csv.gz": read_table_file,
    "images.parquet": read_run_images,
    "pictures.parquet": lambda path: open_parquet(path.name, path.parent),
    "events.out.tfevents.1": lambda path: list(read_tensorboard(path)),
    "run-1.wandb": lambda path: list(read_wandb(path)),
    "project.db": lambda path: list(read_trackio(path)),
    "reference.json": lambda path: decode_reference(path.read_bytes(), path),
    "points.json": read_points,
}


def refusal(read):
    """The message of our error; None where the file was read."""
    try:
        read()
    except HeatdriftError as error:
        return error.message
    return None


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", [*TEXTS, *BINARY, BLOCKS], ids=lambda data: repr(data[:12]))
def test_a_damaged_file_is_our_error_with_its_name(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    said = refusal(lambda: READERS[name](path))
    assert said is None or name in said


@pytest.mark.parametrize("name", [n for n in READERS if n not in ("reference.json", "weights.pt", "heatdrift.toml")])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(HeatdriftError, match=name):
        READERS[name](tmp_path / name)


def test_pickles_of_every_kind_are_refused_by_name(tmp_path):
    """Of what `weights_only` refuses: globals, and instructions that its machine lacks."""
    path = tmp_path / "weights.pt"
    for protocol in range(5):
        for value in (os.system, {1, 2}, object(), [1, 2], {"a": 1j}):
            path.write_bytes(pickle.dumps(value, protocol=protocol))
            with pytest.raises(HeatdriftError, match=r"weights\.pt"):
                read_container(path)
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, stream)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02\x85.")
        archive.writestr("archive/version", b"3")
    with pytest.raises(HeatdriftError, match=r"weights\.pt"):
        read_container(path)


@pytest.mark.parametrize("data", [*TEXTS, b'{"weight_map": {"a": 3}}', b'{"weight_map": {"a": "b.safetensors"}}'])
def test_a_sharded_model_s_index_is_refused_by_name(tmp_path, data):
    (tmp_path / "m.safetensors.index.json").write_bytes(data)
    with pytest.raises(HeatdriftError, match=r"index\.json|b\.safetensors"):
        read_container(tmp_path / "m.safetensors.index.json")


@pytest.mark.parametrize("data", TEXTS)
def test_configurations_that_may_be_passed_over_are(tmp_path, data):
    """What is only asked ahead of loading is unknown; loading says what is wrong."""
    (tmp_path / "a.json").write_bytes(data)
    (tmp_path / "w.safetensors").write_bytes(b"")
    spec = BackboneSpec(name="own", config="a.json", weights="w.safetensors")
    assert backbone_depth(spec, tmp_path) is None
    assert architecture_crops(spec, tmp_path) == {}


@pytest.mark.parametrize("data", TEXTS)
def test_an_adapter_s_configuration_is_refused_by_name(tmp_path, data):
    (tmp_path / "adapter_config.json").write_bytes(data)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(HeatdriftError, match="adapter_"):
        merged_adapter(tmp_path, {}, "0" * 64)


@pytest.mark.parametrize("data", TEXTS)
def test_a_manifest_is_refused_by_name(tmp_path, data):
    path = manifest_path("folder:x", tmp_path)
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(HeatdriftError, match="manifests"):
        read_manifest("folder:x", tmp_path)


@pytest.mark.parametrize("data", TEXTS)
def test_a_kept_plan_that_cannot_be_read_is_none(tmp_path, data):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "plan.json").write_bytes(data)
    workspace = Workspace(settings=Settings(), store=tmp_path / "heatdrift.duckdb")
    assert workspace.kept_plan("mine") is None
    (tmp_path / "mine" / "plan.json").unlink()
    os.mkfifo(tmp_path / "mine" / "plan.json")
    assert workspace.kept_plan("mine") is None


@pytest.mark.parametrize("data", TEXTS)
def test_the_rates_of_a_damaged_record_are_unknown(tmp_path, data):
    cell = tmp_path / "mine" / "c1-a"
    cell.mkdir(parents=True)
    (cell / "record.json").write_bytes(data)
    assert stored_rates(tmp_path, "mine") == set()


def test_a_checkpoint_without_a_key_or_of_another_kind_starts_the_cell_again(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for value in ({"state": {}}, {"key": "k"}, {"key": "k", "state": 3}, [1], 7):
        torch.save(value, path)
        assert Checkpoint(path, "k").read() is None
    for data in (*BINARY, DEEP, b"\x80\x02\x85."):
        path.write_bytes(data)
        assert Checkpoint(path, "k").read() is None


@pytest.mark.parametrize("kept", ["[" * 100_000, "7", '{"lr": 1}', '"\\ud800"', "\x00"])
def test_a_trackio_database_with_odd_json_is_refused_by_name(tmp_path, kept):
    path = tmp_path / "project.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metrics (id INTEGER, run_id TEXT, run_name TEXT, step INTEGER, metrics TEXT)")
        database.execute("CREATE TABLE configs (id INTEGER, run_id TEXT, config TEXT)")
        database.execute("INSERT INTO metrics VALUES (1, 'a', 'a', 1, ?)", [kept])
        database.execute("INSERT INTO configs VALUES (1, 'a', ?)", [kept])
    database.close()
    assert is_trackio(path)
    said = refusal(lambda: list(read_trackio(path)))
    assert said is None or "project.db" in said


def test_every_byte_of_a_small_parquet_table_gives_our_error_or_rows(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"lr": [1e-4, 1e-3], "method": ["a", "b"]}).write_parquet(path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x41
        path.write_bytes(changed)
        for read in (read_table_file, lambda file: open_parquet(file.name, file.parent), read_run_images):
            said = refusal(partial(read, path))
            assert said is None or "table.parquet" in said


def test_a_plan_of_today_is_read(tmp_path):
    workspace = Workspace(settings=Settings(), store=tmp_path / "heatdrift.duckdb")
    study = load_study("demo")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "plan.json").write_bytes(msgspec.json.encode({"study": study, "cells": []}))
    kept = workspace.kept_plan("demo")
    assert kept is not None
    assert kept.study == study
