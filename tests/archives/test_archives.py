"""Files that earlier versions wrote: they must open, and give what they gave then."""

import gzip
import re
from pathlib import Path

import pytest

from heatdrift.store.connect import open_store
from heatdrift.store.folder import read_record
from heatdrift.store.ingest import open_current
from heatdrift.store.migrate import latest_version, schema_version
from heatdrift.store.read import VIEWS, read_view, studies

HERE = Path(__file__).parent
STORES = sorted(HERE.glob("schema*.duckdb.gz"))
ROWS = {"runs": 24, "epochs": 69, "layers": 966, "heads": 414, "transfer": 23, "robustness": 23, "cells": 8}
ROWS |= {"further": 0, "reference_points": 0}  # of what came with schema 6 the archives have nothing


@pytest.mark.parametrize("archive", STORES, ids=lambda p: p.name.partition(".")[0])
def test_a_store_of_every_schema_that_shipped_opens(archive, tmp_path):
    store = tmp_path / "heatdrift.duckdb"
    store.write_bytes(gzip.decompress(archive.read_bytes()))
    with open_current(store) as connection:
        assert schema_version(connection) == latest_version()
        assert studies(connection) == ("archive",)
        attempts = 24 if int(archive.name[6:10]) >= 2 else 0  # an archive has no records to take them from
        assert {view: read_view(connection, view).height for view in VIEWS} == ROWS | {"attempts": attempts}
        row = read_view(connection, "runs", dataset=["shapes"], method=["full_ft"], lr=[1e-3], seed=[7]).row(
            0, named=True
        )
    push = 4 + 7 / 64
    assert row["delta_entropy_pct"] == pytest.approx(100 * (push / 8) / (1 + 1 / 32))
    assert row["retention_pct"] == pytest.approx(100 * (64 - 8 * push) / 64)
    assert row["status"] == "done"


def test_every_schema_has_its_archive():
    numbers = [int(re.fullmatch(r"schema(\d{4})\.duckdb\.gz", p.name)[1]) for p in STORES]
    assert numbers == list(range(1, latest_version() + 1)), "python tests/archives/make_archive.py tests/archives"


def test_the_newest_schema_is_what_the_migrations_make(tmp_path):
    """A released migration is never edited: archives and a new store end with the same tables and views."""
    new = tmp_path / "new.duckdb"
    open_store(new, read_only=False).close()
    objects = "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    found = []
    for archive in STORES:
        path = tmp_path / archive.stem
        path.write_bytes(gzip.decompress(archive.read_bytes()))
        open_current(path).close()
    for path in sorted(tmp_path.glob("*.duckdb")):
        with open_store(path) as connection:
            found.append(connection.sql(objects).fetchall())
    assert len(found) == len(STORES) + 1
    assert all(sql == found[0] for sql in found)


def test_a_record_of_format_1_is_read():
    record = read_record(HERE / "record_format1.json")
    assert record.format == 1
    assert record.cell_id == record.cell.cell_id
    assert len(record.epochs) == 3
