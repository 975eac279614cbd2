"""Plan -> train -> SQL -> statistics -> report, on a study that really trains, through the command line."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app

pytestmark = pytest.mark.slow


def call(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def place(tiny_inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    common = ("--study", tiny_inputs / "study.toml", "--store", folder / "heatdrift.duckdb", "--jobs", 2)
    call("train", "--all", *common)
    return folder


def test_all_cells_are_done_and_a_second_run_does_nothing(place, tiny_inputs):
    store = place / "heatdrift.duckdb"
    rows = json.loads(
        call("sql", "select status, count(*) n from runs group by 1", "--store", store, "--format", "json")
    )
    assert rows == [{"status": "done", "n": 24}]
    records = {p: p.stat().st_mtime_ns for p in place.rglob("record.json")}
    call("train", "--all", "--study", tiny_inputs / "study.toml", "--store", store)
    assert {p: p.stat().st_mtime_ns for p in place.rglob("record.json")} == records


def test_two_jobs_equal_one(place, tiny_inputs, tmp_path):
    one = tmp_path / "heatdrift.duckdb"
    call("train", "--seed", 2, "--study", tiny_inputs / "study.toml", "--store", one, "--jobs", 1)
    query = (
        "select * exclude (wall_s, started_at, finished_at, record_sha256) from runs where seed = 2 order by cell_id"
    )
    both = [json.loads(call("sql", query, "--store", s, "--format", "json")) for s in (one, place / "heatdrift.duckdb")]
    assert len(both[0]) == 8
    assert both[0] == both[1]


def test_statistics_and_report_work_on_it(place):
    store = place / "heatdrift.duckdb"
    found = json.loads(call("stats", "interaction", "--metric", "weight_drift", "--store", store, "--format", "json"))
    assert found["n_runs"] == 24
    assert {t["term"] for t in found["tests"]} >= {"lr", "method", "dataset", "lr:method"}
    assert len(found["contrasts"]) == 4
    pair = json.loads(call("stats", "correlation", "--store", store, "--format", "json"))
    assert set(pair["by_group"]) == {f"{d}/{m}" for d in ("hues", "stripes") for m in ("full_ft", "lora_r8")}
    call("report", "--html", "--store", store, "--out", place)
    page = (place / "tiny.html").read_text(encoding="utf-8")
    assert "Two tiny data sets" in page
    assert not re.search(r'(src|href)="https?://[^"]*\.(js|css)"', page)


def test_a_lost_database_is_built_again(place):
    store = place / "heatdrift.duckdb"
    before = call("sql", "select * from cells order by all", "--store", store, "--format", "csv")
    store.unlink()
    assert call("sql", "select * from cells order by all", "--store", store, "--format", "csv") == before


MEASURED = (
    "select * exclude (wall_s, started_at, finished_at, record_sha256, attempt, resumed_after) from runs order by all"
)


def test_kill_9_in_a_random_epoch_and_the_same_command_gives_the_same_numbers(tiny_inputs, tmp_path):
    """Every process is killed at once, so nothing is tidied up; the epoch is as random as the moment."""
    study = tmp_path / "study.toml"
    study.write_text((tiny_inputs / "study.toml").read_text().replace("epochs = 2", "epochs = 60"))
    common = ["train", "--dataset", "stripes", "--lr", "1e-2", "--seed", "1", "--jobs", "2", "--data-dir", tiny_inputs]
    stores = {name: tmp_path / name / "heatdrift.duckdb" for name in ("whole", "killed")}
    call(*common, "--study", study, "--store", stores["whole"])
    command = [str(part) for part in (*common, "--study", study, "--store", stores["killed"])]
    with subprocess.Popen([sys.executable, "-m", "heatdrift", *command], start_new_session=True) as process:
        while not list((tmp_path / "killed").rglob("checkpoint.pt")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1))
        os.killpg(process.pid, signal.SIGKILL)
    assert list((tmp_path / "killed").rglob("checkpoint.pt"))
    call(*command)
    found = [json.loads(call("sql", MEASURED, "--store", s, "--format", "json")) for s in stores.values()]
    assert len(found[0]) == 2
    assert found[0] == found[1]
    resumed = "select max(resumed_after) as epochs from runs"
    assert json.loads(call("sql", resumed, "--store", stores["killed"], "--format", "json"))[0]["epochs"]
    assert not list((tmp_path / "killed").rglob("checkpoint.pt"))


def test_ctrl_c_in_the_terminal_exits_130_and_the_same_command_goes_on(tiny_inputs, tmp_path):
    store = tmp_path / "heatdrift.duckdb"
    command = ["train", "--all", "--study", str(tiny_inputs / "study.toml"), "--store", str(store), "--jobs", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "heatdrift", *command], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while "1/24" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "what is finished is kept" in said
    assert "Traceback" not in said
    done = json.loads(
        call("sql", "select count(*) n from runs where status = 'done'", "--store", store, "--format", "json")
    )
    assert 1 <= done[0]["n"] < 24
    call(*command)
    all_done = call("sql", "select count(*) n from runs where status = 'done'", "--store", store, "--format", "csv")
    assert all_done.split() == ["n", "24"]
