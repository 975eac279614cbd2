"""Views that follow the list of metrics: stores made with another list, and that nothing restates it."""

import gzip
import re
from pathlib import Path

import duckdb
import pytest

import heatdrift
from heatdrift.errors import StoreError
from heatdrift.metrics import PROBE_COLUMN, STORED
from heatdrift.store.connect import open_store
from heatdrift.store.folder import write_record
from heatdrift.store.ingest import ingest, open_current
from heatdrift.store.layout import apply_layout, columns, is_current
from heatdrift.store.migrate import migrate
from heatdrift.store.read import read_view

ARCHIVE = Path(__file__).parents[2] / "archives" / "schema0004.duckdb.gz"
PACKAGE = Path(heatdrift.__file__).parent


@pytest.fixture
def store(tmp_path, make_record):
    """A database of three runs beside their records."""
    for seed in (7, 11, 19):
        write_record(make_record(seed=seed), tmp_path)
    path = tmp_path / "heatdrift.duckdb"
    assert ingest(path).added == 3
    return path


def change(store, *statements):
    with duckdb.connect(store) as connection:
        for statement in statements:
            connection.execute(statement)


def with_fewer_metrics(store):
    """Make a loaded store one of a heatdrift that did not measure patch_entropy yet."""
    views = ("cells", "runs", "epochs", "raw.epoch_drift")
    change(
        store,
        *(f"DROP VIEW {view}" for view in views),
        "ALTER TABLE raw.epoch DROP COLUMN patch_entropy",
        "ALTER TABLE raw.epoch DROP COLUMN patch_entropy_last",
        "CREATE VIEW runs AS SELECT study, cell_id FROM raw.run",
        "UPDATE raw.layout SET sha256 = 'of an earlier list'",
    )


def test_a_store_of_an_earlier_list_gets_the_columns_and_views_that_it_lacks(store):
    with open_store(store) as connection:
        before = read_view(connection, "runs")
    with_fewer_metrics(store)
    with pytest.raises(StoreError, match="an earlier list of metrics") as caught:
        open_store(store)
    assert "store rebuild" in caught.value.hint
    with open_current(store) as connection:
        after = read_view(connection, "runs")
        assert is_current(connection)
    assert after.columns == before.columns
    assert after["delta_patch_entropy_pct"].null_count() == after.height
    others = [c for c in before.columns if "patch_entropy" not in c]
    assert after.select(others).equals(before.select(others))


def test_a_reader_of_an_earlier_list_keeps_its_snapshot(store):
    with_fewer_metrics(store)
    with duckdb.connect() as reader:
        reader.execute(f"ATTACH '{store}' AS old (READ_ONLY)")
        ingest(store)
        assert len(reader.sql("DESCRIBE old.runs").fetchall()) == 2
    with open_store(store) as connection:
        assert len(connection.sql("DESCRIBE runs").fetchall()) > 2


@pytest.mark.parametrize("place", ["table", "view"])
def test_a_store_of_a_later_list_is_refused_and_left_alone(store, place):
    later = {"table": "ALTER TABLE raw.epoch ADD COLUMN brand_new DOUBLE",
             "view": "CREATE OR REPLACE VIEW transfer AS SELECT 1 AS brand_new"}  # fmt: skip
    change(store, later[place], "UPDATE raw.layout SET sha256 = 'of a later list'")
    held = store.read_bytes()
    for action in (ingest, open_current, open_store):
        with pytest.raises(StoreError, match=r"newer heatdrift than this one \(brand_new") as caught:
            action(store)
        assert "upgrade" in caught.value.hint
    assert store.read_bytes() == held


def test_other_statements_with_our_columns_are_made_ours(store):
    change(store, "UPDATE raw.layout SET sha256 = 'other words for the same'")
    with open_current(store) as connection:
        assert is_current(connection)


def test_an_archive_has_the_columns_of_a_new_store(tmp_path):
    store = tmp_path / "heatdrift.duckdb"
    store.write_bytes(gzip.decompress(ARCHIVE.read_bytes()))
    with open_current(store) as connection, duckdb.connect() as new:
        migrate(new)
        assert columns(connection) == columns(new)


def test_a_statement_that_fails_changes_nothing(monkeypatch):
    with duckdb.connect() as connection:
        migrate(connection)
        before = columns(connection)
        statements = ("CREATE OR REPLACE VIEW cells AS SELECT 1 AS x", "SELECT * FROM raw.nowhere")
        monkeypatch.setattr("heatdrift.store.layout.view_statements", lambda: statements)
        monkeypatch.setattr("heatdrift.store.layout.STORED", (*STORED, "more"))
        with pytest.raises(duckdb.Error, match="nowhere"):
            apply_layout(connection)
        assert columns(connection) == before


def test_no_file_of_the_store_names_the_columns_of_probes():
    """The price of a new probe: a list of them that stands anywhere else would have to be kept up by hand."""
    foreign = {"reference_record.py", "reference_format.py"}  # the format of another study has its own names
    named = re.compile(rf"(?<!cross-)\b({'|'.join(map(re.escape, PROBE_COLUMN))})\b")
    for path in (*(PACKAGE / "store").rglob("*.py"), *(PACKAGE / "store" / "migrations").glob("*.sql")):
        if path.name not in foreign and not path.name.startswith(("0001", "0003")):  # released steps stay as they are
            assert not named.findall(path.read_text(encoding="utf-8")), path.name
