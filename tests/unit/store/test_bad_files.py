"""One bad file costs its cell at most: what decoders raise becomes our error with the file's name."""

import io
import os
import zipfile

import numpy as np
import pytest

from heatdrift.errors import RecordError
from heatdrift.store import folder as folder_module
from heatdrift.store.check import check_store
from heatdrift.store.claims import CLAIM_FILE, read_claim
from heatdrift.store.folder import read_arrays, write_arrays, write_record
from heatdrift.store.ingest import ingest


@pytest.fixture
def cell(tmp_path, make_record):
    """The folder of one cell with its record."""
    return write_record(make_record(), tmp_path).path.parent


@pytest.mark.parametrize("data", [b"\xff", b'{"host": "\xff"}', b"[" * 100_000, b"", b"null"])
def test_a_damaged_claim_stops_nothing(cell, data):
    (cell / CLAIM_FILE).write_bytes(data)
    assert read_claim(cell) is None
    assert ingest(cell.parents[1] / "heatdrift.duckdb").added == 1


def test_a_number_that_no_attempt_has_is_passed_over(cell):
    (cell / "attempts" / "99999999999.json").write_bytes((cell / "record.json").read_bytes())
    assert ingest(cell.parents[1] / "heatdrift.duckdb").added == 1


def test_a_fifo_in_place_of_a_file_is_reported_and_not_waited_for(cell):
    store = cell.parents[1] / "heatdrift.duckdb"
    os.mkfifo(cell / "attempts" / "2.json")
    os.mkfifo(cell / "hits.npz")
    report = ingest(store)
    assert report.added == 1
    assert ["not a regular file" in p.reason for p in report.problems] == [True]
    assert [f.what for f in check_store(store).findings].count("not a regular file") == 2


def test_every_flag_bit_of_an_archive_gives_our_error_or_the_arrays(cell):
    arrays = {"a": np.arange(40, dtype=np.float32)}
    path = write_arrays(cell, "gallery", arrays)
    whole = path.read_bytes()
    named = []
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            read_arrays(cell, "gallery")
        except RecordError as error:
            named.append(error.path)
    assert set(named) == {path}
    assert len(named) > len(whole) // 4


def test_an_archive_that_unpacks_to_too_much_is_refused_by_its_declared_size(cell, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_ARRAY_BYTES", 10_000)
    stream = io.BytesIO()
    np.save(stream, np.zeros(20_000, dtype=np.uint8))
    with zipfile.ZipFile(cell / "hits.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", stream.getvalue())
    with pytest.raises(RecordError, match="unpacked"):
        read_arrays(cell, "hits")
