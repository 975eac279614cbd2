import errno
import json
import os
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from stubs import find_records

from heatdrift.errors import RecordError, StoreError
from heatdrift.records import RECORD_FORMAT
from heatdrift.store import files, folder
from heatdrift.store.folder import cell_folder, read_arrays, read_record, write_arrays, write_record


def all_files(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "/etc", "-x", ".hidden", "a\\b", "a b", "a\n", "x" * 129, "é", "a'--"]
)
def test_names_that_could_leave_the_store_folder_are_refused(tmp_path, name):
    with pytest.raises(StoreError, match="folder name"):
        cell_folder(tmp_path, name, "c1-0")
    with pytest.raises(StoreError, match="folder name"):
        cell_folder(tmp_path, "demo", name)
    if name:
        with pytest.raises(StoreError):
            find_records(tmp_path, name)


def test_a_record_comes_back_as_it_was_written(tmp_path, make_record):
    record = make_record()
    written = write_record(record, tmp_path)
    assert written.new
    assert written.attempt == 1
    assert written.path == tmp_path / "tiny" / record.cell_id / "record.json"
    assert read_record(written.path) == record
    assert find_records(tmp_path) == [written.path]
    assert find_records(tmp_path, "tiny") == [written.path]
    assert find_records(tmp_path, "other") == []


def test_attempts_are_kept_and_numbered_here(tmp_path, make_record):
    first = write_record(make_record(wall_s=1.0), tmp_path)
    second = write_record(make_record(wall_s=2.0, attempt=1), tmp_path)
    assert second.attempt == 2
    assert [read_record(p).wall_s for p in folder.attempt_files(first.path.parent)] == [1.0, 2.0]
    assert read_record(first.path).wall_s == 2.0
    assert read_record(first.path).attempt == 2
    for wall_s, attempt in ((1.0, 1), (2.0, 2)):  # neither is new
        again = write_record(make_record(wall_s=wall_s), tmp_path)
        assert (again.new, again.attempt) == (False, attempt)
    assert read_record(first.path).wall_s == 2.0


def test_a_failed_attempt_never_displaces_a_finished_one(tmp_path, make_record):
    failed = {"status": "failed", "error": "out of memory", "selected_epoch": None, "epochs": ()}
    path = write_record(make_record(**failed), tmp_path).path
    assert read_record(path).status == "failed"
    write_record(make_record(), tmp_path)
    assert read_record(path).status == "done"
    assert write_record(make_record(**failed, wall_s=3.0), tmp_path).attempt == 3
    assert (read_record(path).status, read_record(path).attempt) == ("done", 2)


def test_a_crash_between_attempt_and_record_loses_nothing(tmp_path, make_record):
    path = write_record(make_record(wall_s=1.0), tmp_path).path
    path.unlink()
    assert not write_record(make_record(wall_s=1.0), tmp_path).new
    assert read_record(path).wall_s == 1.0
    (path.parent / "attempts" / "1.json").unlink()
    assert write_record(make_record(wall_s=2.0), tmp_path).attempt == 2
    assert [read_record(p).wall_s for p in folder.attempt_files(path.parent)] == [1.0, 2.0]


def test_a_full_disk_leaves_nothing_half_written(tmp_path, make_record, monkeypatch):
    path = write_record(make_record(wall_s=1.0), tmp_path).path
    before = all_files(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        write_record(make_record(wall_s=2.0), tmp_path)
    assert caught.value.hint
    with pytest.raises(StoreError, match="No space left"):
        write_arrays(path.parent, "hits", {"objects": np.ones(5, dtype=bool)})
    monkeypatch.undo()
    assert all_files(tmp_path) == before
    assert read_record(path).wall_s == 1.0


def test_a_numpy_error_while_writing_arrays_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(folder.np, "savez_compressed", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        write_arrays(tmp_path, "gallery", {"cls": np.zeros(3)})
    assert all_files(tmp_path) == []


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda r: r | {"status": "ok"}, "$.status"),
        (lambda r: r | {"surprise": 1}, "surprise"),
        (lambda r: r["cell"].update(seed="7") or r, "$.cell.seed"),
        (lambda r: r["cell"].update(seed=8) or r, "$.cell_id"),
        (lambda r: r["cell"].update(lr=-1.0) or r, "learning rate"),
        (lambda r: r["cell"].update(seed=2**70) or r, "$.cell.seed"),
        (lambda r: r["epochs"][1].update(val_acc_pct=101.0) or r, "$.epochs[1].val_acc_pct"),
        (lambda r: r["epochs"][1]["means"].update(entropie=1.0) or r, "$.epochs[1].means"),
        (lambda r: r["epochs"][2]["layers"].update(entropy=[1.0]) or r, "$.epochs[2]"),
        (lambda r: r["epochs"][2]["heads"].update(gini=[[1.0], [1.0, 2.0], [1.0]]) or r, "$.epochs[2].heads.gini"),
        (lambda r: r["epochs"][2]["means"].update(cka=1.1) or r, "$.epochs[2]"),
        (lambda r: r | {"epochs": r["epochs"][::-1]}, "$.epochs"),
        (lambda r: r | {"selected_epoch": 9}, "$.selected_epoch"),
        (lambda r: r | {"selected_epoch": None}, "$.selected_epoch"),
        (lambda r: r | {"transfer": r["transfer"] * 2}, "$.transfer"),
        (lambda r: r | {"started_at": "yesterday"}, "$.started_at"),
        (lambda r: r | {"study": "../x"}, "$.study"),
        (lambda r: {k: v for k, v in r.items() if k != "cell"}, "cell"),
        (lambda r: [r], "array"),
    ],
)
def test_a_wrong_record_is_refused_with_path_and_place(tmp_path, make_record, edit, place):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(edit(json.loads(msgspec.json.encode(make_record())))))
    with pytest.raises(RecordError, match=re.escape(place)) as caught:
        read_record(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"null", b'{"format": 1, "x": ' + b"[" * 100_000, b'{"format": NaN}']
)
def test_bytes_that_are_no_record_are_refused(tmp_path, data):
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"record\.json"):
        read_record(path)


def test_every_truncation_is_refused(tmp_path, make_record):
    path = tmp_path / "record.json"
    data = msgspec.json.encode(make_record(n_epochs=1, blocks=1, heads=1))
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(RecordError):
            read_record(path)


def test_nan_in_a_record_is_refused_and_a_cka_above_one_by_rounding_is_legal(tmp_path, make_record):
    path = tmp_path / "record.json"
    text = msgspec.json.encode(make_record()).decode()
    path.write_text(text.replace('"wall_s":60.0', '"wall_s":NaN'))
    with pytest.raises(RecordError):
        read_record(path)
    path.write_text(text.replace('"cka":0.98', '"cka":1.000009'))
    assert read_record(path).epochs[1].means["cka"] == 1.000009


def test_a_newer_format_names_the_upgrade(tmp_path, make_record):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"format": RECORD_FORMAT + 1, "something": "new"}))
    with pytest.raises(RecordError, match="newer") as caught:
        read_record(path)
    assert "upgrade" in caught.value.hint


def test_an_absurdly_large_record_is_not_read(tmp_path):
    path = tmp_path / "record.json"
    with path.open("wb") as stream:
        os.truncate(stream.fileno(), 100 * 2**20)
    with pytest.raises(RecordError, match="100 MiB"):
        read_record(path)


def test_a_record_that_could_not_be_read_back_is_not_written(tmp_path, make_record):
    with pytest.raises(RecordError, match="cell_id"):
        write_record(make_record(cell_id="c1-0000000000000000"), tmp_path)
    assert all_files(tmp_path) == []


def test_arrays_come_back_and_damage_is_named(tmp_path):
    hits = {"objects": np.arange(10_000) % 3 == 0}
    path = write_arrays(tmp_path, "hits", hits)
    assert path.stat().st_size < 2000
    np.testing.assert_array_equal(read_arrays(tmp_path, "hits")["objects"], hits["objects"])
    assert read_arrays(tmp_path, "gallery") == {}
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match="damaged"):
        read_arrays(tmp_path, "hits")


def test_ten_thousand_unrelated_files_are_passed_over(tmp_path, make_record):
    path = write_record(make_record(), tmp_path).path
    for i in range(10_000):
        Path(tmp_path / f"note{i}.txt").touch()
    assert find_records(tmp_path) == [path]
