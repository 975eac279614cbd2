"""sync with a real S3 server (moto's) through the real client (s3fs): ten processes at once, kill -9, errors."""

import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sync_machines
from sync_machines import held, put, store_of, union

SCRIPT = Path(sync_machines.__file__)
N_MACHINES = 10
ABSENT = [name for name in ("moto", "s3fs", "flask") if importlib.util.find_spec(name) is None]
WHY_NOT = f"not installed: {', '.join(ABSENT)} (python -m pip install 'moto[server]' s3fs)"
pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """moto's S3 in a process of its own, and the environment of a client of it."""

    def __init__(self, log, **settings):
        if ABSENT:
            pytest.skip(WHY_NOT)
        self.port = free_port()
        self.env = os.environ | {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_MAX_ATTEMPTS": "2",
        }
        arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(arguments, env=os.environ | settings, stdout=log, stderr=log)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.1)
        bucket = urllib.request.Request(f"http://127.0.0.1:{self.port}/lab", method="PUT")
        urllib.request.urlopen(bucket, timeout=60).close()

    def heatdrift(self, *arguments):
        command = [sys.executable, "-m", "heatdrift", *map(str, arguments)]
        return subprocess.run(command, check=False, env=self.env, capture_output=True, text=True, timeout=300)

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        found = Server(log)
        yield found
        found.close()


def one_sync(env, place, url, seed, n_operations):
    command = [sys.executable, str(SCRIPT), str(store_of(place)), url, str(seed), str(n_operations)]
    return subprocess.run(command, check=False, env=env, capture_output=True, timeout=400)


@pytest.mark.parametrize("where", ["bucket", "folder"])
def test_ten_processes_with_kills_end_with_the_union(where, request, tmp_path, make_record, make_hits, record_property):
    if where == "bucket":
        env, url = request.getfixturevalue("server").env, "s3://lab/ten"
    else:
        env, url = dict(os.environ), str(tmp_path / "remote")
    env["PYTHONPATH"] = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    places = sync_machines.make_machines(tmp_path / "machines", N_MACHINES, make_record, make_hits)
    expected = union(places)
    rng = random.Random(11)
    killed = whole = 0
    with ThreadPoolExecutor(N_MACHINES) as pool:
        for _ in range(3):
            runs = [pool.submit(one_sync, env, p, url, rng.randrange(10**6), rng.randint(2, 25)) for p in places]
            codes = [run.result().returncode for run in runs]
            assert set(codes) <= {0, -signal.SIGKILL}, [run.result().stderr.decode()[-600:] for run in runs]
            killed += codes.count(-signal.SIGKILL)
        for _ in range(2):  # undisturbed; the second brings what others sent during the first
            runs = [pool.submit(one_sync, env, place, url, 0, 0) for place in places]
            for run in runs:
                assert run.result().returncode == 0, run.result().stderr.decode()[-2000:]
                whole += 1
    last = [msgspec.json.decode(run.result().stdout) for run in runs]
    sys.stdout.write(f"{where}: {killed} kills, {whole} undisturbed syncs, {len(expected)} cells\n")
    assert killed >= N_MACHINES
    assert [held(place) == expected for place in places] == [True] * N_MACHINES
    assert {(report["pushed"], len(report["differing"]), len(report["problems"])) for report in last} == {(0, 1, 0)}


def test_the_command_sends_and_takes(server, tmp_path, make_record, make_hits):
    record = make_record(seed=1)
    put(tmp_path / "a", record, make_hits(record))
    sent = server.heatdrift("sync", "s3://lab/command", "--store", store_of(tmp_path / "a"))
    assert "s3://lab/command: 1 run sent with 1 array file, 0 there already" in sent.stdout, sent.stderr
    taken = server.heatdrift("sync", "s3://lab/command", "--store", store_of(tmp_path / "b"))
    assert "s3://lab/command: 1 run taken with 1 array file; store: 1 added, 0 changed" in taken.stdout, taken.stderr
    assert held(tmp_path / "a") == held(tmp_path / "b")


def test_an_unknown_bucket(server, tmp_path):
    found = server.heatdrift("sync", "s3://nothing-here/runs", "--store", store_of(tmp_path / "a"))
    assert found.returncode == 2
    assert "it is not there" in found.stderr
    assert "make the bucket" in found.stderr


def test_no_credentials_and_no_answer(server, tmp_path):
    env = {name: value for name, value in server.env.items() if "AWS_" not in name}
    place = ["sync", "s3://lab/runs", "--store", str(store_of(tmp_path / "a"))]
    cases = [
        ({"AWS_ENDPOINT_URL": server.env["AWS_ENDPOINT_URL"], "AWS_EC2_METADATA_DISABLED": "true"}, "no credentials"),
        ({**server.env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, "no answer from s3://lab/runs"),
    ]
    for changed, says in cases:
        command = [sys.executable, "-m", "heatdrift", *place]
        home = {"HOME": str(tmp_path)}
        found = subprocess.run(command, check=False, env=env | home | changed, capture_output=True, text=True)
        assert (found.returncode, says in found.stderr) == (2, True), found.stderr[-2000:]


def test_no_rights(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        closed = Server(log, INITIAL_NO_AUTH_ACTION_COUNT="1")  # the bucket is made; then keys must be known
        try:
            found = closed.heatdrift("sync", "s3://lab/runs", "--store", store_of(tmp_path / "a"))
        finally:
            closed.close()
    assert found.returncode == 2
    assert "no right to list s3://lab/runs" in found.stderr, found.stderr[-2000:]
