"""The numbers of docs/questions/predictors.md about the estimate are what it does on mini and on the given records."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from report_inputs import RECORDS
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.questions.predictors.estimate import estimate, observations, validate, validated
from heatdrift.store.ingest import ingest, open_current
from heatdrift.store.read import read_view

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "questions" / "predictors.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    shutil.copytree(ROOT / "runs" / "mini", folder / "mini")
    ingest(folder / "heatdrift.duckdb")
    with open_current(folder / "heatdrift.duckdb") as connection:
        return observations(read_view(connection, "runs"), read_view(connection, "epochs"))


def test_the_page_quotes_every_left_out_part_of_mini(mini):
    for r in validate(mini):
        refused = f"{r.n_refused} of {r.n}"
        assert (r.level, r.coverage) == (None, None)  # three groups or fewer are left, and not all of them calibrate
        assert f"| {r.left_out} | {r.mae:.1f} | {refused} | - | - |" in PAGE


def test_an_estimate_from_mini_names_its_level_and_refuses_what_it_has_not_seen(mini):
    assert estimate(mini, {"embedding_drift": 0.3, "cka": 0.95}).level == 0.6
    assert estimate(mini, {"embedding_drift": 1.5, "cka": 0.95}).refused is not None


@pytest.mark.skipif(not RECORDS.is_dir(), reason="../shared/records/vitb16 is absent")
def test_the_page_quotes_what_mini_says_of_the_reference_runs_and_that_they_alone_are_refused(mini, tmp_path):
    store = tmp_path / "heatdrift.duckdb"
    brought = CliRunner().invoke(app, ["import", str(RECORDS), "--store", str(store), "--study", "given"])
    assert brought.exit_code == 0, brought.output
    with open_current(store) as connection:
        given = observations(read_view(connection, "runs"), read_view(connection, "epochs"))
    assert all(row.n_refused == row.n for row in validate(given))
    for method in ("full_ft", "lora_r8"):
        r = validated(mini, given.filter(pl.col("method") == method), by="study", left_out=method)
        line = f"| {method} | {r.mae:.1f} | {r.bias:+.1f} | {r.level:.2f} | {r.coverage:.2f} |"
        assert line in PAGE
        assert f"{r.half_width:.1f}" in PAGE.partition("because they are wide (")[2].partition(")")[0]
        assert r.coverage >= r.level
