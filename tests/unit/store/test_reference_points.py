"""Result tables of pretrained models are no runs: they become reference points, which a page shows."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError
from heatdrift.store.importers.columns import column_map
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.table import import_table
from heatdrift.store.ingest import ingest, rebuild
from heatdrift.store.reference_points import find_points
from heatdrift.store.sql import run_sql

TABLE = """acc1,acc5,mean_per_class_recall,dataset,model,pretrained,task
0.75,0.94,0.74,vtab/cifar100,ViT-L-14,openai,zeroshot_classification
0.63,0.88,0.62,wds/cifar100,ViT-B-32,laion2b_s34b_b79k,zeroshot_classification
,,,flickr30k,ViT-B-32,openai,zeroshot_retrieval
0.5,0.6,0.5,,ViT-B-32,openai,zeroshot_classification
"""
ALL = "SELECT backbone, dataset, metric, round(value_pct, 6), source FROM reference_points ORDER BY ALL"


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine" / "heatdrift.duckdb"


def bring(tmp_path, mine, text=TABLE, **options):
    (tmp_path / "t.csv").write_text(text)
    return import_table(tmp_path / "t.csv", column_map(), store_folder=mine.parent, study="s", **options)


def test_rows_of_models_become_points_once(tmp_path, mine):
    assert bring(tmp_path, mine, dry_run=True).added == 6
    assert not mine.parent.exists()
    for added, unchanged in ((6, 0), (0, 6)):
        report = bring(tmp_path, mine)
        assert (report.added, report.unchanged, report.what) == (added, unchanged, "reference point")
        assert [p.reason for p in report.problems] == [
            "row 3: no value for acc1, acc5 and mean_per_class_recall (task zeroshot_retrieval)",
            "row 4: no value for dataset",
        ]
        assert any("taken as fractions" in note for note in report.audit.notes)
        ingest(mine)
    rows = run_sql(mine, ALL).rows()
    assert len(rows) == 6
    assert ("ViT-L-14-quickgelu/openai", "cifar100", "zero_shot_pct", 75.0, "t.csv row 1") in rows
    assert ("ViT-B-32/laion2b_s34b_b79k", "cifar100", "acc5", 88.0, "t.csv row 2") in rows
    assert run_sql(mine, "FROM runs").height == 0
    mine.unlink()
    rebuild(mine)
    assert run_sql(mine, ALL).rows() == rows


def test_percentages_stay_and_a_mixture_is_refused(tmp_path, mine):
    percent = TABLE.replace("0.", "")
    assert bring(tmp_path, mine, percent).audit.measured[0].high == 75
    with pytest.raises(DataError, match=r"are at most 1 and the largest of the table is 175; are they fractions"):
        bring(tmp_path, mine, TABLE.replace("0.75", "175"))
    small = bring(tmp_path, mine, choices=Choices(percent="as-is"), dry_run=True)
    assert small.audit.measured[0].high == 0.75


def test_a_damaged_file_is_reported_and_a_lost_one_takes_its_points_along(tmp_path, mine):
    bring(tmp_path, mine)
    (path,) = find_points(mine.parent).values()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"75.0", b"99.0"))
    (problem,) = ingest(mine).problems
    assert "content changed" in problem.reason
    assert run_sql(mine, ALL).height == 0
    path.write_bytes(whole)
    ingest(mine)
    assert run_sql(mine, ALL).height == 6
    path.unlink()
    ingest(mine)
    assert run_sql(mine, ALL).height == 0


def test_a_table_with_runs_is_none_of_these(tmp_path, mine):
    text = "model,dataset,method,lr,seed,test_acc\nm,cars,full_ft,1e-5,1,60\n"
    assert bring(tmp_path, mine, text).what == "run"


def test_the_page_shows_them_next_to_the_base(tmp_path, mine):
    head = "backbone,dataset,method,lr,seed,test_acc_pct,transfer_set,n_transfer,zero_shot_base_pct,zero_shot_pct\n"
    rows = [
        f"m,cars,{method},{lr},{seed},{60 + seed},cifar100,1000,60,{50 - seed}\n"
        for method in ("full_ft", "lora_r8")
        for lr in (1e-5, 1e-4)
        for seed in (1, 2, 3)
    ]
    bring(tmp_path, mine, head + "".join(rows))
    page = tmp_path / "page.html"

    def render():
        ingest(mine)
        result = CliRunner().invoke(app, ["report", "--html", "--out", str(page), "--store", str(mine)])
        assert result.exit_code == 0, result.output
        return page.read_text()

    assert "Reference points" not in render()
    bring(tmp_path, mine)
    text = render()
    assert "Reference points" in text
    assert "ViT-L-14-quickgelu/openai" in text
    assert "base of this study" in text
    assert "mean over 12 runs" in text


def test_an_export_holds_them(tmp_path, mine):
    bring(tmp_path, mine)
    ingest(mine)
    result = CliRunner().invoke(app, ["export", "--to", str(tmp_path / "out"), "--store", str(mine)])
    assert result.exit_code == 0, result.output
    assert pl.read_parquet(tmp_path / "out" / "reference_points.parquet").height == 6


def test_the_command_says_what_they_are(tmp_path, mine):
    (tmp_path / "t.csv").write_text(TABLE)
    result = CliRunner().invoke(app, ["import", str(tmp_path / "t.csv"), "--store", str(mine)])
    assert "6 reference points imported, 0 there already, 2 left out" in result.stdout
    again = CliRunner().invoke(app, ["import", str(tmp_path / "t.csv"), "--store", str(mine), "--output", "json"])
    assert json.loads(again.stdout)["unchanged"] == 6
