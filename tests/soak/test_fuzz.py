"""The fuzz: 10,000 changed files of every kind, and that it finds what it is there for. fuzz.py takes more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fuzz.py")
FAULTY = """
import os, time
from types import SimpleNamespace as Kind
from heatdrift.errors import DataError

def refuse(path, store):
    raise DataError(f"cannot read {path}")

def unnamed(path, store):
    raise DataError("cannot read a file")

def bug(path, store):
    raise KeyError("x")

def abort(path, store):
    os.abort()

def endless(path, store):
    while True:
        pass

def large(path, store):
    bytearray(3 * 2**30)

def writes(path, store):
    (store / "s").mkdir()
    (store / "s" / "record.json").write_text("{}")
    raise DataError(f"cannot read {path}")

def kinds(scratch):
    return [Kind(name=f.__name__, whole=b"whole", read=f, share=1.0)
            for f in (refuse, unnamed, bug, abort, endless, large, writes)]
"""


def fuzz(folder, *options, **environment):
    command = [sys.executable, str(SCRIPT), str(folder), *options]
    ended = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=5000
    )
    assert ended.returncode in (0, 1), ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_changed_files_give_our_error_or_a_right_reading(tmp_path):
    inputs = int(os.environ.get("HEATDRIFT_FUZZ_INPUTS", "10000"))
    found = fuzz(tmp_path, "--inputs", str(inputs), "--processes", "2")
    assert found["findings"] == []
    assert found["inputs"] >= inputs * 0.95
    assert len(found["kinds"]) >= 35
    for kind, outcomes in found["kinds"].items():
        assert outcomes.get("read"), f"no input of {kind} was read: it is not the kind that it says"


@pytest.mark.slow
def test_the_fuzz_finds_every_kind_of_fault(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = fuzz(tmp_path / "out", "--module", "faulty", "--inputs", "14", PYTHONPATH=path)
    said = {finding["kind"]: finding["what"] for finding in found["findings"]}
    assert found["inputs"] == 14
    assert found["kinds"]["refuse"] == {"refused": 1, "found": 1}  # the whole file too
    assert said["refuse"] == "the whole file is refused"
    assert "does not name the file" in said["unnamed"]
    assert "KeyError" in said["bug"]
    assert "ended with -6" in said["abort"]
    assert "StandstillError" in said["endless"]
    assert "MemoryError" in said["large"]
    assert "the store was changed" in said["writes"]
    assert {p.name.split("-")[1] for p in (tmp_path / "out" / "found").iterdir()} == set(said)
