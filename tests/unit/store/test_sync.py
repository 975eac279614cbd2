"""sync: stores and a remote (a folder, fsspec's memory) brought to the same records, by many at once, killed or not."""

import json
import random
import sys
import threading
from importlib import import_module

import fsspec
import pytest
import sync_machines as machines_of
from sync_machines import Interrupted, held, interrupting, put, store_of, union

from heatdrift.errors import StoreError
from heatdrift.store import ingest as ingest_module
from heatdrift.store.claims import claim
from heatdrift.store.folder import read_arrays, read_record
from heatdrift.store.ingest import ingest
from heatdrift.store.remote import Remote, open_remote
from heatdrift.store.sql import run_sql
from heatdrift.store.sync import sync
from heatdrift.store.sync_layout import remote_bytes


@pytest.fixture
def bucket():
    """The URL of an empty remote in memory: for what is the same wherever the objects lie."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield "memory://bucket/runs"
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture(params=["folder", "memory"])
def remote(request, bucket, tmp_path):
    """The URL of an empty remote, on disk and in memory."""
    return bucket if request.param == "memory" else str(tmp_path / "remote")


@pytest.fixture
def two(tmp_path):
    return tmp_path / "a", tmp_path / "b"


def objects(remote, tmp_path):
    return open_remote(remote, tmp_path / "nowhere").names()


def change(remote, tmp_path, name, data):
    Remote.write(open_remote(remote, tmp_path / "nowhere"), name, data)


def test_runs_of_one_store_come_into_another_with_their_arrays(remote, two, make_record, make_hits):
    a, b = two
    records = [make_record(seed=seed) for seed in (1, 2, 3)]
    for record in records:
        put(a, record, make_hits(record))
    put(b, make_record(seed=4))
    sent = sync(store_of(a), remote)
    assert (sent.pushed, sent.pulled, sent.arrays_pushed, sent.there) == (3, 0, 3, 0)
    taken = sync(store_of(b), remote)
    assert (taken.pushed, taken.pulled, taken.arrays_pulled, taken.added) == (1, 3, 3, 4)
    assert not (*sent.problems, *taken.problems)
    again = sync(store_of(a), remote)
    assert (again.pushed, again.pulled, again.there, again.added) == (0, 1, 3, 1)
    assert held(a) == held(b)
    assert run_sql(store_of(a), "SELECT count(*) n FROM runs").item() == 4
    nothing = sync(store_of(b), remote)
    assert (nothing.pushed, nothing.pulled, nothing.arrays_pulled, nothing.there, nothing.added) == (0, 0, 0, 4, 0)


def test_a_failed_run_is_not_sent_and_gives_way_to_a_finished_one(bucket, two, make_record):
    a, b = two
    put(a, make_record(seed=1, status="failed", error="out of memory"))
    assert sync(store_of(a), bucket).pushed == 0
    put(b, make_record(seed=1))
    sync(store_of(b), bucket)
    assert sync(store_of(a), bucket).pulled == 1
    (cell,) = held(a)
    assert read_record(a / cell[0] / cell[1] / "record.json").status == "done"
    assert len(list((a / cell[0] / cell[1] / "attempts").iterdir())) == 2


def test_different_results_of_one_cell_are_both_kept_and_named_and_all_agree_which_counts(
    remote, two, make_record, make_hits
):
    a, b = two
    late = make_record(test_acc_pct=71.0, finished_at="2026-01-02T05:00:00+00:00")
    early = make_record(test_acc_pct=72.0, finished_at="2026-01-02T04:00:00+00:00")
    put(a, late, make_hits(late))
    cell = put(b, early)  # no arrays: none may stay or come that are not its own
    sync(store_of(a), remote)
    report = sync(store_of(b), remote)
    assert report.differing == (f"{early.study}/{early.cell_id}",)
    assert sync(store_of(a), remote).differing == report.differing
    assert held(a) == held(b)
    assert read_record(cell / "record.json").test_acc_pct == 71.0
    assert read_arrays(cell, "hits")
    assert run_sql(store_of(b), "SELECT test_acc_pct FROM runs").item() == 71.0
    assert run_sql(store_of(b), "SELECT count(*) n FROM attempts").item() == 2


def test_the_arrays_of_a_record_that_gives_way_go_with_it(bucket, two, make_record, make_hits):
    a, b = two
    late = make_record(test_acc_pct=71.0, finished_at="2026-01-02T05:00:00+00:00")
    early = make_record(test_acc_pct=72.0, finished_at="2026-01-02T04:00:00+00:00")
    put(a, late)
    cell = put(b, early, make_hits(early))
    sync(store_of(a), bucket)
    sync(store_of(b), bucket)
    assert read_record(cell / "record.json").test_acc_pct == 71.0
    assert not (cell / "hits.npz").exists()
    assert any(".hits-" in name for name in objects(bucket, b.parent))


def test_pull_alone_never_displaces_what_was_not_sent(bucket, two, make_record):
    a, b = two
    put(a, make_record(test_acc_pct=71.0, finished_at="2026-01-02T05:00:00+00:00"))
    cell = put(b, make_record(test_acc_pct=72.0, finished_at="2026-01-02T04:00:00+00:00"))
    sync(store_of(a), bucket, pull=False)
    assert sync(store_of(b), bucket, push=False).pulled == 1
    assert read_record(cell / "record.json").test_acc_pct == 72.0
    sync(store_of(b), bucket)
    assert read_record(cell / "record.json").test_acc_pct == 71.0


def test_a_dry_run_says_it_and_writes_nothing(bucket, two, make_record, make_hits):
    a, b = two
    record = make_record(seed=1)
    put(a, record, make_hits(record))
    report = sync(store_of(a), bucket, dry_run=True)
    assert (report.pushed, report.arrays_pushed, report.written) == (1, 1, False)
    assert objects(bucket, a.parent) == {}
    sync(store_of(a), bucket)
    report = sync(store_of(b), bucket, dry_run=True)
    assert (report.pulled, report.arrays_pulled) == (1, 1)
    assert not b.exists()


@pytest.mark.parametrize("damage", ["half", "byte", "unsealed"])
def test_a_damaged_object_is_named_and_left_out_and_sent_again_where_its_size_shows_it(
    remote, two, make_record, make_hits, tmp_path, damage
):
    a, b = two
    record = make_record(seed=1)
    put(a, record, make_hits(record))
    put(a, make_record(seed=2))
    sync(store_of(a), remote)
    sha256, data = remote_bytes(record)
    name = f"{record.study}/{record.cell_id}/{sha256}.json"
    bad = {
        "half": data[: len(data) // 2],
        "byte": data.replace(b'"n_test":100', b'"n_test":101'),
        "unsealed": data.rpartition(b',"content_sha256"')[0] + b"}",
    }[damage]
    assert bad != data
    change(remote, tmp_path, name, bad)
    report = sync(store_of(b), remote)
    assert report.pulled == 1
    assert [problem.where for problem in report.problems] == [name]
    assert "half-uploaded or changed" in report.problems[0].reason or "changed after" in report.problems[0].reason
    assert sync(store_of(a), remote).pushed == (damage != "byte")  # of the same size: known to who reads it
    assert sync(store_of(b), remote).pulled == (damage != "byte")


def test_damaged_arrays_are_named_and_come_when_they_are_whole(bucket, two, make_record, make_hits, tmp_path):
    a, b = two
    record = make_record(seed=1)
    put(a, record, make_hits(record))
    sync(store_of(a), bucket)
    (name,) = (name for name in objects(bucket, tmp_path) if name.endswith(".npz"))
    change(bucket, tmp_path, name, b"half")
    report = sync(store_of(b), bucket)
    assert (report.pulled, report.arrays_pulled, [p.where for p in report.problems]) == (1, 0, [name])
    assert sync(store_of(a), bucket).arrays_pushed == 1
    assert sync(store_of(b), bucket).arrays_pulled == 1
    assert held(a) == held(b)


def test_arrays_that_contradict_their_record_are_not_sent(bucket, two, make_record, make_hits):
    a, _ = two
    record = make_record(seed=1)
    other = make_hits(make_record(seed=1, transfer=(record.transfer[0].__class__(
        transfer_set="letters", n_images=100, base_pct=10.0, adapted_pct=90.0),)))  # fmt: skip
    put(a, record, other)
    report = sync(store_of(a), bucket)
    assert (report.pushed, report.arrays_pushed) == (1, 0)
    assert "per-image results of letters" in report.problems[0].reason


def test_names_that_are_not_ours_and_names_that_would_leave_the_folder_are_passed_over(
    bucket, two, make_record, tmp_path
):
    _, b = two
    sha256, data = remote_bytes(make_record(seed=1))
    for name in ("notes.txt", f"tiny/.hidden/{sha256}.json", f"tiny/c1/{'0' * 63}.json", f"a b/c1/{sha256}.json"):
        change(bucket, tmp_path, name, data)
    change(bucket, tmp_path, f"other/c1-other/{sha256}.json", data)  # a whole record under another cell's name
    report = sync(store_of(b), bucket)
    assert report.pulled == 0
    assert [problem.where for problem in report.problems] == [f"other/c1-other/{sha256}.json"]


def test_a_damaged_record_here_is_replaced_by_that_of_the_remote(bucket, two, make_record):
    a, _ = two
    cell = put(a, make_record(seed=1))
    sync(store_of(a), bucket)
    for path in (cell / "record.json", cell / "attempts" / "1.json"):
        path.write_text("{")
    report = sync(store_of(a), bucket)
    assert report.pulled == 1
    assert read_record(cell / "record.json").test_acc_pct == 71.0


def test_a_cell_that_runs_here_is_left_for_the_next_sync(bucket, two, make_record):
    a, b = two
    record = make_record(seed=1)
    put(b, record)
    sync(store_of(b), bucket)
    with claim(a / record.study / record.cell_id):
        report = sync(store_of(a), bucket)
        assert (report.pulled, report.running) == (0, 1)
    assert sync(store_of(a), bucket).pulled == 1
    with claim(a / record.study / record.cell_id):
        (name,) = objects(bucket, a.parent)
        change(bucket, a.parent, name, b"{}")
        assert sync(store_of(a), bucket).running == 1
    assert sync(store_of(a), bucket).pushed == 1


def test_plans_parts_and_points_come_along(remote, two, make_record, tmp_path):
    from heatdrift.store.export import export_store
    from heatdrift.store.importers.records import import_heatdrift
    from heatdrift.store.reference_points import PointsFile, ReferencePoint, write_points

    a, b = two
    source = tmp_path / "source"
    put(source, make_record(seed=1))
    ingest(store_of(source))
    export_store(store_of(source), tmp_path / "exported")
    import_heatdrift(tmp_path / "exported", a)
    point = ReferencePoint(backbone="A/b", dataset="pets", metric="zero_shot_pct", value_pct=50.0, source="t.csv:1")
    write_points(PointsFile(study="tiny", points=(point,)), a)
    (a / "tiny").mkdir(exist_ok=True)
    (a / "tiny" / "plan.json").write_text('{"study":{"name":"tiny"},"cells":[],"file":"../x.toml","data_dir":null}')
    assert sync(store_of(a), remote).files_pushed == 3
    report = sync(store_of(b), remote)
    assert (report.files_pulled, report.problems) == (3, ())
    assert run_sql(store_of(b), "SELECT count(*) n FROM runs").item() == 1
    assert run_sql(store_of(b), "SELECT count(*) n FROM reference_points").item() == 1
    assert json.loads((b / "tiny" / "plan.json").read_text()) == {"study": {"name": "tiny"}, "cells": []}
    assert sync(store_of(b), remote).files_pushed == 0
    whole = next(name for name in objects(remote, tmp_path) if name.endswith(".parquet"))
    change(remote, tmp_path, whole, b"half")
    report = sync(store_of(tmp_path / "c"), remote)
    assert (report.files_pulled, [p.where for p in report.problems]) == (2, [whole])
    assert not list((tmp_path / "c").rglob("*.tmp"))


def test_ten_at_once_interrupted_at_random_end_with_the_union(remote, tmp_path, make_record, make_hits, monkeypatch):
    places = machines_of.make_machines(tmp_path / "machines", 10, make_record, make_hits)
    expected = union(places)
    assert len(expected) == 22
    rng = random.Random(5)
    lock = threading.Lock()
    interruptions = []
    with monkeypatch.context() as patch:
        patch.setattr("heatdrift.store.sync.ingest", lambda store: ingest_module.IngestReport())
        for name in ("names", "read", "write"):
            patch.setattr(Remote, name, interrupting(getattr(Remote, name), rng, 0.02))
        patch.setattr("heatdrift.store.sync_pull.write_record", interrupting(
            machines_of.write_record, rng, 0.05))  # fmt: skip
        faults = []

        def work(place):
            for _ in range(4):
                try:
                    sync(store_of(place), remote)
                except Interrupted:
                    with lock:
                        interruptions.append(place)
                except BaseException as fault:  # noqa: BLE001 - shown below: a thread would lose it
                    faults.append(fault)

        threads = [threading.Thread(target=work, args=(place,)) for place in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert len(interruptions) >= 5
        patch.undo()
        patch.setattr("heatdrift.store.sync.ingest", lambda store: ingest_module.IngestReport())
        for place in (*places, *places):  # once more each, and what the last one sent
            sync(store_of(place), remote)
    assert [held(place) == expected for place in places] == [True] * 10
    report = sync(store_of(places[3]), remote)
    assert (report.pushed, report.pulled, report.added, report.problems) == (0, 0, 22, ())
    assert len(report.differing) == 1
    assert run_sql(store_of(places[3]), "SELECT count(*) FROM attempts").item() == 2 * 10 + 10 + 10


def test_several_syncs_of_one_store_take_a_record_once(bucket, two, make_record, make_hits):
    a, b = two
    for seed in range(6):
        record = make_record(seed=seed)
        put(a, record, make_hits(record))
    sync(store_of(a), bucket)
    faults = []

    def work():
        try:
            sync(store_of(b), bucket)
        except Exception as fault:  # noqa: BLE001 - shown below: a thread would lose it
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    sync(store_of(b), bucket)
    assert held(b) == held(a)


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        ("ftp://there/runs", "ftp:// is no kind of place", "s3://BUCKET/FOLDER"),
        ("s3://", "names no bucket", "s3://BUCKET/FOLDER"),
        ("{store}", "is the folder of the store itself", "elsewhere"),
        ("{store}/shared", "lies in the folder of the store itself", "elsewhere"),
        ("{file}", "is not a folder", "a folder"),
        ("{other}", "is the folder of a store, not a remote", "heatdrift import"),
    ],
)
def test_a_place_that_cannot_be_a_remote(tmp_path, make_record, url, says, hint):
    put(tmp_path / "a", make_record(seed=1))
    put(tmp_path / "other", make_record(seed=1))
    (tmp_path / "file").write_text("x")
    url = url.format(store=tmp_path / "a", file=tmp_path / "file", other=tmp_path / "other")
    with pytest.raises(StoreError) as error:
        sync(store_of(tmp_path / "a"), url)
    assert says in error.value.message
    assert hint in error.value.hint


def test_a_pull_from_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        sync(store_of(tmp_path / "a"), str(tmp_path / "nothing"), push=False)


@pytest.mark.parametrize(
    ("protocol", "module", "command"),
    [
        ("s3", "s3fs", "python -m pip install 'heatdrift[cloud]'"),
        ("gs", "gcsfs", "python -m pip install gcsfs"),
        ("az", "adlfs", "python -m pip install adlfs"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_command(tmp_path, monkeypatch, protocol, module, command):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, protocol, raising=False)
    with pytest.raises(StoreError, match="not installed") as error:
        sync(store_of(tmp_path / "a"), f"{protocol}://bucket/runs")
    assert error.value.hint == command


class NoCredentialsError(Exception):
    """Named as botocore names it."""


class EndpointConnectionError(Exception):
    """Named as botocore names it."""


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (PermissionError("Access Denied"), "no right to list memory://bucket/runs: Access Denied"),
        (FileNotFoundError("The specified bucket does not exist"), "it is not there"),
        (NoCredentialsError("Unable to locate credentials"), "no credentials for"),
        (EndpointConnectionError("Could not connect"), "no answer from"),
        (TimeoutError(), "no answer from memory://bucket/runs: TimeoutError"),
        (ValueError("odd"), "cannot list memory://bucket/runs: odd"),
    ],
)
def test_what_a_client_raises_becomes_an_error_with_a_hint(tmp_path, monkeypatch, fault, says):
    def refuse(self, *arguments, **options):
        raise fault

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "find", refuse)
    with pytest.raises(StoreError) as error:
        sync(store_of(tmp_path / "a"), "memory://bucket/runs")
    assert says in error.value.message
    assert error.value.hint
