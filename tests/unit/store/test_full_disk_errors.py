"""What DuckDB raises for a full disk, of whatever class, is our error, and the store stays as it was."""

import duckdb
import pytest

from heatdrift.errors import QueryError, StoreError
from heatdrift.store import ingest as ingest_module
from heatdrift.store.folder import write_record
from heatdrift.store.importers.values import time_of, whole_of
from heatdrift.store.ingest import ingest
from heatdrift.store.sql import run_sql


@pytest.mark.parametrize(
    "raised",
    [
        duckdb.TransactionException("Failed to commit: Could not write file: No space left on device"),
        duckdb.FatalException("FATAL Error: database has been invalidated"),
        duckdb.IOException("Could not write all bytes"),
        duckdb.OutOfMemoryException("failed to offload data block: the disk is full"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_a_full_disk_during_ingest_is_our_error(tmp_path, make_record, monkeypatch, raised):
    store = tmp_path / "heatdrift.duckdb"
    write_record(make_record(seed=7), tmp_path)
    ingest(store)
    before = store.read_bytes()
    write_record(make_record(seed=11), tmp_path)

    def full(*_args, **_options):
        raise raised

    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "_insert", full)
        with pytest.raises(StoreError, match="cannot write a new") as caught:
            ingest(store)
    assert "free some space" in caught.value.hint
    assert store.read_bytes() == before
    assert list(tmp_path.glob(".*.tmp*")) == []
    assert ingest(store).added == 1


def test_a_truncated_store_gets_the_hint_to_rebuild_it(tmp_path, make_record):
    store = tmp_path / "heatdrift.duckdb"
    for seed in range(6):
        write_record(make_record(seed=seed), tmp_path)
    ingest(store)
    whole = store.read_bytes()
    for part in (1, 5, 9):
        store.write_bytes(whole[: len(whole) * part // 10])
        with pytest.raises((StoreError, QueryError)) as caught:
            run_sql(store, "SELECT * FROM layers JOIN runs USING (cell_id)")
        assert "store rebuild" in caught.value.hint, caught.value.message


def test_times_and_numbers_without_a_place_in_the_store_are_named():
    for value in (1e300, 10**400, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"started_at is .*, not a time in milliseconds"):
            time_of({"started_at": value}, "started_at")
    with pytest.raises(ValueError, match=r"seed is .*5000 digits"):
        whole_of({"seed": "7" * 5000}, "seed")
