"""A study as an array of submitit, by its local executor: an element is preempted, requeued; cells finish once."""

import os
import signal
from pathlib import Path

import msgspec
import pytest
from stubs import find_records

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import TrainError
from heatdrift.plan.study import load_study
from heatdrift.store.folder import attempt_files, cell_folder
from heatdrift.train.executors.slurm_array import SlurmExecutor
from heatdrift.train.worker import Ended, Started, WorkerSettings

submitit = pytest.importorskip("submitit", reason="submitit is not installed: python -m pip install 'heatdrift[slurm]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def settings_of(study, store_folder, data_folder):
    return WorkerSettings(
        study=study,
        store_folder=str(store_folder),
        data_folder=str(data_folder),
        device="auto",
        threads=1,
        provenance=provenance.collect(),
    )


@pytest.fixture
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


def element_of(claim_file):
    """Process that leads the element whose worker holds this claim: an ancestor that runs submitit."""
    pid = msgspec.json.decode(claim_file.read_bytes())["pid"]
    while b"submitit.core._submit" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the element in /proc")
def test_a_preempted_element_is_requeued_and_every_cell_finishes_once(study, tiny_inputs, tmp_path):
    cells = planned_cells(study, tiny_inputs)[:6]
    preempted = []

    def preempt_on_the_way(event):
        claim_file = None
        if isinstance(event, Started) and not preempted:
            claim_file = cell_folder(tmp_path, study.name, event.cell.cell_id) / "running.json"
        if claim_file is not None:
            try:
                pid = element_of(claim_file)
            except (FileNotFoundError, ProcessLookupError):  # the cell ended meanwhile
                return
            os.kill(pid, signal.SIGUSR2)
            preempted.append((event.cell.cell_id, pid))

    executor = SlurmExecutor(elements=2, options={"cluster": "local"}, poll_s=0.05)
    counts = executor.run_cells(cells, settings_of(study, tmp_path, tiny_inputs), on_event=preempt_on_the_way)
    logs = [path.read_text() for path in (tmp_path / ".slurm").rglob("*.out")]
    logs += [path.read_text() for path in (tmp_path / ".slurm").rglob("*.err")]
    print(counts, preempted, *logs, sep="\n")  # noqa: T201  for pytest -s
    assert counts == {"done": 6}
    assert len(preempted) == 1
    assert sum("SIGUSR2: stopped" in log for log in logs) >= 1
    assert sum("Requeued job" in log for log in logs) >= 1
    assert [len(attempt_files(cell_folder(tmp_path, study.name, cell.cell_id))) for cell in cells] == [1] * 6
    assert not list(tmp_path.rglob("running.json"))
    assert not list(tmp_path.rglob("*.duckdb"))  # the leading process alone ingests


def test_an_element_that_is_killed_fails_its_cells_and_names_its_log(study, tiny_inputs, tmp_path):
    cells = planned_cells(study, tiny_inputs)[:2]

    def kill_the_element(event):
        if isinstance(event, Started):
            os.kill(element_of(cell_folder(tmp_path, study.name, event.cell.cell_id) / "running.json"), signal.SIGKILL)

    executor = SlurmExecutor(elements=1, options={"cluster": "local"}, poll_s=0.05)
    events = []
    counts = executor.run_cells(
        cells,
        settings_of(study, tmp_path, tiny_inputs),
        on_event=lambda event: (events.append(event), kill_the_element(event)),
    )
    assert counts == {"failed": 2}
    errors = [event.error for event in events if isinstance(event, Ended)]
    assert all("ended without its record" in error and "its log: " in error for error in errors)


def test_what_no_element_gets_past_ends_all(study, tiny_inputs, tmp_path):
    cells = planned_cells(study, tiny_inputs)[:2]
    executor = SlurmExecutor(elements=2, options={"cluster": "local"}, poll_s=0.05)
    with pytest.raises(TrainError, match="there is no file"):
        executor.run_cells(cells, settings_of(study, tmp_path / "runs", tmp_path), on_event=lambda _event: None)
    assert find_records(tmp_path / "runs") == []


def test_without_slurm_the_error_says_where_to_run_it(study, tiny_inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cells = planned_cells(study, tiny_inputs)[:1]
    with pytest.raises(TrainError, match="--executor slurm: ") as caught:
        SlurmExecutor().run_cells(cells, settings_of(study, tmp_path, tiny_inputs), on_event=lambda _event: None)
    assert "run it where sbatch is" in caught.value.hint
