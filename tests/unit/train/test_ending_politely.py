"""Workers of this machine whose end is asked for: checkpoints within the epoch, claims given back, no record."""

import multiprocessing
import os
import signal

import msgspec
import pytest
import torch
from stubs import find_records

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Provenance
from heatdrift.store.folder import cell_folder, read_arrays, read_record
from heatdrift.train import worker
from heatdrift.train.interrupt import Interruption, LeadingInterruption
from heatdrift.train.local import run_cells
from heatdrift.train.resources import Resources
from heatdrift.train.status import cell_states, unfinished
from heatdrift.train.worker import Ended, EpochDone, Task, WorkerSettings, train_task


@pytest.fixture(scope="module")
def study(tiny_inputs):
    loaded = load_study(str(tiny_inputs / "study.toml"))
    return msgspec.structs.replace(loaded, train=msgspec.structs.replace(loaded.train, epochs=6, batch_size=2))


@pytest.fixture(scope="module")
def cells(study, tiny_inputs):
    return planned_cells(study, tiny_inputs)[:2]


@pytest.fixture(scope="module")
def numbers():
    return provenance.collect()  # once: it is part of a checkpoint's key


def settings(study, store_folder, data_folder, numbers):
    return WorkerSettings(
        study=study,
        store_folder=str(store_folder),
        data_folder=str(data_folder),
        device="cpu",
        threads=1,
        provenance=numbers,
    )


def results(store_folder):
    """All that was measured, by cell."""
    found = {}
    for path in find_records(store_folder):
        record = read_record(path)
        kept = {kind: read_arrays(path.parent, kind) for kind in ("hits", "gallery")}
        arrays = {(kind, name): a.tobytes() for kind, named in kept.items() for name, a in named.items()}
        clocks = {"started_at": None, "finished_at": None, "wall_s": None, "attempt": 1, "provenance": Provenance()}
        found[record.cell_id] = (msgspec.structs.replace(record, **clocks), arrays)
    return found


def left_of(cells, store_folder):
    return unfinished(cell_states(cells, study="tiny", store_folder=store_folder))


@pytest.fixture(scope="module")
def undisturbed(study, cells, tiny_inputs, tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("undisturbed")
    options = settings(study, folder, tiny_inputs, numbers)
    assert run_cells(cells, options, jobs=1, on_event=lambda _: None) == {"done": 2}
    return results(folder)


def test_both_workers_stop_within_their_epochs_and_go_on(study, cells, tiny_inputs, tmp_path, numbers, undisturbed):
    options, events, interruption = settings(study, tmp_path, tiny_inputs, numbers), [], LeadingInterruption()

    def stop_after_an_epoch(event):
        events.append(event)
        if isinstance(event, EpochDone):
            interruption.request("SIGUSR1")

    counts = run_cells(cells, options, jobs=2, on_event=stop_after_an_epoch, interruption=interruption)
    assert counts.keys() <= {"interrupted", "done"}  # on a busy machine one may be faster than the signal
    assert sum(counts.values()) == 2
    left = [event for event in events if isinstance(event, Ended) and event.status == "interrupted"]
    assert all("SIGTERM" in event.error for event in left), "the parent passes its request on as SIGTERM"
    assert list(tmp_path.rglob("running.json")) == []
    assert len(find_records(tmp_path)) == counts.get("done", 0)
    run_cells(left_of(cells, tmp_path), options, jobs=2, on_event=lambda _: None)
    assert results(tmp_path) == undisturbed


def test_a_signal_to_one_worker_ends_all_of_them(study, cells, tiny_inputs, tmp_path, numbers, undisturbed):
    options, asked, interruption = settings(study, tmp_path, tiny_inputs, numbers), [], LeadingInterruption()

    def signal_a_worker(event):
        if isinstance(event, EpochDone) and not asked:
            asked.append(multiprocessing.active_children()[0].pid)
            os.kill(asked[0], signal.SIGUSR2)

    counts = run_cells(cells, options, jobs=2, on_event=signal_a_worker, interruption=interruption)
    assert counts.keys() <= {"interrupted", "done"}
    assert interruption.reason in (f"a signal to process {asked[0]}", None)
    assert ("interrupted" in counts) == (interruption.reason is not None)
    assert list(tmp_path.rglob("running.json")) == []
    run_cells(left_of(cells, tmp_path), options, jobs=1, on_event=lambda _: None)
    assert results(tmp_path) == undisturbed


def test_a_worker_that_is_killed_while_it_saves_leaves_no_failed_record(study, cells, tiny_inputs, tmp_path, numbers):
    options, interruption = settings(study, tmp_path, tiny_inputs, numbers), LeadingInterruption()

    def end_and_kill(event):
        if isinstance(event, EpochDone) and not interruption.requested():
            interruption.request("SIGTERM")
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    counts = run_cells(cells[:1], options, jobs=1, on_event=end_and_kill, interruption=interruption)
    assert counts in ({"interrupted": 1}, {"done": 1})
    assert [read_record(path).status for path in find_records(tmp_path)] == ["done"] * counts.get("done", 0)
    assert list(tmp_path.rglob("running.json")) == []


def test_after_the_time_limit_no_cell_begins(study, cells, tiny_inputs, tmp_path, numbers):
    options, interruption = settings(study, tmp_path, tiny_inputs, numbers), LeadingInterruption(limit_s=0.0)
    assert run_cells(cells, options, jobs=2, on_event=lambda _: None, interruption=interruption) == {}
    assert not (tmp_path / study.name).exists()


def test_a_record_that_is_being_written_is_written(study, cells, tiny_inputs, tmp_path, numbers, monkeypatch):
    options, interruption = settings(study, tmp_path, tiny_inputs, numbers), Interruption()
    torch.set_num_threads(1)
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    resources.interruption = interruption
    real = worker.write_arrays

    def interrupted(*arguments):
        interruption.request("SIGTERM")
        return real(*arguments)

    monkeypatch.setattr(worker, "write_arrays", interrupted)
    assert train_task(Task(cell=cells[0]), resources, options, lambda _: None).status == "done"
    assert [read_record(path).status for path in find_records(tmp_path)] == ["done"]
    later = train_task(Task(cell=cells[1]), resources, options, lambda _: None)
    assert (later.status, later.error) == ("interrupted", "SIGTERM, before it began")
    assert not cell_folder(tmp_path, study.name, cells[1].cell_id).exists()


def test_a_cell_that_was_taken_over_keeps_the_checkpoint_of_its_new_owner(
    study, cells, tiny_inputs, tmp_path, numbers, monkeypatch
):
    options, interruption = settings(study, tmp_path, tiny_inputs, numbers), Interruption()
    torch.set_num_threads(1)
    resources = Resources.of(study, tiny_inputs, torch.device("cpu"))
    resources.interruption = interruption
    folder = cell_folder(tmp_path, study.name, cells[0].cell_id)
    real = worker.claim

    def lost_at_once(*arguments, **options):
        held = real(*arguments, **options)
        held.lost = True
        return held

    monkeypatch.setattr(worker, "claim", lost_at_once)

    def began(event):
        (folder / "checkpoint.pt").write_bytes(b"of the new owner")
        interruption.request("SIGTERM")

    interruption.check = lambda: None  # not before the first step
    assert train_task(Task(cell=cells[0]), resources, options, began).status == "interrupted"
    assert (folder / "checkpoint.pt").read_bytes() == b"of the new owner"
