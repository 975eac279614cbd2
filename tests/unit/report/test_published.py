from dataclasses import replace

import polars as pl
import pytest

from heatdrift.accuracy import ON_TEST_TITLE
from heatdrift.report.blocks import Figure, Note, Table
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections.published import METRICS, compared, facts, published_section, published_studies
from heatdrift.report.study_data import prepare

LRS = (1e-6, 5e-6, 1e-5, 5e-5)


def section(inp):
    return published_section(inp, prepare(inp))


@pytest.fixture(scope="module")
def replication(builders):
    """A study with the conditions of the publication and retention that is exactly as published."""
    inp = builders.simulated(study="preprint80", datasets=("eurosat", "pets"), lrs=LRS, seeds=2, results=False)
    epochs = pl.when(pl.col("dataset") == "eurosat").then(20).otherwise(30)
    (published,) = published_studies()
    theirs = pl.DataFrame(published["cells"]).select("dataset", "method", "lr", zero_shot="zero_shot_pct")
    runs = inp.runs.join(theirs, on=["dataset", "method", "lr"], how="left").with_columns(
        protocol=pl.lit("preprint"), backbone=pl.lit(published["backbone"]), transfer_set=pl.lit("cifar100"),
        epochs=epochs, zero_shot_base_pct=pl.lit(60.22), test_acc_pct=pl.lit(None, dtype=pl.Float64),
        zero_shot_pct=pl.col("zero_shot") + pl.when(pl.col("seed") == 7).then(1.0).otherwise(-1.0),
    )  # fmt: skip
    return replace(inp, runs=runs.drop("zero_shot"), planned=None)


def test_the_package_has_the_published_matrix_with_its_source():
    (published,) = published_studies()
    assert "202604.0317" in published["source"]
    assert len(published["cells"]) == 16
    assert {cell["lr"] for cell in published["cells"]} == set(LRS)


def test_a_replication_is_compared_cell_by_cell(replication):
    rows = compared(replication, published_studies()[0]["cells"])
    zero_shot = rows.filter(pl.col("metric") == "zero_shot_pct")
    assert zero_shot.height == 16
    assert zero_shot["difference"].abs().max() < 1e-9
    assert zero_shot["n"].unique().to_list() == [2]
    assert set(rows["metric"]) <= set(METRICS)
    found = section(replication)
    assert any("Comparable cell by cell in 16 cells" in b.text for b in found.blocks if isinstance(b, Note))
    (figure,) = (b for b in found.blocks if isinstance(b, Figure))
    assert len(figure.panels) == 6  # 2 data sets x 3 metrics
    titles = {row[3] for row in figure.table.rows}
    assert any(title.startswith(ON_TEST_TITLE) for title in titles)
    assert not any("validation" in title for title in titles)
    assert any(t.caption.startswith("Means of each method") for t in found.blocks if isinstance(t, Table))


def test_another_study_gets_a_statement_and_no_difference(study):
    found = section(study)
    (note,) = (b for b in found.blocks if isinstance(b, Note))
    assert "Not comparable value by value: backbone, protocol" in note.text
    assert not any(isinstance(b, Figure) for b in found.blocks)
    conditions, theirs = (b for b in found.blocks if isinstance(b, Table))
    assert ("backbone", "ViT-B-32-quickgelu/openai", "lab", "no") in conditions.rows
    assert theirs.folded
    assert len(theirs.rows) == 16


@pytest.mark.parametrize("change", ["backbone", "protocol", "transfer_set"])
def test_one_decisive_difference_forbids_subtraction(replication, change):
    other = replace(replication, runs=replication.runs.with_columns(pl.lit("other").alias(change)))
    assert not any(isinstance(b, Figure) for b in section(other).blocks)


def test_what_is_not_known_here_is_said_not_guessed(replication):
    bare = replace(replication, runs=replication.runs.with_columns(transfer_set=pl.lit(None, dtype=pl.String)))
    (fact,) = (f for f in facts(bare, published_studies()[0]) if f.name == "transfer set")
    assert fact.same is None


def test_without_a_finished_run_there_is_nothing_to_compare(replication):
    (note,) = section(replace(replication, runs=replication.runs.clear())).blocks
    assert "No finished run" in note.text


def test_learning_rates_are_listed_by_size():
    [published] = published_studies()
    found = {fact.name: fact for fact in facts(ReportInput(study="none"), published)}
    assert found["learning rates"].theirs == "1e-6, 5e-6, 1e-5, 5e-5"
