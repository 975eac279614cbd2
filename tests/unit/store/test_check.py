"""store check finds what is wrong, says what to do, and --repair repairs it; killed runs are recorded."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import duckdb
import msgspec
import pytest
from stubs import find_records

from heatdrift.errors import StoreError
from heatdrift.store.check import check_store
from heatdrift.store.checksum import sealed, split_checksum
from heatdrift.store.claims import claim, read_claim
from heatdrift.store.expire import KILLED, expire_claims
from heatdrift.store.folder import cell_folder, current_record, read_arrays, read_record, write_arrays, write_record
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.repair import repair_store
from heatdrift.store.sql import run_sql


@pytest.fixture
def store(tmp_path, make_record, make_hits):
    """Three runs with arrays, ingested."""
    for seed in (7, 11, 19):
        record = make_record(seed=seed)
        path = write_record(record, tmp_path).path
        write_arrays(path.parent, "hits", make_hits(record))
    ingest(tmp_path / "heatdrift.duckdb")
    return tmp_path / "heatdrift.duckdb"


def kinds(store):
    return sorted(f.kind for f in check_store(store).findings)


def first(store):
    return find_records(store.parent)[0]


def change(store, statement):
    with duckdb.connect(store) as connection:
        connection.execute(statement)


def test_a_sound_store_has_nothing_to_repair(store):
    report = check_store(store)
    assert (report.records, report.attempts, report.runs, report.findings) == (3, 3, 3, ())


def damage_record(store):
    first(store).write_bytes(first(store).read_bytes()[:99])


def edit_record(store):
    path = first(store)
    path.write_text(re.sub(r'"test_acc_pct":[0-9.]+', '"test_acc_pct":99.0', path.read_text()))


def change_record(store):
    """Edit a record and give it the checksum that fits."""
    edit_record(store)
    path = first(store)
    path.write_bytes(sealed(split_checksum(path.read_bytes())[0]))


def damage_hits(store):
    path = first(store).with_name("hits.npz")
    path.write_bytes(path.read_bytes()[:40])


def shorten_hits(store):
    arrays = read_arrays(first(store).parent, "hits")
    write_arrays(first(store).parent, "hits", arrays | {"letters/adapted": arrays["letters/adapted"][:-1]})


def swap_hits(store):
    """Results of another run in the place of its own."""
    arrays = read_arrays(first(store).parent, "hits")
    write_arrays(first(store).parent, "hits", arrays | {"letters/adapted": ~arrays["letters/adapted"]})


def damage_attempt(store):
    (first(store).parent / "attempts" / "1.json").write_text("{}")


def lose_record(store):
    shutil.rmtree(first(store).parent)


def copy_folder(store):
    shutil.copytree(first(store).parent, store.parent / "tiny" / "copy")


def damage_claim(store):
    first(store).with_name("running.json").write_text("?")


def lose_layers(store):
    change(store, "DELETE FROM raw.layer WHERE layer = 1 AND run_id = (SELECT min(run_id) FROM raw.run)")


def lose_run(store):
    change(store, "DELETE FROM raw.run WHERE run_id = 1")


def double_epochs(store):
    change(store, "INSERT INTO raw.epoch FROM raw.epoch WHERE run_id = 1")


def lose_database(store):
    store.unlink()


@pytest.mark.parametrize(
    ("harm", "found", "repaired"),
    [
        (damage_record, ["damaged"], True),
        (edit_record, ["damaged"], True),
        (change_record, ["changed", "not loaded"], False),
        (damage_hits, ["damaged"], False),
        (shorten_hits, ["damaged"], False),
        (swap_hits, ["damaged"], False),
        (damage_attempt, ["damaged"], False),
        (lose_record, ["orphan"], False),
        (copy_folder, ["misplaced"], False),
        (damage_claim, ["damaged"], True),
        (lose_layers, ["rows"], False),
        (lose_run, ["not loaded", *["orphan"] * 5, *["view"] * 5], False),
        (double_epochs, ["rows", "view", "view"], False),
        (lose_database, ["not loaded"], True),
    ],
)
def test_harm_is_found_and_the_next_command_named(store, harm, found, repaired):
    harm(store)
    report = check_store(store)
    assert kinds(store) == sorted(found)
    assert report.wrong
    assert all(f.todo and f.where and f.what for f in report.findings)
    if repaired:
        assert repair_store(store)
        assert kinds(store) == []


def test_a_rebuild_puts_rows_right(store):
    for harm in (lose_layers, lose_run):
        harm(store)
        rebuild(store)
        assert kinds(store) == []


def test_a_probe_without_its_layers_is_found(store, make_record):
    record = make_record(seed=23)
    last = msgspec.structs.replace(record.epochs[-1], layers={})
    write_record(msgspec.structs.replace(record, epochs=(*record.epochs[:-1], last)), store.parent)
    ingest(store)
    assert set(kinds(store)) == {"missing layers"}


def test_nothing_at_all_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        check_store(tmp_path / "heatdrift.duckdb")


HOLD = """
import pathlib, sys, msgspec
from heatdrift.records import RunRecord
from heatdrift.store.claims import claim
record = msgspec.json.decode(pathlib.Path(sys.argv[2]).read_bytes(), type=RunRecord)
claim(pathlib.Path(sys.argv[1]), record.cell, attempts=int(sys.argv[3]))
print("held", flush=True)
sys.stdin.read()
"""


def killed(store, record, attempts=0):
    """Let another process claim the cell of `record`, and kill it."""
    folder = cell_folder(store.parent, record.study, record.cell_id)
    path = store.parent / "claimed.txt"
    path.write_bytes(msgspec.json.encode(record))
    command = [sys.executable, "-c", HOLD, str(folder), str(path), str(attempts)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert expire_claims(store.parent) == ()  # it lives
    process.kill()
    process.communicate()
    return folder


def test_a_killed_run_shows_as_failed_and_is_taken_again(store, make_record):
    folder = killed(store, make_record(seed=31))
    (left := folder / ".record.json.0123.tmp").write_text("half")
    (fresh := folder / ".record.json.4567.tmp").write_text("half")
    os.utime(left, (time.time() - 3600,) * 2)
    assert [f.kind for f in check_store(store).findings] == ["interrupted", "leftover", "leftover"]
    assert not check_store(store).wrong
    assert ingest(store).added == 1
    assert run_sql(store, "SELECT status, error FROM runs WHERE seed = 31").rows() == [("failed", KILLED)]
    assert read_claim(folder) is None
    assert (left.exists(), fresh.exists()) == (False, True)
    assert ingest(store).added == 0
    with claim(folder) as held:
        assert held.held


def test_a_run_killed_after_its_record_was_written_is_no_failure(store, make_record):
    record = make_record(seed=31)
    folder = killed(store, record)
    write_record(record, store.parent).path.unlink()  # between the two files of an attempt
    assert expire_claims(store.parent) == ()
    assert read_record(folder / "record.json") == record
    assert read_claim(folder) is None
    assert run_sql(store.with_name("b.duckdb"), "SELECT status FROM attempts WHERE seed = 31").rows() == [("done",)]


def test_a_killed_repetition_leaves_the_finished_run(store, make_record):
    record = make_record(seed=7)
    folder = killed(store, record, attempts=1)
    ingest(store)
    assert current_record(folder).status == "done"
    rows = run_sql(store, "SELECT attempt, status, current FROM attempts WHERE seed = 7 ORDER BY 1").rows()
    assert rows == [(1, "done", True), (2, "failed", False)]


def test_a_lost_or_damaged_record_is_read_from_its_attempts(store):
    path = first(store)
    whole = read_record(path)
    for harm in (lambda: path.write_text("{"), path.unlink):
        harm()
        assert current_record(path.parent) == whole


def test_status_tells_done_running_failed_and_missing(store, make_record, tmp_path):
    from heatdrift.train.status import all_studies

    planned = [make_record(seed=s).cell for s in (7, 11, 19, 23, 29, 31, 37)]
    write_record(make_record(seed=23, status="diverged", error="loss", selected_epoch=None), tmp_path)
    failed = {"status": "failed", "error": "out of memory", "selected_epoch": None, "epochs": ()}
    write_record(make_record(seed=29, **failed), tmp_path)
    with claim(cell_folder(tmp_path, "tiny", planned[5].cell_id), planned[5]):
        (found,) = all_studies(tmp_path, {"tiny": planned})
    counts = found.counts()
    assert {k: counts[k] for k in ("planned", "done", "running", "failed", "diverged", "missing")} == {
        "planned": 7, "done": 3, "running": 1, "failed": 1, "diverged": 1, "missing": 1,
    }  # fmt: skip
    assert found.time_left_s == pytest.approx(60 + 60 + 30)
    rows = {row["seed"]: row for row in found.rows()}
    assert rows[29]["note"] == "out of memory"
    assert rows[31]["heartbeat_age_s"] < 5
    assert all_studies(tmp_path, {})[0].planned == 5  # without a plan: what has a run
    with pytest.raises(StoreError, match="no runs"):
        all_studies(tmp_path / "empty", {})
    assert json.loads(msgspec.json.encode(found))["missing"] == 1
