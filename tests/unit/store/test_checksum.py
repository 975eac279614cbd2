import msgspec
import pytest

from heatdrift.errors import RecordError
from heatdrift.store.check import check_store
from heatdrift.store.checksum import sealed, split_checksum
from heatdrift.store.connect import open_store
from heatdrift.store.folder import decode_record, read_record, seal_records, write_record
from heatdrift.store.ingest import ingest
from heatdrift.store.repair import repair_store


def accuracies(store):
    with open_store(store) as connection:
        return connection.sql("SELECT test_acc_pct FROM runs").fetchall()


def edited(path):
    data = path.read_bytes()
    stated = read_record(path).test_acc_pct
    changed = data.replace(f'"test_acc_pct":{stated}'.encode(), b'"test_acc_pct":94.4', 1)
    assert changed != data
    path.write_bytes(changed)


def test_an_edited_accuracy_is_reported_and_left_out(tmp_path, make_record):
    path = write_record(make_record(), tmp_path).path
    edited(path)
    edited(path.parent / "attempts" / "1.json")
    with pytest.raises(RecordError, match="changed after it was written"):
        read_record(path)
    store = tmp_path / "heatdrift.duckdb"
    report = ingest(store)
    assert report.added == 0
    assert any("content_sha256" in problem.reason for problem in report.problems)
    assert any(f.kind == "damaged" and "content_sha256" in f.what for f in check_store(store).findings)


def test_an_edited_record_gives_way_to_its_attempt(tmp_path, make_record):
    record = make_record()
    edited(write_record(record, tmp_path).path)
    store = tmp_path / "heatdrift.duckdb"
    assert ingest(store).added == 1
    assert accuracies(store) == [(record.test_acc_pct,)]


def test_no_flipped_bit_of_a_record_passes(tmp_path, make_record):
    path = write_record(make_record(), tmp_path).path
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(RecordError):
            decode_record(bytes(flipped), path)


def test_a_record_without_a_checksum_counts_and_is_named_unverified(tmp_path, make_record):
    record = make_record()
    path = write_record(record, tmp_path).path
    for file in (path, path.parent / "attempts" / "1.json"):
        file.write_bytes(msgspec.json.encode(read_record(file)))
    store = tmp_path / "heatdrift.duckdb"
    assert ingest(store).added == 1
    report = check_store(store)
    assert [(f.kind, f.wrong) for f in report.findings] == [("unverified", False)]
    assert "1 of 1" in report.findings[0].what
    assert any("added checksums to 2 records" in line for line in repair_store(store))
    assert read_record(path) == record
    assert check_store(store).findings == ()


def test_sealing_keeps_the_bytes_of_a_record_that_people_formatted(tmp_path, make_record):
    path = write_record(make_record(), tmp_path).path
    pretty = msgspec.json.format(msgspec.json.encode(read_record(path)), indent=2)
    path.write_bytes(pretty + b"\n")
    assert seal_records(path.parent) == 1
    assert split_checksum(path.read_bytes())[0] == pretty
    assert seal_records(path.parent) == 0
    assert split_checksum(sealed(pretty)) == split_checksum(path.read_bytes())
