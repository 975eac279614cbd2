"""Exit codes of train, which schedulers act on: 0 finished, 2 the user's, 3 failed or diverged, 75 repeat it."""

import gzip
import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app, main
from heatdrift.store import ingest
from heatdrift.store.sql import run_sql
from heatdrift.train import inputs, interrupt

ARCHIVES = Path(__file__).parents[2] / "archives"
ONE_CELL = ["--dataset", "hues", "--method", "full_ft", "--seed", "1", "--lr", "1e-2", "--jobs", "1"]


@pytest.fixture
def place(tmp_path, tiny_inputs, monkeypatch):
    """A folder with the tiny study of one epoch, in which commands run."""
    for path in tiny_inputs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    study = tmp_path / "study.toml"
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 1"))
    monkeypatch.chdir(tmp_path)
    for name in ("HEATDRIFT_STUDY", "HEATDRIFT_STORE", "HEATDRIFT_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def train(*arguments):
    return CliRunner().invoke(app, ["train", "--study", "study.toml", *arguments])


def no_leftovers(place):
    return not [path for path in place.rglob("*") if path.name == "running.json" or path.name.endswith(".tmp")]


def test_finished_is_0_and_so_is_nothing_to_do(place):
    assert train(*ONE_CELL).exit_code == 0
    again = train(*ONE_CELL)
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "study.toml"], "no cells chosen"),
        (["--study", "studdy.toml", "--all"], "studdy.toml"),
        (["--study", "study.toml", "--all", "--max-time", "3 hours"], "--max-time '3 hours' is no time"),
        (["--study", "study.toml", "--all", "--stop-on", "USR3"], "unknown signal 'USR3' in --stop-on"),
        (["--study", "study.toml", "--all", "--dataset", "huess"], "huess"),
        (["--study", "study.toml", "--all", "--shard", "3/2"], "3/2"),
        (["--study", "study.toml", "--all", "--data-dir", "nowhere"], "nowhere"),
        (["--study", "study.toml", "--all", "--jobs", "0"], "--jobs"),
        (["--study", "study.toml", "--all", "--device", "cuda:99"], "cuda:99"),
    ],
)
def test_what_the_user_can_correct_is_2(place, monkeypatch, capsys, arguments, said):
    monkeypatch.setattr("sys.argv", ["heatdrift", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_diverged_is_3(place):
    (place / "study.toml").write_text((place / "study.toml").read_text().replace("1e-2", "1e9"))
    arguments = [*ONE_CELL[:-3], "1e9", "--jobs", "1"]
    assert train(*arguments).exit_code == 3


def test_failed_is_3_and_the_next_call_takes_it_again(place):
    killed = []

    def kill_a_worker():
        limit = time.monotonic() + 120
        while not killed and time.monotonic() < limit:
            for path in place.rglob("running.json"):
                try:
                    killed.append(msgspec.json.decode(path.read_bytes())["pid"])
                except (OSError, msgspec.DecodeError):
                    continue
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.002)

    watcher = threading.Thread(target=kill_a_worker)
    watcher.start()
    assert train(*ONE_CELL).exit_code == 3
    watcher.join()
    assert killed
    assert train(*ONE_CELL).exit_code == 0


def test_the_time_limit_is_75_and_the_next_call_goes_on(place):
    stopped = train("--all", "--jobs", "1", "--max-time", "1s")
    assert stopped.exit_code == 75, stopped.output
    assert "--max-time 1s: stopped; what is finished is kept." in stopped.stderr
    assert "heatdrift train --all --study study.toml --jobs 1 --max-time 1s" in stopped.stderr
    assert no_leftovers(place)
    assert train(*ONE_CELL).exit_code == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_signal_while_it_plans_is_75(place, monkeypatch, name):
    real = inputs.check_inputs

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.Signals[name])
        return real(*arguments, **options)

    monkeypatch.setattr(inputs, "check_inputs", interrupted)
    stopped = train(*ONE_CELL)
    assert stopped.exit_code == 75
    assert f"{name}: stopped" in stopped.stderr
    assert not (place / "runs").exists()


def test_signals_can_be_chosen(place, monkeypatch):
    before = signal.getsignal(signal.SIGUSR1)
    monkeypatch.setattr(inputs, "check_inputs", lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP))
    stopped = train(*ONE_CELL, "--stop-on", "SIGHUP")
    assert stopped.exit_code == 75
    assert "--stop-on SIGHUP" in stopped.stderr
    assert signal.getsignal(signal.SIGUSR1) == before


@pytest.fixture
def trained_and_old(place):
    """A trained cell next to a database of an old schema, which the next ingest migrates."""
    assert train(*ONE_CELL).exit_code == 0
    store = place / "runs" / "heatdrift.duckdb"
    store.write_bytes(gzip.decompress((ARCHIVES / "schema0005.duckdb.gz").read_bytes()))
    return store


def signals_while_migrating(monkeypatch, n):
    real = ingest.migrate
    left = [signal.SIGTERM] * n

    def interrupted(connection):
        if left:
            os.kill(os.getpid(), left.pop())
        if left:
            os.kill(os.getpid(), left.pop())
        return real(connection)

    monkeypatch.setattr(ingest, "migrate", interrupted)


def test_a_signal_while_it_migrates_and_ingests_lets_it_finish(trained_and_old, place, monkeypatch):
    signals_while_migrating(monkeypatch, 1)
    assert train(*ONE_CELL).exit_code == 0  # no cell was left
    assert len(run_sql(trained_and_old, "select * from runs where dataset = 'hues'")) == 1
    assert no_leftovers(place)


def test_a_second_signal_while_it_migrates_ends_it_at_once_and_leaves_the_database(trained_and_old, place, monkeypatch):
    before = trained_and_old.read_bytes()
    monkeypatch.setattr(interrupt, "SAME_S", 0.0)  # as if it came more than a second later
    with monkeypatch.context() as while_it_runs:
        signals_while_migrating(while_it_runs, 2)
        assert train(*ONE_CELL).exit_code == 75
    assert trained_and_old.read_bytes() == before
    assert no_leftovers(place)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert train(*ONE_CELL).exit_code == 0
    assert len(run_sql(trained_and_old, "select * from runs where dataset = 'hues'")) == 1
