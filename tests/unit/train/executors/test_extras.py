"""What a user sees without an extra, without a cluster, with a cluster that is too small."""

import contextlib
import pickle
import socket
import sys
import threading

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import TrainError
from heatdrift.train.executors.base import module_of_extra
from heatdrift.train.executors.ray_cluster import RayCluster, _knock, fitting, signal_behind
from heatdrift.train.executors.ray_worker import train_on_worker
from heatdrift.train.interrupt import Interrupted


@pytest.mark.parametrize(("extra", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_names_the_command_that_installs_it(extra, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrainError, match=f"--executor {extra} needs {module}") as caught:
        module_of_extra(extra)
    assert caught.value.hint == f"python -m pip install 'heatdrift[{extra}]'"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--address", "here:1"], "--executor local has no --address"),
        (["--executor", "slurm", "--work-dir", "x"], "--executor slurm has no --work-dir"),
        (["--executor", "ray", "--slurm", "partition=gpu"], "--executor ray has no --slurm"),
        (["--executor", "slurm", "--slurm", "partition"], "is not KEY=VALUE"),
    ],
)
def test_an_option_of_another_executor_is_refused(arguments, says, tiny_inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["train", "--all", "--study", str(tiny_inputs / "study.toml"), *arguments])
    assert found.exception is not None
    assert says in str(found.exception)


def test_an_address_at_which_nobody_listens_is_an_error_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(TrainError, match=rf"no Ray cluster answers at 127.0.0.1:{port} within 10 s"):
            _knock(f"127.0.0.1:{port}", 10.0)


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:six", ":6379"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(TrainError, match="is no Ray address"):
        _knock(address, 1.0)


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", None], ids=["silent-end", "another", "silent"])
def test_what_listens_and_is_no_ray_is_refused_in_time(says):
    """Ray itself goes on trying for more than four minutes."""
    with answering(says) as address, pytest.raises(TrainError, match=f"no Ray cluster answers at {address}"):
        _knock(address, 0.5)


def test_an_address_that_answers_passes():
    with answering(bytes(3) + b"\x04" + bytes(5)) as address:
        _knock(f"ray://{address}", 30.0)


@contextlib.contextmanager
def answering(says):
    """A server that says this to the first who comes; None = nothing, and keeps the line."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                if says is None:
                    over.wait(30)
                connection.sendall(says or b"")

        over = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join()


def test_cells_on_a_node_are_as_many_as_its_scarcest_resource_allows():
    node = {"CPU": 16.0, "GPU": 1.0, "memory": 64 * 2**30}
    assert fitting(node, {"CPU": 1.0}) == 16
    assert fitting(node, {"CPU": 1.0, "GPU": 0.25}) == 4
    assert fitting(node, {"CPU": 1.0, "GPU": 0.1}) == 10  # 1 / 0.1 in floating point is enough
    assert fitting(node, {"CPU": 1.0, "memory": 40.0 * 2**30}) == 1
    assert fitting(node, {"CPU": 1.0, "memory": 65.0 * 2**30}) == 0
    assert fitting({"CPU": 2.0}, {"CPU": 1.0, "GPU": 1.0}) == 0


def test_a_lack_of_memory_is_said_in_words():
    cluster = RayCluster.__new__(RayCluster)
    cluster._needs = {"CPU": 1.0, "memory": 65.0 * 2**30}
    cluster._nodes = lambda: [{"CPU": 4.0, "memory": 8.0 * 2**30, "node:10.0.0.1": 1.0}]
    assert cluster.need() == (
        "no node of the Ray cluster has room for one cell, which needs 1 CPU, 65.0 GiB memory: 4 CPU, 8.0 GiB memory"
    )


def test_a_signal_that_came_inside_compiled_code_is_the_signal_again():
    """Ray's wait turns what a handler raises into a SystemError: exit 1 with a traceback instead of 75."""
    inside = SystemError("returned a result with an exception set")
    inside.__cause__ = Interrupted("SIGTERM")
    outer = ValueError("in a finally")
    outer.__context__ = inside
    assert signal_behind(outer) is inside.__cause__
    assert signal_behind(ValueError("of its own")) is None


def test_a_worker_of_another_version_says_so_and_reads_nothing():
    found = train_on_worker("0.0.9", b"not a pickle", pickle.dumps(None), None)
    assert "the leading process 0.0.9" in found.message
    assert found.hint == "install heatdrift 0.0.9 on all nodes"


def test_a_shard_beyond_its_count_is_refused(tiny_inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
    study = ["--study", str(tiny_inputs / "study.toml")]
    for shard, says in (("5/4", "1 <= i <= n"), ("env", "SLURM_ARRAY_TASK_ID=4 is beyond SLURM_ARRAY_TASK_COUNT=4")):
        found = CliRunner().invoke(app, ["train", *study, "--shard", shard])
        assert says in str(found.exception)
