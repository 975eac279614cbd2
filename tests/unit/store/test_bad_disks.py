"""Disks that are full or read-only, folders full of other things: a clear error, nothing lost, nothing half-written.

The disks are real tmpfs mounts, which only root may make; elsewhere these tests are skipped.
"""

import contextlib
import subprocess
from pathlib import Path

import duckdb
import pytest
from stubs import find_records

from heatdrift.errors import StoreError
from heatdrift.store.check import check_store
from heatdrift.store.export import export_store
from heatdrift.store.folder import read_record, write_record
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.sql import run_sql, write_frame
from heatdrift.train.status import all_studies


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def temporary_files(folder):
    return list(folder.rglob(".*.tmp*"))


def fill(folder):
    """Leave no free block on the disk."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


def test_a_full_disk_loses_nothing(tmp_path, make_record):
    with mounted(tmp_path / "disk", "size=12m") as disk:
        store = disk / "heatdrift.duckdb"
        for seed in (7, 11):
            write_record(make_record(seed=seed), disk)
        ingest(store)
        before = store.read_bytes()
        write_record(make_record(seed=19), disk)
        fill(disk)
        for step in (
            lambda: write_record(make_record(seed=23), disk),
            lambda: ingest(store),
            lambda: rebuild(store),
            lambda: export_store(store, disk / "export"),
            lambda: export_store(store, disk / "export.duckdb"),
            lambda: write_frame(run_sql(store, "FROM layers"), disk / "out.parquet", "parquet"),
        ):
            with pytest.raises(StoreError, match="cannot write") as caught:
                step()
            assert caught.value.hint
        assert store.read_bytes() == before
        assert run_sql(store, "SELECT count(*) n FROM runs")["n"][0] == 2
        assert temporary_files(disk) == []
        assert not (disk / "export").exists()
        assert [read_record(p).cell.seed for p in sorted(find_records(disk))]
        (disk / "filler").unlink()
        assert ingest(store).added == 1
        assert not check_store(store).wrong


def test_a_read_only_disk_can_be_read(tmp_path, make_record):
    with mounted(tmp_path / "disk", "size=12m") as disk:
        store = disk / "heatdrift.duckdb"
        write_record(make_record(seed=7), disk)
        ingest(store)
        write_record(make_record(seed=11), disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert run_sql(store, "SELECT count(*) n FROM runs")["n"][0] == 1
        assert [s.done for s in all_studies(disk, {})] == [2]
        assert [f.kind for f in check_store(store).findings] == ["not loaded"]
        assert export_store(store, tmp_path / "export").rows["runs"] == 1
        assert import_heatdrift(disk, tmp_path / "mine").added == 2
        for step in (lambda: ingest(store), lambda: write_record(make_record(seed=19), disk)):
            with pytest.raises(StoreError, match="Read-only file system") as caught:
                step()
            assert caught.value.hint
        (tmp_path / "link").symlink_to(disk)
        with pytest.raises(StoreError, match="Read-only"):  # a database would have to be made there
            run_sql(tmp_path / "link" / "other.duckdb", "SELECT 1")


def test_unrelated_files_and_a_huge_record_stop_nothing(tmp_path, make_record):
    store = tmp_path / "heatdrift.duckdb"
    good = write_record(make_record(seed=7), tmp_path).path
    huge = tmp_path / "tiny" / "c1-huge" / "record.json"
    huge.parent.mkdir()
    with huge.open("wb") as stream:
        stream.truncate(100 * 2**20)
    for i in range(5000):
        (tmp_path / "tiny" / f"note{i}.json").touch()
        (good.parent / f"photo{i}.png").touch()
    report = ingest(store)
    assert report.added == 1
    assert [p.path for p in report.problems] == [huge]
    assert "100 MiB, more than the limit of 64" in report.problems[0].reason
    assert [f.where for f in check_store(store).findings] == [str(huge)]


def test_a_reader_open_through_twenty_ingests_keeps_its_snapshot(tmp_path, make_record):
    store = tmp_path / "heatdrift.duckdb"
    write_record(make_record(seed=1000), tmp_path)
    ingest(store)
    with duckdb.connect(store, read_only=True) as reader:
        query = "SELECT count(*), sum(seed), (SELECT sum(value) FROM layers) FROM runs"
        first = reader.execute(query).fetchall()
        for seed in range(20):
            write_record(make_record(seed=seed), tmp_path)
            assert ingest(store).added == 1
            assert reader.execute(query).fetchall() == first
    assert run_sql(store, "SELECT count(*) n FROM runs")["n"][0] == 21
