"""status --watch, report --watch and ui: what they look at, when they say it, and how they end. No test waits."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from typer.testing import CliRunner

from heatdrift.cli import report_watch, watching
from heatdrift.cli import status as status_module
from heatdrift.cli.main import app
from heatdrift.cli.ui import commands
from heatdrift.errors import StatsError, StoreError
from heatdrift.store.claims import claim
from heatdrift.store.ingest import ingest

MINI = Path(__file__).resolve().parents[3] / "runs" / "mini"


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def folders():
    return sorted(path.parent for path in MINI.glob("*/record.json"))


@pytest.fixture
def store(tmp_path, folders):
    """A store of the first three runs of the study that comes with the clone, with its plan of all of them."""
    path = tmp_path / "runs" / "heatdrift.duckdb"
    for folder in folders[:3]:
        shutil.copytree(folder, path.parent / "mini" / folder.name)
    shutil.copy(MINI / "plan.json", path.parent / "mini")
    ingest(path)
    return path


class Clock:
    """Stands in for the wait: notes how long, and does the next thing of a list in its place; then it is Ctrl-C."""

    def __init__(self, monkeypatch, *things):
        self.waits, self.things = [], list(things)
        monkeypatch.setattr(watching.time, "sleep", self)

    def __call__(self, seconds):
        self.waits.append(seconds)
        if not self.things:
            raise KeyboardInterrupt
        self.things.pop(0)()


def ends(folder, store):
    return lambda: shutil.copytree(folder, store.parent / "mini" / folder.name)


def done_of(lines):
    return [json.loads(text)[0]["done"] for text in lines]


def test_status_is_printed_when_a_count_has_changed_and_ctrl_c_ends_it_well(store, folders, monkeypatch):
    clock = Clock(monkeypatch, lambda: None, ends(folders[3], store), lambda: None)
    result = call("status", "--watch", "--every", "3", "--store", store, "--format", "json")
    assert result.exit_code == 0, result.output
    assert clock.waits == [3, 3, 3, 3]
    shown = [json.loads(f"[{text}") for text in result.stdout.split("\n[")[1:]]
    assert [rows[0]["done"] for rows in (json.loads(result.stdout.split("\n[")[0]), *shown)] == [3, 4]
    assert result.stderr.count("looking every 3 s") == 2


def test_status_ends_by_itself_when_nothing_runs_and_nothing_is_missing(store, folders, monkeypatch):
    (store.parent / "mini" / "plan.json").unlink()  # then what has run is what was planned
    running = store.parent / "mini" / folders[3].name
    held = claim(running, None)

    def finish():
        held.release()
        shutil.copytree(folders[3], running, dirs_exist_ok=True)

    shutil.copy(folders[3] / "record.json", running / "record.json")
    clock = Clock(monkeypatch, finish)
    result = call("status", "--watch", "--store", store, "--format", "json")
    assert result.exit_code == 0
    assert clock.waits == [5]
    assert '"running": 1' in result.stdout
    assert result.stdout.rstrip().endswith("]")


def test_in_a_terminal_one_table_is_drawn_over_the_last(store, monkeypatch):
    cleared = []
    terminal = Console(width=160, force_terminal=True)
    monkeypatch.setattr(terminal, "clear", lambda: cleared.append("cleared"))
    monkeypatch.setattr(status_module, "out", terminal)
    Clock(monkeypatch, lambda: None)
    result = call("status", "--watch", "--store", store)
    assert result.exit_code == 0
    assert cleared == ["cleared", "cleared"]
    assert result.stderr.count("Ctrl-C ends it") == 2


@pytest.mark.parametrize("command", ["status", "report"])
def test_no_watch_is_a_busy_loop(command, store):
    for every in ("0", "-1", "0.1"):
        assert call(command, "--watch", "--every", every, "--store", store).exit_code == 2


def test_the_page_is_made_again_when_a_run_has_ended_and_only_then(store, folders, monkeypatch, tmp_path):
    out = tmp_path / "page.md"
    pages = []

    def look():
        pages.append(out.read_text(encoding="utf-8"))

    def fourth():
        look()
        ends(folders[3], store)()

    def fourth_runs():
        look()
        (store.parent / "mini" / folders[4].name).mkdir()
        held.append(claim(store.parent / "mini" / folders[4].name, None))

    held: list = []
    clock = Clock(monkeypatch, look, fourth, fourth_runs, look)
    result = call("report", "--format", "md", "--out", out, "--watch", "--every", "7", "--store", store)
    held[0].release()
    assert result.exit_code == 0, result.output
    assert clock.waits == [7] * 5
    assert pages[0] == pages[1] != pages[2] == pages[3]
    assert result.stdout.count(str(out.name)) == 2  # written twice, though it was looked at five times
    assert "made from 3 records" in result.stderr
    assert "made from 4 records" in result.stderr


def test_a_page_waits_for_the_first_run(tmp_path, folders, monkeypatch):
    store, made = tmp_path / "runs" / "heatdrift.duckdb", []
    (store.parent / "mini").mkdir(parents=True)
    work = report_watch.Workspace.of(store)

    def make():
        made.append(ingest(store).unchanged)
        return "mini"

    Clock(monkeypatch, lambda: None, ends(folders[0], store))
    report_watch.watched(make, work, None, every_s=9)
    assert made == [1]  # without a plan the study is over then: nothing is waited for after it


def test_only_the_first_page_that_cannot_be_made_is_an_error(store, folders, monkeypatch, capsys):
    work = report_watch.Workspace.of(store)
    refuse: list = []

    def make():
        if refuse:
            raise StatsError("no model can be fitted")
        return "mini"

    Clock(monkeypatch, lambda: refuse.append(True), ends(folders[3], store))
    report_watch.watched(make, work, "mini", every_s=9)
    assert "the page stays as it was: no model can be fitted" in capsys.readouterr().err
    with pytest.raises(StatsError):
        report_watch.watched(make, work, "mini", every_s=9)


def test_a_snapshot_can_be_held_open_and_written_to_while_runs_go_on(store, folders, tmp_path):
    path = tmp_path / "out" / "snapshot.duckdb"
    said = json.loads(call("ui", "--path", path, "--store", store, "--format", "json").stdout)
    assert (said["n_runs"], said["n_studies"], said["n_bytes"]) == (3, 1, path.stat().st_size)
    assert path.stat().st_ino != store.stat().st_ino
    with duckdb.connect(path) as client:  # for writing, as DuckDB's own UI does
        client.execute("CREATE TABLE mine AS SELECT 1 AS n")
        ends(folders[3], store)()
        assert ingest(store).added == 1
        assert client.execute("SELECT count(*) FROM runs").fetchone() == (3,)
        again = call("ui", "--path", path, "--store", store)
        assert again.exit_code == 0, again.output
        assert "4 runs of 1 study" in again.stdout
        assert client.execute("SELECT count(*) FROM runs").fetchone() == (3,)
    assert call("store", "check", "--store", store).exit_code == 0


def test_the_commands_open_it(tmp_path, store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = Path("it's here.duckdb")
    folder = tmp_path / "reports"
    assert call("ui", "--path", folder / name, "--store", store).exit_code == 0
    monkeypatch.chdir(folder)
    with duckdb.connect() as client:
        attach = commands(name)["DuckDB's UI"].split("-cmd ")[1].removesuffix(" -ui")
        import shlex

        for statement in shlex.split(attach)[0].split("; "):
            client.execute(statement)
        assert client.execute("SELECT count(*) FROM runs").fetchone() == (3,)


def test_a_snapshot_goes_over_no_other_file_and_not_into_the_folder_of_the_store(store, tmp_path):
    other = tmp_path / "thesis.duckdb"
    other.write_text("not a database")
    for path, words in ((other, "no store"), (store, "next to"), (store.with_name("s.duckdb"), "next to")):
        result = call("ui", "--path", path, "--store", store)
        assert isinstance(result.exception, StoreError), result.output
        assert words in result.exception.message
    assert other.read_text() == "not a database"
    nowhere = call("ui", "--path", tmp_path / "x.duckdb", "--store", tmp_path / "no" / "heatdrift.duckdb")
    assert isinstance(nowhere.exception, StoreError)
