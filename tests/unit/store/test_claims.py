import json
import os
import subprocess
import sys
import time

import pytest

from heatdrift.store.claims import claim, heartbeat_age_s, is_live, read_claim

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


def age(cell, seconds, **changes):
    """Make the claim's last heartbeat older, by every clock there is."""
    path = cell / "running.json"
    data = json.loads(path.read_bytes())
    data |= {"beat": data["beat"] - seconds, "heartbeat": data["heartbeat"] - seconds} | changes
    path.write_text(json.dumps(data))
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_an_old_heartbeat_is_taken_over_and_its_owner_notices(cell):
    mine = claim(cell, stale_after_s=60)
    for seconds, live in ((59, True), (2, False), (-122, False), (61, True)):
        age(cell, seconds)  # together: 59, 61, -61, 0
        assert is_live(cell, read_claim(cell), stale_after_s=60) is live
    age(cell, 61)
    theirs = claim(cell, stale_after_s=60)
    assert theirs is not None
    assert not mine.held
    assert not mine.refresh()
    assert mine.lost
    mine.release()
    assert theirs.held
    theirs.release()


def test_a_refresh_keeps_a_claim_alive(cell):
    with claim(cell, stale_after_s=60) as mine:
        age(cell, 50)
        assert mine.refresh()
        assert heartbeat_age_s(cell, read_claim(cell)) < 1
        age(cell, 50)
        assert claim(cell, stale_after_s=60) is None


def test_a_thread_keeps_a_claim_alive_through_an_epoch_longer_than_the_lease(cell):
    with claim(cell, stale_after_s=0.5) as mine, mine.beating():
        time.sleep(1.2)
        assert claim(cell, stale_after_s=0.5) is None
        assert not mine.lost
        age(cell, 0, token="another's")
        deadline = time.monotonic() + 5
        while not mine.lost and time.monotonic() < deadline:
            time.sleep(0.02)
        assert mine.lost


def test_a_wall_clock_that_jumps_frees_no_claim(cell, monkeypatch):
    now = time.time()
    with claim(cell, stale_after_s=60) as mine:
        for jump in (-86_400, 86_400):
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            assert claim(cell, stale_after_s=60) is None
            assert mine.refresh()
            assert claim(cell, stale_after_s=60) is None
        monkeypatch.undo()
        age(cell, 0, host="elsewhere", boot="another", pid=1)
        monkeypatch.setattr(time, "time", lambda: now + 86_400)  # two machines whose clocks differ by a day
        assert claim(cell, stale_after_s=60) is None


def test_a_claim_of_another_machine_is_judged_by_file_times_alone(cell):
    with claim(cell) as mine:
        foreign = {"host": "elsewhere", "boot": "another", "pid": 2**22 + 1, "token": "theirs"}
        age(cell, 0, **foreign)
        assert claim(cell) is None
        assert not mine.held
    assert (cell / "running.json").exists()
    age(cell, 301)
    with claim(cell) as again:
        assert again.held


def test_a_claim_of_before_a_reboot_is_stale_at_once(cell):
    with claim(cell):
        age(cell, 0, boot="the one before")
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
