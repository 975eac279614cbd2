"""One task of a worker when others are at work: finished meanwhile, claim lost, parent gone."""

import json

import msgspec
import pytest
import safetensors
import torch
from stubs import find_records

from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.store.folder import attempt_files, cell_folder, read_record
from heatdrift.train.resources import Resources
from heatdrift.train.worker import EpochDone, NearChance, Task, WorkerSettings, train_task


@pytest.fixture
def place(tiny_inputs, tmp_path):
    study = load_study(str(tiny_inputs / "study.toml"))
    settings = WorkerSettings(
        study=study,
        store_folder=str(tmp_path),
        data_folder=str(tiny_inputs),
        device="cpu",
        threads=1,
        provenance=Provenance(),
    )
    cell = planned_cells(study, tiny_inputs)[0]
    return (
        cell,
        settings,
        Resources.of(study, tiny_inputs, torch.device("cpu")),
        cell_folder(tmp_path, study.name, cell.cell_id),
    )


def test_what_another_process_finished_meanwhile_is_not_run_again(place):
    cell, settings, resources, folder = place
    assert train_task(Task(cell=cell), resources, settings, lambda _: None).status == "done"
    assert train_task(Task(cell=cell, seen=0), resources, settings, lambda _: None).status == "busy"
    assert len(attempt_files(folder)) == 1
    assert train_task(Task(cell=cell, seen=1), resources, settings, lambda _: None).status == "done"  # asked for again
    assert len(attempt_files(folder)) == 2
    assert not (folder / "running.json").exists()


def test_a_run_whose_claim_was_taken_stops_without_a_record(place, monkeypatch):
    cell, settings, resources, folder = place
    epochs = []

    def taken_over(event):
        if isinstance(event, EpochDone):
            epochs.append(event.epoch)
            path = folder / "running.json"
            path.write_text(json.dumps(json.loads(path.read_bytes()) | {"token": "another's"}))
            held[0].refresh()

    held = []
    original = __import__("heatdrift.train.worker", fromlist=["claim"]).claim
    monkeypatch.setattr("heatdrift.train.worker.claim", lambda *a, **k: held.append(original(*a, **k)) or held[0])
    assert train_task(Task(cell=cell), resources, settings, taken_over).status == "busy"
    assert epochs == [1]
    assert find_records(folder.parents[1]) == []
    assert json.loads((folder / "running.json").read_bytes())["token"] == "another's"  # theirs, and left alone


def test_a_worker_whose_parent_is_gone_ends_its_run(place):
    cell, settings, resources, folder = place

    def gone(_event):
        raise BrokenPipeError

    def gone_after_an_epoch(event):
        if isinstance(event, EpochDone):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        train_task(Task(cell=cell), resources, settings, gone_after_an_epoch)
    assert "command that started it ended" in read_record(folder / "record.json").error
    assert not (folder / "running.json").exists()
    with pytest.raises(BrokenPipeError):
        train_task(Task(cell=cell, seen=1), resources, settings, gone)
    assert not (folder / "running.json").exists()


def test_the_checkpoint_is_there_while_a_cell_trains_and_gone_when_it_ends(place):
    cell, settings, resources, folder = place
    seen = []

    def look(event):
        if isinstance(event, EpochDone):
            seen.append((folder / "checkpoint.pt").exists())

    train_task(Task(cell=cell), resources, settings, look)
    assert seen == [False, True]
    assert not (folder / "checkpoint.pt").exists()
    keeping = msgspec.structs.replace(settings, keep=("checkpoint",))
    train_task(Task(cell=cell, seen=1), resources, keeping, look)
    assert (folder / "checkpoint.pt").exists()


def test_the_trained_model_is_kept_when_asked_for(place):
    cell, settings, resources, folder = place
    keeping = msgspec.structs.replace(settings, keep=("weights",))
    assert train_task(Task(cell=cell), resources, keeping, lambda _: None).status == "done"
    kept = {p.name for p in (folder / "weights").iterdir()}
    assert {"open_clip_model.safetensors", "open_clip_config.json", "head.safetensors"} <= kept
    with safetensors.safe_open(folder / "weights" / "open_clip_model.safetensors", framework="pt") as file:
        assert file.metadata()["cell_id"] == cell.cell_id
        trained = file.get_tensor("visual.proj")
    assert not torch.equal(trained, resources.backbone.visual.proj)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_a_cell_that_runs_out_of_memory_is_failed_with_advice(place, monkeypatch, error):
    cell, settings, resources, folder = place

    def out_of_memory(*_args, **_options):
        raise error

    monkeypatch.setattr("heatdrift.train.cell.run_course", out_of_memory)
    assert train_task(Task(cell=cell), resources, settings, lambda _: None).status == "failed"
    record = read_record(folder / "record.json")
    assert record.status == "failed"
    assert "fewer --jobs, a smaller batch_size" in record.error


def test_a_base_near_chance_is_said_at_the_start_of_a_cell_and_classes_are_recorded(place):
    """The tiny CLIP has random weights, so it guesses."""
    cell, settings, resources, folder = place
    events = []
    train_task(Task(cell=cell), resources, settings, events.append)
    said = [e for e in events if isinstance(e, NearChance)]
    assert said
    assert events.index(said[0]) < next(i for i, e in enumerate(events) if isinstance(e, EpochDone))
    record = read_record(folder / "record.json")
    for transfer, event in zip(record.transfer, said, strict=True):
        assert transfer.n_classes == len(record.provenance.class_names[transfer.transfer_set])
        assert f"on {transfer.transfer_set} is near chance: {transfer.base_pct:.1f} %" in event.warning
