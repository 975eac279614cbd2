"""Real processes and real signals: what was interrupted within an epoch ends with the numbers of what was not."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")]
SOAK = Path(__file__).parents[1] / "soak" / "signals.py"
MEASURED = "select * exclude (wall_s, started_at, finished_at, record_sha256, attempt, resumed_after) from runs"
VIEWS = (MEASURED, *(f"select * from {view} order by all" for view in ("epochs", "layers", "heads", "transfer")))
PAGE = Path(__file__).parents[2] / "docs" / "preemption.md"


def batch_script():
    """The page's script for Slurm, with the training as its arguments and a word in place of the cluster's command."""
    script = PAGE.read_text().split("```bash\n")[1].split("```")[0]
    for theirs, ours in (("heatdrift train --all --study mine.toml", '"$@"'), ("scontrol requeue", "echo requeued")):
        assert theirs in script
        script = script.replace(theirs, ours)
    return script


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """A folder with a study of one cell whose epochs have many steps."""
    for path in tiny_inputs.iterdir():
        shutil.copy(path, tmp_path)
    text = (tiny_inputs / "study.toml").read_text().replace("batch_size = 8", "batch_size = 1")
    text = text.replace("epochs = 2", "epochs = 30").replace("train = 6", "train = 9")
    (tmp_path / "study.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(store):
    chosen = ["--dataset", "stripes", "--method", "lora_r8", "--lr", "1e-2", "--seed", "1", "--jobs", "1"]
    return [
        sys.executable,
        "-m",
        "heatdrift",
        "train",
        "--study",
        "study.toml",
        "--store",
        f"{store}/d.duckdb",
        *chosen,
    ]


def call(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def numbers(store):
    heatdrift = [sys.executable, "-m", "heatdrift", "sql", "--store", f"{store}/d.duckdb", "--format", "json"]
    return [json.loads(call(*heatdrift, query)) for query in VIEWS]


def interrupted(words, number, place):
    """Start `words`, send `number` to it when it has ended one more epoch, and return its code and words."""

    def written():
        return [path.stat().st_mtime_ns for path in (place / "stopped").rglob("checkpoint.pt")]

    before = written()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        limit = time.monotonic() + 300
        while written() in (before, []):
            assert process.poll() is None
            assert time.monotonic() < limit, "no epoch ended"
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(number)
        said, _ = process.communicate(timeout=300)
    return process.returncode, said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "batch shell"])
def test_interrupted_within_an_epoch_it_ends_with_the_same_numbers(place, name):
    """Stopped until it was stopped after some but not all steps of an epoch, then left alone."""
    call(*command("whole"))
    words = command("stopped")
    if name == "batch shell":  # Slurm's --signal=B:USR1@300: to the shell, which passes it on to its child
        words, number = ["bash", "-c", batch_script(), "batch", *words], signal.SIGUSR1
    else:
        number = signal.Signals[name]
    within = False
    for _ in range(20):
        code, said = interrupted(words, number, place)
        assert code == 75, said
        assert ("requeued" in said) == (name == "batch shell")
        assert not list(place.rglob("running.json"))
        assert not list((place / "stopped").rglob("record.json"))
        (path,) = (place / "stopped").rglob("checkpoint.pt")
        part = torch.load(path, weights_only=True)["state"]["part"]
        within = part is not None and 0 < len(part["losses"]) < 27
        if within:
            break
    assert within
    call(*command("stopped"))
    whole, stopped = numbers("whole"), numbers("stopped")
    assert all(whole)
    assert stopped == whole
    assert not list((place / "stopped").rglob("checkpoint.pt"))


def test_signals_at_random_moments(tmp_path):
    """The soak, short; see its file for a longer one."""
    spec = importlib.util.spec_from_file_location("signals", SOAK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.soak(tmp_path / "soak", seeds=1, stops=8, seed=1, limit_s=900)
    assert found["signals"] == 8
    assert found["equal"], found
    assert found["rounds"] >= 1
    assert found["failed_attempts"] == 0
    assert found["left_over"] == []
    assert found["check_problems"] == []
