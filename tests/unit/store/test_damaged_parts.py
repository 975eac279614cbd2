"""A bulk part whose bytes changed is reported and left out, whatever DuckDB would make of it."""

import msgspec
import pytest

from heatdrift.store.bulk_parts import file_sha256, find_parts
from heatdrift.store.connect import open_store
from heatdrift.store.export import export_store
from heatdrift.store.folder import write_record
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.ingest import ingest


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
    (folder / "part.json").write_bytes(msgspec.json.encode(info))
    report = ingest(store)
    assert ["not a readable part" in p.reason for p in report.problems] == [True]


def test_a_part_json_that_is_not_utf8_is_reported(store):
    folder = find_parts(store.parent)[0].folder
    (folder / "part.json").write_bytes(b'{"source": "\xff", "n_runs": 2, "files": {}}')
    assert ["part.json is damaged" in p.reason for p in ingest(store).problems] == [True]
