import os
import signal

import msgspec
import pytest
from stubs import find_records

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import TrainError
from heatdrift.plan.study import load_study
from heatdrift.store.claims import claim
from heatdrift.store.folder import cell_folder, read_record
from heatdrift.train.local import default_jobs, run_cells
from heatdrift.train.status import cell_states, unfinished
from heatdrift.train.worker import Ended, EpochDone, Started, WorkerSettings


@pytest.fixture
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture
def cells(study, tiny_inputs):
    return planned_cells(study, tiny_inputs)


def settings(study, store_folder, data_folder):
    return WorkerSettings(
        study=study,
        store_folder=str(store_folder),
        data_folder=str(data_folder),
        device="cpu",
        threads=1,
        provenance=provenance.collect(),
    )


def test_cells_are_trained_recorded_and_skipped_the_next_time(study, cells, tiny_inputs, tmp_path):
    events = []
    chosen = cells[:3]
    counts = run_cells(chosen, settings(study, tmp_path, tiny_inputs), jobs=2, on_event=events.append)
    assert counts == {"done": 3}
    assert sum(isinstance(e, Started) for e in events) == 3
    assert sum(isinstance(e, EpochDone) for e in events) == 6
    assert len(find_records(tmp_path)) == 3
    states = cell_states(cells, study=study.name, store_folder=tmp_path)
    assert [s.status for s in states[:4]] == ["done", "done", "done", "planned"]
    assert unfinished(states) == cells[3:]
    assert unfinished(states, only_failed=True) == ()
    assert unfinished(states, force=True) == cells


def test_a_killed_worker_costs_its_cell_and_no_other(study, cells, tiny_inputs, tmp_path):
    killed = []

    def kill_the_first(event):
        if isinstance(event, EpochDone) and not killed:
            running = cell_folder(tmp_path, study.name, event.cell.cell_id) / "running.json"
            killed.append(event.cell.cell_id)
            os.kill(msgspec.json.decode(running.read_bytes())["pid"], signal.SIGKILL)

    counts = run_cells(cells[:3], settings(study, tmp_path, tiny_inputs), jobs=1, on_event=kill_the_first)
    assert counts == {"failed": 1, "done": 2}
    record = read_record(cell_folder(tmp_path, study.name, killed[0]) / "record.json")
    assert record.status == "failed"
    assert "exit code -9" in record.error
    again = unfinished(cell_states(cells[:3], study=study.name, store_folder=tmp_path))
    assert [c.cell_id for c in again] == killed
    assert run_cells(again, settings(study, tmp_path, tiny_inputs), jobs=1, on_event=lambda _: None) == {"done": 1}


def test_a_cell_that_another_process_runs_is_left_alone(study, cells, tiny_inputs, tmp_path):
    events = []
    with claim(cell_folder(tmp_path, study.name, cells[0].cell_id)):
        states = cell_states(cells[:1], study=study.name, store_folder=tmp_path)
        assert states[0].status == "running"
        assert unfinished(states, force=True) == ()
        counts = run_cells(cells[:1], settings(study, tmp_path, tiny_inputs), jobs=1, on_event=events.append)
    assert counts == {"busy": 1}
    assert find_records(tmp_path) == []
    assert isinstance(events[-1], Ended)


def test_missing_images_end_the_command_and_leave_nothing(study, cells, tmp_path):
    with pytest.raises(TrainError, match="there is no file"):
        run_cells(cells[:4], settings(study, tmp_path, tmp_path), jobs=2, on_event=lambda _: None)
    assert find_records(tmp_path) == []
    assert not list(tmp_path.rglob("running.json"))


def test_ctrl_c_keeps_finished_cells(study, cells, tiny_inputs, tmp_path):
    def stop_after_one(event):
        if isinstance(event, Ended):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(cells[:4], settings(study, tmp_path, tiny_inputs), jobs=1, on_event=stop_after_one)
    states = cell_states(cells[:4], study=study.name, store_folder=tmp_path)
    assert [s.status for s in states].count("done") == 1
    assert len(unfinished(states)) == 3


def test_a_damaged_record_is_taken_again(study, cells, tmp_path):
    folder = cell_folder(tmp_path, study.name, cells[0].cell_id)
    folder.mkdir(parents=True)
    (folder / "record.json").write_text('{"format": 1, "stu')
    states = cell_states(cells[:1], study=study.name, store_folder=tmp_path)
    assert states[0].status == "failed"
    assert unfinished(states) == cells[:1]


def test_jobs_default_to_the_cores():
    assert default_jobs("cuda", 1) == 1  # memory not known
    assert default_jobs("cuda", 1, free_bytes=10 * 2**30) == 1
    assert default_jobs("cuda", 1, free_bytes=79 * 2**30) == min(2, default_jobs("cpu", 1))
    assert default_jobs("cuda", 1, free_bytes=79 * 2**30, plain_steps=True) == min(4, default_jobs("cpu", 1))
    assert 1 <= default_jobs("cpu", 1) <= 8
    assert default_jobs("cpu", 10_000) == 1
