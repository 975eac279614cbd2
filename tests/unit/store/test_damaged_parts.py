"""A bulk part whose bytes changed is reported and left out, whatever DuckDB would make of it."""

import os

import msgspec
import pytest

from heatdrift.store.bulk_parts import file_sha256, find_parts, part_damage
from heatdrift.store.check import check_store
from heatdrift.store.checksum import sealed, split_checksum
from heatdrift.store.connect import open_store
from heatdrift.store.export import export_store
from heatdrift.store.folder import write_record
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.ingest import ingest
from heatdrift.store.repair import repair_store


@pytest.fixture
def store(tmp_path, make_record):
    """A store of one part of two runs."""
    made = tmp_path / "made"
    for seed in (7, 11):
        write_record(make_record(seed=seed), made)
    ingest(made / "heatdrift.duckdb")
    export_store(made / "heatdrift.duckdb", tmp_path / "exported")
    target = tmp_path / "store"
    import_bulk(tmp_path / "exported", target)
    return target / "heatdrift.duckdb"


def runs_of(store):
    with open_store(store) as connection:
        return connection.sql("SELECT count(*) FROM runs").fetchall()[0][0]


def test_a_whole_part_is_loaded(store):
    assert ingest(store).added == 2


def test_a_flipped_bit_of_a_part_is_reported_and_left_out(store):
    file = find_parts(store.parent)[0].folder / "runs.parquet"
    whole = file.read_bytes()
    for position in range(4, len(whole), len(whole) // 5):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        file.write_bytes(flipped)
        report = ingest(store)
        assert report.added == 0
        assert ["runs.parquet changed or gone" in p.reason for p in report.problems] == [True]
        assert runs_of(store) == 0


def test_a_part_that_duckdb_cannot_read_does_not_stop_the_others(store):
    folder = find_parts(store.parent)[0].folder
    (folder / "runs.parquet").write_bytes(b"PAR1 nothing PAR1")
    info = msgspec.json.decode((folder / "part.json").read_bytes())
    info["files"]["runs.parquet"] = file_sha256(folder / "runs.parquet")  # as a faulty writer would leave it
    info.pop("content_sha256")
    (folder / "part.json").write_bytes(sealed(msgspec.json.encode(info)))
    report = ingest(store)
    assert ["runs.parquet" in p.reason for p in report.problems] == [True]


def test_a_part_json_that_is_not_utf8_is_reported(store):
    folder = find_parts(store.parent)[0].folder
    (folder / "part.json").write_bytes(b'{"source": "\xff", "n_runs": 2, "files": {}}')
    assert ["part.json is damaged" in p.reason for p in ingest(store).problems] == [True]


def flipped(whole, positions):
    """The bytes with one of them changed, for every position; each bit has its turn."""
    for position in positions:
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        yield bytes(changed)


def test_no_flipped_byte_of_a_part_is_taken_silently(store):
    """All bytes of part.json, and a sample of each table's: the part is named as damaged, none of it is loaded."""
    part = find_parts(store.parent)[0]
    for path in sorted(part.folder.iterdir()):
        whole = path.read_bytes()
        step = 1 if path.name == "part.json" else max(1, len(whole) // 97)
        for changed in flipped(whole, range(0, len(whole), step)):
            path.write_bytes(changed)
            damage = part_damage(part)
            assert damage is not None, (path.name, changed)
            assert path.name in damage
        report = ingest(store)
        assert report.added == 0
        assert [path.name in p.reason for p in report.problems] == [True]
        path.write_bytes(whole)
    assert part_damage(part) is None
    assert ingest(store).added == 2


def test_an_edited_number_of_runs_or_source_is_noticed(store):
    path = find_parts(store.parent)[0].folder / "part.json"
    path.write_bytes(path.read_bytes().replace(b'"n_runs":2', b'"n_runs":3'))
    assert ["content_sha256 does not agree" in p.reason for p in ingest(store).problems] == [True]


def test_a_part_without_a_checksum_counts_and_is_named_unverified(store):
    part = find_parts(store.parent)[0]
    path = part.folder / "part.json"
    path.write_bytes(split_checksum(path.read_bytes())[0])
    assert ingest(store).added == 2
    assert [(f.kind, f.wrong, f.where) for f in check_store(store).findings] == [
        ("unverified", False, str(part.folder))
    ]
    assert any("added a checksum" in line for line in repair_store(store))
    assert check_store(store).findings == ()


def test_a_fifo_in_a_part_is_reported_and_not_waited_for(store):
    folder = find_parts(store.parent)[0].folder
    os.mkfifo(folder / "more.parquet")
    assert ["more.parquet is not a regular file" in p.reason for p in ingest(store).problems] == [True]
