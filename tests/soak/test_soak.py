"""The soak, short: 200 cells in 8 processes, one of them killed every second or two. See soak.py for a longer one."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_of_processes_that_write_records_a_hundred_may_be_killed(tmp_path):
    path = Path(__file__).with_name("records.py")
    done = subprocess.run(
        [sys.executable, str(path), str(tmp_path / "soak"), "--kills", "100"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == 100
    for name in ("lost", "doubled", "written_again_though_finished", "stuck"):
        assert found[name] == 0, found
    assert found["rebuild_equal"]
    assert found["check_problems"] == []


def test_nothing_is_lost_or_doubled_while_processes_are_killed(tmp_path):
    path = Path(__file__).with_name("soak.py")
    spec = importlib.util.spec_from_file_location("soak", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its functions are sent to other processes by name
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        found = module.soak(tmp_path / "soak", processes=8, seeds=10, pause=(0.5, 2.0), seed=1, limit_s=570)
    finally:
        sys.path.remove(str(path.parent))
        del sys.modules["soak"]
    assert found["cells"] == 200
    assert found["kills"] >= 5
    for name in ("lost", "doubled", "ran_twice_at_once", "trained_again_though_finished", "reader_doubled"):
        assert found[name] == 0, found
    assert found["rebuild_equal"]
    assert found["reader_snapshot_kept"]
    assert found["check_problems"] == []
    assert found["reader_errors"] == []
    assert found["reader_decreased"] == 0
