"""A study on a real two-node Ray cluster of this machine, of which a worker and then a node are killed."""

import contextlib
import functools
import os
import signal
from pathlib import Path

import pytest
from stubs import find_records

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import TrainError
from heatdrift.plan.study import load_study
from heatdrift.store.folder import attempt_files, cell_folder
from heatdrift.store.ingest import ingest
from heatdrift.train.executors.ray_cluster import RayExecutor, connect
from heatdrift.train.status import cell_states
from heatdrift.train.worker import Ended, EpochDone, Noted, WorkerSettings

ray = pytest.importorskip("ray", reason="Ray is not installed: python -m pip install 'heatdrift[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray's own warnings are Ray's


@pytest.fixture
def cluster():
    """A head without CPUs, where the leading process is, and two nodes with one each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_health_check_failure_threshold", "4")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * 2**20})
        try:
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def add_node(cluster):
    return cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)


def settings_of(study, store_folder, data_folder):
    return WorkerSettings(
        study=study,
        store_folder=str(store_folder),
        data_folder=str(data_folder),
        device="auto",
        threads=1,
        provenance=provenance.collect(),
    )


def training_processes(work_folder, cell_id="c1-*"):
    """Process ids of the workers that train now: each has a folder of its own, with its number in the name."""
    found = {int(path.name.split(".")[-2]) for path in Path(work_folder).glob(f"{cell_id}.*")}
    return {pid for pid in found if Path(f"/proc/{pid}").exists()}


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(pid):
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if parent_of(int(path.parent.name)) == pid:
                found.add(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers in /proc")
def test_all_cells_finish_once_though_a_worker_and_a_node_are_killed(cluster, tiny_inputs, tmp_path):
    nodes = [add_node(cluster), add_node(cluster)]
    study = load_study(str(tiny_inputs / "study.toml"))
    cells = planned_cells(study, tiny_inputs)[:10]
    store_folder, work_folder = tmp_path / "runs", tmp_path / "work"
    events, killed = [], []

    def kill_on_the_way(event):
        events.append(event)
        ended = sum(isinstance(each, Ended) for each in events)
        if isinstance(event, EpochDone) and ended >= 1 and not killed:
            (pid, *_) = sorted(training_processes(work_folder))
            os.kill(pid, signal.SIGKILL)
            killed.append(f"worker {pid}")
        if ended >= 3 and isinstance(event, EpochDone) and len(killed) == 1:
            for pid in training_processes(work_folder, event.cell.cell_id):  # its parent is the node's raylet
                raylet = parent_of(pid)
                assert raylet in {node.all_processes["raylet"][0].process.pid for node in nodes}
                workers = children_of(raylet)
                for process in (raylet, *workers):
                    os.kill(process, signal.SIGKILL)
                killed.append(f"node with {len(workers)} processes")
                break

    executor = RayExecutor(address=cluster.address, work_folder=str(work_folder))
    counts = executor.run_cells(cells, settings_of(study, store_folder, tiny_inputs), on_event=kill_on_the_way)
    print(counts, killed, [event.text for event in events if isinstance(event, Noted)])  # noqa: T201  for pytest -s
    assert counts == {"done": 10}
    assert len(killed) == 2
    assert sum("its worker was lost" in event.text for event in events if isinstance(event, Noted)) >= 2
    folders = [cell_folder(store_folder, study.name, cell.cell_id) for cell in cells]
    assert [len(attempt_files(folder)) for folder in folders] == [1] * 10
    assert {path.name for path in folders[0].iterdir()} >= {"record.json", "hits.npz", "gallery.npz"}
    assert not list(store_folder.rglob("running.json"))
    store = store_folder / "heatdrift.duckdb"
    assert not store.exists()  # the workers wrote none: the leading process alone ingests
    assert not ingest(store).problems
    assert {s.status for s in cell_states(cells, study=study.name, store_folder=store_folder)} == {"done"}


def test_an_exception_in_a_cell_is_its_result_and_a_missing_file_ends_all(cluster, tiny_inputs, tmp_path):
    add_node(cluster)
    study = load_study(str(tiny_inputs / "study.toml"))
    cells = planned_cells(study, tiny_inputs)[:2]
    executor = RayExecutor(address=cluster.address, work_folder=str(tmp_path / "work"))
    with pytest.raises(TrainError, match=r"on .*: there is no file"):
        executor.run_cells(cells, settings_of(study, tmp_path / "runs", tmp_path), on_event=lambda _event: None)
    assert find_records(tmp_path / "runs") == []
    assert not list(tmp_path.rglob("running.json"))


def test_a_cell_that_fits_on_no_node_is_refused_in_words(cluster, tiny_inputs, tmp_path, monkeypatch):
    from heatdrift.train.executors import driving, ray_cluster

    add_node(cluster)
    in_two_seconds = functools.partial(driving.Driver, room_within_s=2.0)  # a minute otherwise
    monkeypatch.setattr(ray_cluster, "Driver", in_two_seconds)
    study = load_study(str(tiny_inputs / "study.toml"))
    cells = planned_cells(study, tiny_inputs)[:1]
    executor = RayExecutor(address=cluster.address, memory_gb=4096.0)
    with pytest.raises(TrainError, match=r"needs 1 CPU, 4096.0 GiB memory: [01] CPU, "):
        executor.run_cells(cells, settings_of(study, tmp_path / "runs", tiny_inputs), on_event=lambda _event: None)


def test_signals_stay_ours_after_connecting(cluster):
    add_node(cluster)
    before = signal.getsignal(signal.SIGTERM)
    connect(cluster.address)
    assert signal.getsignal(signal.SIGTERM) == before
