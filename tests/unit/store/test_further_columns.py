"""Columns that are none of ours are kept and can be asked about; what is no result is not."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DuplicateRunsError, UnknownNameError
from heatdrift.store.export import export_store
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.records import import_heatdrift
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.sql import run_sql

HEAD = ",backbone,dataset,method,lr,seed,test_acc_pct,val/f1,note,_timestamp\n"
ALL = "SELECT seed, metric, value FROM further JOIN runs USING (study, cell_id) ORDER BY ALL"


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


@pytest.fixture
def bring(tmp_path, mine):
    def run(*rows, head=HEAD, ignore=(), **options):
        (tmp_path / "t.csv").write_text(head + "".join(f"{i},{row}\n" for i, row in enumerate(rows)))
        choices = Choices(ignore=ignore)
        report = import_table(
            tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s", choices=choices, **options
        )
        ingest(mine)
        return report

    return run


def test_numbers_under_their_own_names_are_kept(bring, mine):
    rows = ("m,cars,full_ft,1e-5,1,60,0.5,blue,17", "m,cars,full_ft,1e-5,2,61,nan,red,18")
    report = bring(*rows)
    assert report.audit.further == ("val/f1",)
    assert report.ignored == ("index", "note", "_timestamp")
    assert run_sql(mine, ALL).rows() == [(1, "val/f1", 0.5)]
    assert bring(*rows).unchanged == 2
    rebuild(mine)
    assert run_sql(mine, ALL).rows() == [(1, "val/f1", 0.5)]


def test_they_survive_an_export(bring, mine, tmp_path):
    bring("m,cars,full_ft,1e-5,1,60,0.5,blue,17")
    for name in ("export", "export.duckdb"):
        export_store(mine, tmp_path / name)
        other = tmp_path / f"of_{name}" / "heatdrift.duckdb"
        import_heatdrift(tmp_path / name, other.parent)
        ingest(other)
        assert run_sql(other, ALL).rows() == [(1, "val/f1", 0.5)]


def test_they_count_as_results_and_a_rule_settles_them(bring, mine):
    rows = ("m,cars,full_ft,1e-5,1,60,0.5,blue,17", "m,cars,full_ft,1e-5,1,60,0.7,blue,18")
    with pytest.raises(DuplicateRunsError, match=r"val/f1 0.5 and 0.7"):
        bring(*rows)
    assert bring(*rows, ignore=("val/f1",), dry_run=True).doubled == 1
    bring(*rows, duplicates="mean")
    assert run_sql(mine, ALL).rows() == [(1, "val/f1", pytest.approx(0.6))]


def test_a_run_that_was_kept_without_them_gets_them(bring, mine):
    row = "m,cars,full_ft,1e-5,1,60,0.5,blue,17"
    bring(row, ignore=("val/f1",))
    assert run_sql(mine, ALL).height == 0
    assert bring(row).added == 1
    assert run_sql(mine, ALL).height == 1


def test_a_zero_shot_accuracy_without_its_base_is_kept_and_said(bring, mine):
    head = ",backbone,dataset,method,lr,seed,test_acc_pct,zero_shot_pct\n"
    report = bring("m,cars,full_ft,1e-5,1,60,52", head=head)
    assert "zero_shot_pct is kept as further.zero_shot_pct" in report.audit.notes[0]
    assert run_sql(mine, ALL).rows() == [(1, "zero_shot_pct", 52.0)]


def test_an_unknown_column_cannot_be_ignored(bring):
    with pytest.raises(UnknownNameError, match="val/f2"):
        bring("m,cars,full_ft,1e-5,1,60,0.5,blue,17", ignore=("val/f2",))


def test_statistics_can_be_asked_about_them(bring, mine):
    rows = [
        f"m,cars,{method},{lr},{seed},{60 + seed},{0.5 + seed / 50 + 1e3 * lr + 0.1 * (method == 'full_ft')},x,1"
        for method in ("full_ft", "lora_r8")
        for lr in (1e-5, 1e-4)
        for seed in (1, 2, 3)
    ]
    bring(*rows)
    result = CliRunner().invoke(
        app, ["stats", "paired", "--metric", "further.val/f1", "--store", str(mine), "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["rows"]
    assert row["difference"] == pytest.approx(-0.1)
    wrong = CliRunner().invoke(app, ["stats", "paired", "--metric", "further.f1", "--store", str(mine)])
    assert isinstance(wrong.exception, UnknownNameError)
    assert "val/f1" in (wrong.exception.hint or "")


def test_a_column_that_is_a_number_only_in_some_rows_is_none(bring):
    report = bring("m,cars,full_ft,1e-5,1,60,0.5,3,17", "m,cars,full_ft,1e-5,2,61,high,4,18")
    assert report.audit.further == ("note",)
    assert "val/f1" in report.ignored


def test_a_typed_table_keeps_numbers_and_no_truth_values(tmp_path, mine):
    rows = {"backbone": ["m"], "dataset": ["d"], "method": ["x"], "lr": [0.1], "seed": [1], "f1": [0.5], "amp": [True]}
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    report = import_table(tmp_path / "t.parquet", column_map(), store_folder=mine.parent, study="s")
    assert report.audit.further == ("f1",)
    assert report.ignored == ("amp",)
