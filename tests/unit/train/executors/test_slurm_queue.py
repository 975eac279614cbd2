"""When an element of an array is over: with its result, or when Slurm's queue has forgotten it."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from heatdrift.train.executors.slurm_queue import Queue, queued


@dataclass
class SlurmElement:
    """What the queue reads of submitit's SlurmJob."""

    state: str
    paths: SimpleNamespace
    job_id: str = "77_3"

    def done(self):
        return self.state in ("FAILED", "PREEMPTED")


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A squeue that prints what is asked for; a second call sets it."""

    def answer(text, *, code=0, error=""):
        program = tmp_path / "squeue"
        program.write_text(
            f"#!/bin/bash\necho \"$@\" >> {tmp_path}/asked\necho -n '{text}'\necho '{error}' >&2\nexit {code}\n"
        )
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return answer


def element(tmp_path, state):
    return SlurmElement(state, SimpleNamespace(result_pickle=tmp_path / "result.pkl"))


@pytest.mark.parametrize("state", ["UNKNOWN", "FAILED", "PREEMPTED"])
def test_an_element_without_a_result_is_over_when_the_queue_has_it_no_more(state, squeue, tmp_path):
    at = [0.0]
    queue, job = Queue(now=lambda: at[0]), element(tmp_path, state)
    squeue("77_3 low heatdrift PD 0:00 1 (BeginTime)")
    for at[0] in (0.0, 59.0):  # sacct is late at first
        assert not queue.over(job)
    assert not (tmp_path / "asked").exists()
    at[0] = 61.0
    assert not queue.over(job)  # requeued
    squeue("", code=1, error="slurm_load_jobs error: Invalid job id specified")
    at[0] = 100.0
    assert not queue.over(job)  # asked 39 s ago
    at[0] = 130.0
    assert queue.over(job)
    assert (tmp_path / "asked").read_text() == "--noheader --array --jobs 77_3\n" * 2


def test_a_result_ends_it_whatever_slurm_says(tmp_path):
    job = element(tmp_path, "RUNNING")
    assert not Queue().over(job)
    job.paths.result_pickle.touch()
    assert Queue().over(job)


def test_a_squeue_that_does_not_answer_ends_nothing(squeue, tmp_path, monkeypatch):
    squeue("", code=1, error="Unable to contact slurm controller")
    assert queued("77_3")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert queued("77_3")
