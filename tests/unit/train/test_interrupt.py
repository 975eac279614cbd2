"""Who hears a signal, what a second one does, and what a forked child makes of a handler that it inherited."""

import os
import signal
import subprocess
import sys

import pytest

from heatdrift.errors import UnknownNameError
from heatdrift.train import interrupt
from heatdrift.train.interrupt import (
    DEFAULT_SIGNALS,
    Interrupted,
    Interruption,
    LeadingInterruption,
    held_back,
    listen,
    listening,
    signal_names,
)


def send(name):
    os.kill(os.getpid(), signal.Signals[f"SIG{name}"])


@pytest.mark.parametrize("name", DEFAULT_SIGNALS)
def test_before_anything_trains_the_first_signal_raises_and_later_ones_are_ignored(name):
    before = signal.getsignal(signal.Signals[f"SIG{name}"])
    cleaned = []

    def twice():
        with listening(DEFAULT_SIGNALS, LeadingInterruption()):
            try:
                send(name)
            finally:
                send(name)
                cleaned.append(name)

    with pytest.raises(Interrupted) as caught:
        twice()
    assert cleaned == [name]
    assert caught.value.reason == f"SIG{name}"
    assert signal.getsignal(signal.Signals[f"SIG{name}"]) == before


def test_while_workers_train_the_first_signal_is_noted_and_wakes_the_wait():
    with listening(DEFAULT_SIGNALS, LeadingInterruption()) as interruption:
        interruption.lead()
        assert not interruption.bell.poll()
        send("USR1")
        assert interruption.bell.poll()
        assert interruption.reason == "SIGUSR1"
        send("TERM")  # of the same request: to a group and to its members
        assert interruption.reason == "SIGUSR1"


def test_a_second_signal_after_more_than_a_second_ends_it_at_once(monkeypatch):
    monkeypatch.setattr(interrupt, "SAME_S", 0.0)  # as if it came more than a second later
    with listening(DEFAULT_SIGNALS, LeadingInterruption()) as interruption:
        interruption.lead()
        interruption.request("--max-time 1h")  # a limit that was reached is no signal
        send("USR1")
        with pytest.raises(Interrupted):
            send("TERM")
        send("TERM")  # its cleaning up is not disturbed
        assert interruption.reason == "--max-time 1h"


def test_the_time_limit_asks_for_the_end():
    later, now = LeadingInterruption(limit_s=3600, limit_words="--max-time 1h"), LeadingInterruption(limit_s=0.0)
    assert 3500 < later.left_s() <= 3600
    assert not later.requested()
    assert LeadingInterruption().left_s() is None
    assert now.left_s() == 0.0
    assert now.requested()
    assert now.bell.poll()
    with pytest.raises(Interrupted):
        now.check()


def test_a_worker_only_notes_signals():
    interruption, earlier = Interruption(), {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        listen(("TERM", "USR1"), interruption)
        interruption.check()
        for _ in range(3):
            send("USR1")
        send("TERM")
        assert interruption.requested()
        with pytest.raises(Interrupted, match="SIGUSR1"):
            interruption.check()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def test_a_forked_child_ends_by_a_signal_and_notes_nothing():
    ready, told = os.pipe()
    with listening(DEFAULT_SIGNALS, LeadingInterruption()) as interruption:
        interruption.lead()
        child = os.fork()
        if child == 0:
            try:
                os.write(told, b".")
                signal.pause()
            finally:
                os._exit(0)  # it listened: a handler that only notes would come here
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert interruption.reason is None
    os.close(ready)
    os.close(told)


def test_a_process_that_is_started_while_signals_are_held_back_hears_them_when_it_lets_them_in():
    code = (
        "import os, signal; from heatdrift.train.interrupt import let_in; os.kill(os.getpid(), signal.SIGUSR2); "
        "print('alive', flush=True); let_in(['USR2']); print('not reached')"
    )
    with held_back(["USR2"]):
        started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    said, _ = started.communicate(timeout=60)
    assert said == "alive\n"
    assert started.returncode == -signal.SIGUSR2


def test_names_of_signals():
    assert signal_names(["SIGUSR1", "usr1", " Term "]) == ("USR1", "TERM")
    with pytest.raises(UnknownNameError, match="unknown signal 'USR3' in --stop-on"):
        signal_names(["USR3"])
    with pytest.raises(UnknownNameError):
        signal_names(["KILL"])
