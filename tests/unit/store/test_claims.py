import json
import os
import subprocess
import sys

import pytest

from heatdrift.store.claims import claim, is_live, read_claim

CODE = """
import sys, pathlib
from heatdrift.store.claims import claim
held = claim(pathlib.Path(sys.argv[1]))
print("claimed" if held else "refused", flush=True)
if len(sys.argv) > 2: sys.stdin.read()
if held and len(sys.argv) < 3: held.release()
"""


@pytest.fixture
def cell(tmp_path):
    return tmp_path / "study" / "c1-0"


def other(cell, *, wait=False):
    arguments = [sys.executable, "-c", CODE, str(cell), *(["wait"] if wait else [])]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_claim_is_held_once_and_given_back(cell):
    with claim(cell) as held:
        assert held.held
        assert read_claim(cell).pid == os.getpid()
        assert claim(cell) is None
        process = other(cell)
        assert process.communicate()[0] == "refused\n"
    assert not (cell / "running.json").exists()
    with claim(cell) as held:
        assert held.held


def test_a_claim_is_given_back_when_the_run_fails(cell):
    with pytest.raises(RuntimeError), claim(cell):
        raise RuntimeError("training failed")
    assert not (cell / "running.json").exists()


def test_the_claim_of_a_killed_process_is_taken_over(cell):
    process = other(cell, wait=True)
    assert process.stdout.readline() == "claimed\n"
    assert claim(cell) is None
    process.kill()
    process.communicate()
    assert (cell / "running.json").exists()
    with claim(cell) as held:
        assert held.running.pid == os.getpid()


def test_an_old_heartbeat_is_taken_over_and_its_owner_notices(cell):
    now = [1000.0]
    mine = claim(cell, stale_after_s=60, clock=lambda: now[0])
    assert is_live(mine.running, stale_after_s=60, clock=lambda: now[0] + 59)
    for jump in (61, -61):
        assert not is_live(mine.running, stale_after_s=60, clock=lambda jump=jump: now[0] + jump)
    now[0] += 61
    theirs = claim(cell, stale_after_s=60, clock=lambda: now[0])
    assert theirs is not None
    assert not mine.held
    mine._refreshed -= 60
    assert not mine.refresh()
    mine.release()
    assert theirs.held
    theirs.release()


def test_a_refresh_keeps_a_claim_alive(cell):
    now = [1000.0]
    with claim(cell, stale_after_s=60, clock=lambda: now[0]) as mine:
        now[0] += 50
        assert mine.refresh()  # too soon to write
        assert read_claim(cell).heartbeat == 1000.0
        mine._refreshed -= 50
        assert mine.refresh()
        assert read_claim(cell).heartbeat == 1050.0
        now[0] += 50
        assert claim(cell, stale_after_s=60, clock=lambda: now[0]) is None


def test_a_claim_of_another_machine_is_judged_by_its_heartbeat_alone(cell):
    with claim(cell) as mine:
        foreign = json.loads((cell / "running.json").read_bytes()) | {
            "host": "elsewhere",
            "pid": 2**22 + 1,
            "token": "theirs",
        }
        (cell / "running.json").write_text(json.dumps(foreign))
        assert claim(cell) is None
        assert not mine.held
    assert (cell / "running.json").exists()
    (cell / "running.json").write_text(json.dumps(foreign | {"heartbeat": 0.0}))
    with claim(cell) as again:
        assert again.held


def test_a_number_used_again_by_another_process_is_no_live_claim(cell):
    with claim(cell) as mine:
        if mine.running.pid_started is None:
            pytest.skip("this system does not tell when a process started")
        data = json.loads((cell / "running.json").read_bytes())
        (cell / "running.json").write_text(json.dumps(data | {"pid_started": 1}))
        with claim(cell) as again:
            assert again.held


def test_a_damaged_claim_binds_nobody(cell):
    cell.mkdir(parents=True)
    (cell / "running.json").write_text("{")
    with claim(cell) as held:
        assert held.held


def test_of_many_processes_exactly_one_gets_a_stale_claim(cell):
    cell.mkdir(parents=True)
    (cell / "running.json").write_text("{")
    processes = [other(cell, wait=True) for _ in range(6)]
    answers = [p.stdout.readline() for p in processes]
    for process in processes:
        process.communicate("")
    assert sorted(answers) == ["claimed\n"] + ["refused\n"] * 5
