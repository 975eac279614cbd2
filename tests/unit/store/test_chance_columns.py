"""Chance in the views: from the record, from the class names of the run, by name, or from a column of a table."""

import pytest

from heatdrift.chance import ZeroShotBase, retention_above_chance
from heatdrift.errors import RecordError
from heatdrift.records import Provenance, TransferRecord
from heatdrift.store.export import export_store
from heatdrift.store.folder import write_record
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest
from heatdrift.store.rows import result_sha256
from heatdrift.store.sql import run_sql

ABOVE = "retention_above_chance_pct, retention_above_chance_low_pct, retention_above_chance_high_pct"


def evaluated(base, adapted, n_classes=10, n_images=300, name="objects"):
    return TransferRecord(transfer_set=name, n_images=n_images, base_pct=base, adapted_pct=adapted, n_classes=n_classes)


@pytest.fixture
def store(tmp_path, make_record):
    """Three runs: a clear base, the base of the issue, and one at chance; each with a second set."""
    for seed, base in ((7, 60.0), (11, 14.0), (19, 12.0)):
        sets = (evaluated(base, 11.0), evaluated(50.0, 40.0, n_classes=None, name="letters"))
        write_record(make_record(seed=seed, transfer=sets), tmp_path)
    path = tmp_path / "heatdrift.duckdb"
    ingest(path)
    return path


def test_runs_and_transfer_have_chance_and_what_is_retained_above_it(store):
    rows = run_sql(store, f"SELECT transfer_classes, chance_pct, retention_pct, {ABOVE} FROM runs ORDER BY seed").rows()
    for row, base in zip(rows, (60.0, 14.0, 12.0), strict=True):
        expected = retention_above_chance(ZeroShotBase(base_pct=base, n_images=300, n_classes=10), 11.0)
        assert row[:3] == (10, 10.0, pytest.approx(1100 / base))
        assert row[3:] == (pytest.approx(expected) if expected else (None, None, None))
    assert rows[2][3:] == (None, None, None)  # the base's interval includes chance
    of_sets = run_sql(store, f"SELECT {ABOVE} FROM transfer WHERE transfer_set = 'objects' ORDER BY base_pct DESC")
    assert of_sets.rows() == [row[3:] for row in rows]
    letters = run_sql(store, f"SELECT DISTINCT n_classes, chance_pct, {ABOVE} FROM transfer WHERE n_classes IS NULL")
    assert letters.rows() == [(None,) * 5]


def test_cells_average_them(store):
    row = run_sql(store, "SELECT chance_pct_mean, retention_above_chance_pct_mean, chance_pct_sd FROM cells").row(0)
    assert row == (10.0, pytest.approx((2.0 + 25.0) / 2), 0.0)


def test_class_names_of_the_run_tell_the_number(tmp_path, make_record):
    names = Provenance(class_names={"objects": ("a", "b", "c", "d")})
    write_record(make_record(transfer=(evaluated(60.0, 50.0, n_classes=None),), provenance=names), tmp_path)
    ingest(tmp_path / "heatdrift.duckdb")
    assert run_sql(tmp_path / "heatdrift.duckdb", "SELECT chance_pct FROM runs")["chance_pct"].to_list() == [25.0]


def test_the_number_of_classes_is_no_result(make_record):
    with_it, without = (make_record(transfer=(evaluated(60.0, 50.0, n_classes=n),)) for n in (10, None))
    assert result_sha256(with_it) == result_sha256(without)


def test_a_table_may_give_it(tmp_path):
    head = "backbone,dataset,method,lr,seed,val_acc_pct,transfer_set,n_transfer,zero_shot_base_pct,zero_shot_pct"
    (tmp_path / "t.csv").write_text(f"{head}\nm,pets,full_ft,1e-5,7,50,cifar10,300,14,11\n")
    store = tmp_path / "s" / "heatdrift.duckdb"
    import_table(tmp_path / "t.csv", column_map([], ["transfer_classes=10"]), store_folder=store.parent, study="tab")
    ingest(store)
    assert run_sql(store, "SELECT chance_pct, retention_above_chance_pct FROM runs").row(0) == (10.0, pytest.approx(25))
    report = import_table(
        tmp_path / "t.csv", column_map([], ["transfer_classes=1"]), store_folder=store.parent, study="other"
    )
    assert "transfer_classes is 1" in report.problems[0].reason


def test_an_export_keeps_it(store, tmp_path):
    export_store(store, tmp_path / "export")
    (tmp_path / "export" / "transfer.parquet").unlink()  # the columns of the runs stand in
    mine = tmp_path / "mine" / "heatdrift.duckdb"
    import_heatdrift(tmp_path / "export", mine.parent)
    ingest(mine)
    query = f"SELECT seed, transfer_classes, {ABOVE} FROM runs ORDER BY seed"
    assert run_sql(mine, query).equals(run_sql(store, query))


def test_a_record_of_one_class_is_refused(tmp_path, make_record):
    with pytest.raises(RecordError, match="nothing to choose among"):
        write_record(make_record(transfer=(evaluated(60.0, 50.0, n_classes=1),)), tmp_path)
