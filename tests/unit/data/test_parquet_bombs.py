"""A Parquet file that would take far more than its size is refused by what it declares, before it is read."""

import io

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heatdrift import parquet_file
from heatdrift.data.parquet import open_parquet
from heatdrift.errors import DataError, HeatdriftError
from heatdrift.parquet_file import read_parquet
from heatdrift.store.importers.bulk import import_bulk
from heatdrift.store.importers.per_image_table import read_run_images
from heatdrift.store.importers.table_file import read_table_file

N = 300_000


@pytest.fixture
def small_machine(monkeypatch):
    """A machine of 64 MiB, on which a test's bombs are as large as real ones elsewhere."""
    monkeypatch.setattr(parquet_file, "machine_memory_bytes", lambda: 64 * 2**20)
    monkeypatch.setattr(parquet_file, "SMALL", 2**20)
    monkeypatch.setattr(parquet_file, "_AT_ONCE", 2**20)


def written(path, table, **options):
    pq.write_table(pa.table(table), path, **options)
    return path


def zeros(path):
    """A column that is one value: 4 MB plain, some kB compressed."""
    return written(path, {"lr": np.zeros(500_000)}, use_dictionary=False, compression="zstd")


def repeated(path, n=200):
    """A dictionary of one text of 1 MB, named by every row."""
    return written(path, {"image": pa.array([b"x" * 2**20] * n), "label": np.arange(n) % 2})


def test_unpacked_size_is_refused_by_the_footer(tmp_path, small_machine):
    path = zeros(tmp_path / "t.parquet")
    assert path.stat().st_size < 4_000
    with pytest.raises(ValueError, match="declares 4 MiB unpacked"):
        read_parquet(path)
    for read in (read_table_file, read_run_images):
        with pytest.raises(DataError, match=r"t\.parquet.*unpacked"):
            read(path)


def test_rows_of_one_value_are_counted_before_they_are_read(tmp_path, small_machine):
    path = written(tmp_path / "t.parquet", {"lr": pa.array(np.zeros(5_000_000, dtype=np.int8))})
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="declares 5,000,000 values"):
        read_table_file(path)


def test_a_dictionary_that_every_row_names_is_noticed_while_it_is_read(tmp_path, small_machine):
    path = repeated(tmp_path / "t.parquet")
    assert path.stat().st_size < 300_000
    with pytest.raises(DataError, match=r"t\.parquet.*half of the memory"):
        open_parquet(path.name, tmp_path)


def test_a_table_in_pieces_is_the_table(tmp_path, monkeypatch):
    rows = {"image": [bytes([i]) * 1000 for i in range(200)], "label": [i % 2 for i in range(200)]}
    path = written(tmp_path / "t.parquet", rows, row_group_size=70)
    whole = read_parquet(path, ["label", "image"])
    monkeypatch.setattr(parquet_file, "_AT_ONCE", 50_000)
    pieces = read_parquet(path, ["label", "image"])
    assert pieces["image"].num_chunks > 3
    assert pieces.combine_chunks() == whole.combine_chunks()
    assert read_parquet(path).column_names == ["image", "label"]


def test_pictures_and_tables_of_usual_size_are_read(tmp_path):
    rng = np.random.default_rng(1)
    path = written(tmp_path / "t.parquet", {"image": [rng.bytes(5_000) for _ in range(100)], "label": [0, 1] * 50})
    assert len(open_parquet(path.name, tmp_path)) == 100
    frame = pl.DataFrame({"lr": [1e-4] * N, "method": ["full_ft"] * N})
    frame.write_parquet(tmp_path / "runs.parquet")
    assert len(read_table_file(tmp_path / "runs.parquet").rows) == N


def test_a_bulk_import_of_a_bomb_is_refused(tmp_path, small_machine):
    (tmp_path / "in").mkdir()
    zeros(tmp_path / "in" / "runs.parquet")
    with pytest.raises(DataError, match=r"runs\.parquet.*unpacked"):
        import_bulk(tmp_path / "in", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_footer_that_lies_about_its_pages_is_our_error(tmp_path):
    """Every number of the footer is changed; a page that then has another size than declared is damaged."""
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": [b"a" * 50, b"b" * 50], "label": [0, 1]}), stream)
    whole, path = stream.getvalue(), tmp_path / "t.parquet"
    for position in range(len(whole) - 400, len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            try:
                said = f"read {path} {len(open_parquet(path.name, tmp_path))}"
            except HeatdriftError as error:
                said = error.message
            assert "t.parquet" in said
