"""A cell that comes back as bytes is written as a local worker writes it, or not at all."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import TrainError
from heatdrift.plan.study import load_study
from heatdrift.store.folder import cell_folder, decode_record, read_arrays, read_record
from heatdrift.train.executors.packed import PackedFile, train_packed, unpack
from heatdrift.train.local import run_cells
from heatdrift.train.worker import EpochDone, WorkerSettings, open_resources


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture(scope="module")
def cell(study, tiny_inputs):
    return planned_cells(study, tiny_inputs)[0]


def settings_of(study, store_folder, data_folder):
    return WorkerSettings(
        study=study,
        store_folder=str(store_folder),
        data_folder=str(data_folder),
        device="cpu",
        threads=1,
        provenance=provenance.collect(),
    )


@pytest.fixture(scope="module")
def packed(study, cell, tiny_inputs, tmp_path_factory):
    """Trained where no store folder is."""
    settings = settings_of(study, "/nowhere/runs", tiny_inputs)
    resources = open_resources(settings, lambda _event: None)
    return train_packed(cell, settings, resources, work_folder=tmp_path_factory.mktemp("work"))


def test_what_comes_back_equals_what_a_local_worker_writes(packed, study, cell, tiny_inputs, tmp_path):
    away, here = tmp_path / "away", tmp_path / "here"
    unpack(packed, cell, study=study.name, store_folder=away)
    run_cells([cell], settings_of(study, here, tiny_inputs), jobs=1, on_event=lambda _event: None)
    folders = [cell_folder(store, study.name, cell.cell_id) for store in (away, here)]
    came, local = (read_record(folder / "record.json") for folder in folders)
    assert came.status == "done"
    assert came.epochs == local.epochs
    assert came.transfer == local.transfer
    names = [
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} for folder in folders
    ]
    assert names[0] == names[1] == {"record.json", "attempts/1.json", "hits.npz", "gallery.npz"}
    for kind in ("hits", "gallery"):
        theirs, ours = (read_arrays(folder, kind) for folder in folders)
        assert theirs.keys() == ours.keys()
        assert all((theirs[name] == ours[name]).all() for name in theirs)


def test_nothing_is_left_of_the_folder_in_which_it_was_trained(study, cell, tiny_inputs, tmp_path):
    settings = settings_of(study, "/nowhere/runs", tiny_inputs)
    train_packed(cell, settings, open_resources(settings, lambda _event: None), work_folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert list((tmp_path / "checkpoints").iterdir()) == []


class Killed(BaseException):
    """Stands for a kill -9: nothing of ours catches it."""


def test_the_next_try_goes_on_from_the_kept_checkpoint(packed, study, cell, tiny_inputs, tmp_path):
    settings = settings_of(study, "/nowhere/runs", tiny_inputs)
    resources = open_resources(settings, lambda _event: None)

    def kill_in_the_second(event):
        if isinstance(event, EpochDone) and event.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train_packed(cell, settings, resources, work_folder=tmp_path, notify=kill_in_the_second)
    unpack(
        train_packed(cell, settings, resources, work_folder=tmp_path),
        cell,
        study=study.name,
        store_folder=tmp_path / "runs",
    )
    record = read_record(cell_folder(tmp_path / "runs", study.name, cell.cell_id) / "record.json")
    assert record.provenance.resumed_after == (1,)
    assert record.epochs == decode_record(packed.files[0].content, tmp_path).epochs  # those of an undisturbed run


def changed(packed, which, /, **values):
    files = tuple(msgspec.structs.replace(f, **values) if f.name == which else f for f in packed.files)
    return msgspec.structs.replace(packed, files=files)


def resealed(content: bytes) -> dict[str, object]:
    return {"content": content, "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: changed(p, "hits.npz", content=b"PK other"), "hits.npz of cell .* was changed"),
        (lambda p: changed(p, "hits.npz", name="../../hits.npz"), "which no cell has"),
        (lambda p: changed(p, "hits.npz", name="weights/../../x"), "which no cell has"),
        (lambda p: changed(p, "record.json", **resealed(p.files[0].content.replace(b"done", b"gone"))), "is damaged"),
        (lambda p: msgspec.structs.replace(p, files=p.files[1:]), "has no record"),
        (
            lambda p: msgspec.structs.replace(p, files=(*p.files, PackedFile(name="/etc/x", content=b"", sha256=""))),
            "no",
        ),
    ],
    ids=["flipped", "above", "weights-above", "record", "lacking", "absolute"],
)
def test_what_was_changed_on_the_way_is_refused_whole(change, says, packed, cell, study, tmp_path):
    with pytest.raises(TrainError, match=says):
        unpack(change(packed), cell, study=study.name, store_folder=tmp_path / "runs")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_record_of_another_cell_is_refused(packed, study, tiny_inputs, tmp_path):
    other = planned_cells(study, tiny_inputs)[1]
    with pytest.raises(TrainError, match="came back for"):
        unpack(packed, other, study=study.name, store_folder=tmp_path)


def test_folders_of_killed_tries_on_this_machine_are_removed(study, cell, tiny_inputs, tmp_path):
    import socket

    gone = tmp_path / f"{cell.cell_id}.{socket.gethostname()}.999999999.abc"
    elsewhere = tmp_path / f"{cell.cell_id}.other-host.999999999.abc"
    for folder in (gone, elsewhere):
        folder.mkdir()
    settings = settings_of(study, "/nowhere/runs", tiny_inputs)
    train_packed(cell, settings, open_resources(settings, lambda _event: None), work_folder=tmp_path)
    assert not gone.exists()
    assert elsewhere.exists() or not Path("/proc/self").exists()
