"""A scheduler's signal stops `train` politely: claims given back, exit 75, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heatdrift.train.interrupt import INTERRUPTED, SIGNALS, Interrupted, interruptible


@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_raises_and_second_is_ignored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = False

    def twice() -> None:
        nonlocal cleaned
        with interruptible():
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)
                cleaned = True

    with pytest.raises(Interrupted) as caught:
        twice()
    assert cleaned
    assert caught.value.name == signal.Signals(number).name
    assert signal.getsignal(number) == before


@pytest.mark.slow
def test_train_exits_75_and_leaves_no_claim(tmp_path: Path) -> None:
    store = tmp_path / "runs" / "heatdrift.duckdb"
    command = [sys.executable, "-m", "heatdrift", "train", "--all", "--study", "demo", "--jobs", "1"]
    run = subprocess.Popen([*command, "--store", str(store)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 300
    while not list(tmp_path.rglob("running.json")):
        assert run.poll() is None
        assert time.monotonic() < limit, "no cell began"
        time.sleep(0.05)
    run.send_signal(signal.SIGUSR1)
    _, said = run.communicate(timeout=300)
    assert run.returncode == INTERRUPTED, said
    assert "SIGUSR1: stopped" in said
    assert not list(tmp_path.rglob("running.json"))
    assert not [p for p in tmp_path.rglob("record.json") if '"failed"' in p.read_text()]
