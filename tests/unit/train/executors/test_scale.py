"""Job scripts for the study at hand: what they say, that they parse, and that Slurm's does what it promises."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.plan.study import load_study
from heatdrift.train.executors.sizing import Sizing, process_bytes, size_of, too_many_jobs
from heatdrift.train.executors.templates import FILES, job_script, label
from heatdrift.train.status import CellState

SIZING = Sizing(cells=80, parts=8, limit_s=5000.0, time_words="t", memory_gib=6, memory_words="m")
COMMAND = ("heatdrift", "train", "--all", "--study", "my study.toml")


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture(scope="module")
def states(study, tiny_inputs):
    return [CellState(cell=cell, status="planned") for cell in planned_cells(study, tiny_inputs)]


def script(scheduler, **changes):
    return job_script(scheduler, SIZING, study="A_b.c", command=COMMAND, **changes)


def test_time_and_parts_come_from_finished_cells(study, states, tiny_inputs):
    done = [msgspec.structs.replace(s, status="done", wall_s=3600.0, device="cpu") for s in states[:4]]
    found = size_of([*done, *states[4:]], spec=study, folder=tiny_inputs, parts=10)
    assert (found.cells, found.parts) == (20, 10)
    assert found.limit_s == pytest.approx(1.5 * 2 * 3600.0)  # two cells a part, and half more
    assert found.limit == "03:00:00"
    assert found.time_words.startswith("about 2 h 0 min a part, 20 h 0 min in all, by 4 finished cells")


def test_what_nobody_measured_is_called_a_guess(study, states, tiny_inputs):
    found = size_of(states, spec=study, folder=tiny_inputs)
    assert (found.parts, found.limit) == (16, "04:00:00")
    assert "a guess" in found.time_words
    assert "a guess" in found.memory_words
    measured = size_of(states, spec=study, folder=tiny_inputs, measured_s=24.0, measured_bytes=3 * 2**30)
    assert measured.limit == "00:30:00"
    assert "by steps measured here" in measured.time_words
    assert measured.memory_gib == 4
    assert measured.memory_words.startswith("3.0 GiB measured here")


def test_a_finished_study_needs_no_script(study, states, tiny_inputs):
    done = [msgspec.structs.replace(s, status="done", wall_s=1.0) for s in states]
    with pytest.raises(StudyError, match="all 24 cells of study tiny are finished"):
        size_of(done, spec=study, folder=tiny_inputs)


def test_more_jobs_than_memory_are_said_before_they_start(study, tiny_inputs):
    gib = 2**30
    assert too_many_jobs(4, 2 * gib, 8 * gib) is None
    assert too_many_jobs(4, 2 * gib, None) is None
    assert too_many_jobs(64, 2 * gib, 9 * gib) == (
        "64 processes need about 128 GiB, and 9 GiB are free: --jobs 4 fits (a guess by the size of the weights)"
    )
    assert process_bytes(study, tiny_inputs) > gib


@pytest.mark.parametrize("gpus", [0, 2])
@pytest.mark.parametrize("scheduler", ["slurm", "ray"])
def test_shell_scripts_parse(scheduler, gpus):
    text = script(scheduler, gpus=gpus)
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "'my study.toml'" in text
    assert ("gpu:2" in text or "--gpus 2" in text) == bool(gpus)


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_kubernetes_job_says_which_exits_are_tried_again(gpus):
    job = yaml.safe_load(script("k8s", gpus=gpus, image="me/heat:1"))
    spec = job["spec"]
    assert job["metadata"]["name"] == "heatdrift-a-b-c"
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 8, 8)
    by_code = {
        code: rule["action"]
        for rule in spec["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", ())
    }
    assert by_code == {75: "Ignore", 2: "FailIndex", 3: "FailIndex"}
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == [*COMMAND, "--shard", "env", "--jobs", "1"]
    assert {"name": "JOB_COMPLETIONS", "value": "8"}.items() <= container["env"][0].items()
    assert container["resources"]["limits"].get("nvidia.com/gpu") == (gpus or None)
    assert container["resources"]["limits"]["memory"] == "6Gi"


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_skypilot_task_parses_and_its_run_too(gpus):
    task = yaml.safe_load(script("skypilot", gpus=gpus))
    assert task["num_nodes"] == 8
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]
    assert ("accelerators" in task["resources"]) == bool(gpus)
    assert "--store /runs/heatdrift.duckdb --shard env" in task["run"]
    assert subprocess.run(["bash", "-n"], input=task["run"], text=True, check=False).returncode == 0


def test_an_unknown_scheduler_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown scheduler 'lsf'"):
        script("lsf")
    assert label("heatdrift-Ünï_1." + "x" * 80).startswith("heatdrift-n-1-xxx")
    assert len(label("x" * 80)) == 63


@pytest.mark.parametrize("scheduler", FILES)
def test_the_command_prints_a_script_for_the_study_at_hand(scheduler, tiny_inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = str(tiny_inputs / "study.toml")
    found = CliRunner().invoke(app, ["scale", scheduler, "--study", study, "--parts", "5", "--gpus", "0"])
    assert found.exit_code == 0, found.output
    assert "24 cells of study tiny that are not finished" in found.stdout
    assert json.dumps(study)[1:-1] in found.stdout


FAKE = """#!/bin/bash
echo "$@" >> "$LOG"
[ "$(basename "$0")" = heatdrift ] || exit 0
trap 'echo stopping >> "$LOG"; sleep 0.3; exit 75' USR1 TERM
echo ready >> "$LOG"
for _ in $(seq 200); do sleep 0.05; done
"""


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_the_slurm_script_waits_for_the_polite_end_and_requeues_at_the_time_limit(number, requeued, tmp_path):
    for name in ("heatdrift", "scontrol"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(log),
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": "3",
    }
    running = subprocess.Popen(["bash", "-c", script("slurm")], env=environment)
    until = time.monotonic() + 60
    while not log.exists() or "ready" not in log.read_text():
        assert time.monotonic() < until, "heatdrift did not start"
        time.sleep(0.02)
    running.send_signal(number)
    assert running.wait(timeout=60) == 75
    said = Path(log).read_text().splitlines()
    assert said[:3] == ["train --all --study my study.toml --shard env --jobs 1", "ready", "stopping"]
    assert said[3:] == (["requeue 77_3"] if requeued else [])
