"""Runs whose epochs the test split selected (protocol preprint) say so in every result and sentence about accuracy."""

import polars as pl
import pytest
from simulated_study import simulated_study

import heatdrift
from heatdrift.accuracy import accuracy_metric, selected_on_test, shown_column
from heatdrift.errors import StatsError
from heatdrift.questions.caveats import run_caveats

STUDY = simulated_study(noise=0.3)
ACCURACY = "accuracy on the test split that also selected the epochs"


@pytest.fixture(scope="module")
def preprint():
    """The same runs under the published protocol: no untouched test accuracy."""
    return STUDY.runs.with_columns(
        protocol=pl.lit("preprint"), select_on=pl.lit("test"), test_acc_pct=pl.lit(None, pl.Float64)
    )


def test_the_run_says_it_and_else_its_protocol(preprint):
    assert selected_on_test(preprint)
    assert selected_on_test(preprint.drop("select_on"))
    assert not selected_on_test(STUDY.runs)
    assert not selected_on_test(preprint.with_columns(select_on=pl.lit("val")))
    assert not selected_on_test(STUDY.runs.drop("protocol"))


def test_every_command_carries_the_caveat(preprint):
    results = [
        heatdrift.interaction(preprint, metric="retention_pct"),
        heatdrift.correlation(preprint, x="delta_erf95_pct", y="retention_pct", bootstrap=100),
        heatdrift.dose(preprint, metrics=["retention_pct"]),
        heatdrift.paired(preprint, metrics=["retention_pct"]),
        heatdrift.layers(preprint, STUDY.layers, metrics=["entropy"]),
        heatdrift.predictors(preprint, STUDY.epochs, bootstrap=100),
        heatdrift.frontier(preprint, bootstrap=100),
        heatdrift.power(preprint, metric="retention_pct", seeds=5),
    ]
    for result in results:
        assert any("selected on the provided test split" in text for text in result.caveats), type(result)
    assert heatdrift.paired(STUDY.runs, metrics=["retention_pct"]).caveats == ()


def test_sentences_about_validation_accuracy_name_what_it_is(preprint):
    sentences = [
        *heatdrift.interaction(preprint, metric="val_acc_pct").findings,
        *heatdrift.paired(preprint, metrics=["val_acc_pct"]).findings,
        *heatdrift.dose(preprint, metrics=["val_acc_pct"]).findings,
        *heatdrift.correlation(preprint, x="val_acc_pct", y="retention_pct", bootstrap=100).findings,
        *heatdrift.power(preprint, metric="val_acc_pct", seeds=5).findings[:1],
    ]
    assert len(sentences) >= 5
    assert all(ACCURACY in s.lower() for s in sentences), [s for s in sentences if ACCURACY not in s.lower()]
    for result in (
        heatdrift.interaction(preprint, metric="val_acc_pct"),
        heatdrift.paired(preprint, metrics=["val_acc_pct"]),
    ):
        assert "optimistic" in result.caveats[0]


def test_without_test_accuracy_validation_accuracy_stands_in_and_is_named(preprint):
    name, (note,) = accuracy_metric(preprint)
    assert (name, accuracy_metric(STUDY.runs)) == ("val_acc_pct", ("test_acc_pct", ()))
    paired = heatdrift.paired(preprint)
    assert {row.metric for row in paired.rows} >= {"val_acc_pct", "retention_pct"}
    assert note in paired.left_out
    found = heatdrift.frontier(preprint, bootstrap=100)
    assert found.accuracy == "val_acc_pct"
    assert note in found.left_out
    assert all(cell.test_acc_pct != cell.test_acc_pct for cell in found.cells)
    assert {row.matched_on for row in found.matched} == {"val_acc_pct", "weight_drift"}
    assert ACCURACY in found.findings[0]
    mean = preprint.filter(pl.col("method") == "full_ft", pl.col("lr") == 1e-6, pl.col("dataset") == "eurosat")
    assert found.cells[0].acc_pct == pytest.approx(mean["val_acc_pct"].mean())


def test_a_test_accuracy_that_is_asked_for_and_absent_is_an_error(preprint):
    with pytest.raises(StatsError, match="test_acc_pct"):
        heatdrift.interaction(preprint, metric="test_acc_pct")
    neither = preprint.with_columns(val_acc_pct=pl.lit(None, pl.Float64))
    with pytest.raises(StatsError, match="test_acc_pct"):
        heatdrift.frontier(neither)


def test_selection_says_that_its_criterion_selected_the_epoch(preprint):
    result = heatdrift.predictors(preprint, STUDY.epochs, bootstrap=100)
    (sentence,) = (s for s in result.descriptions if s.startswith("On eurosat"))
    assert f"best {ACCURACY}" in sentence
    assert ACCURACY in result.method
    assert "optimistic" in result.caveats[0]
    leakfree = heatdrift.predictors(STUDY.runs, STUDY.epochs, bootstrap=100)
    assert any("best validation accuracy" in s for s in leakfree.descriptions)


def test_runs_selected_on_different_splits_are_not_pooled(preprint):
    mixed = preprint.with_columns(select_on=pl.when(pl.col("seed") == 7).then(pl.lit("val")).otherwise(pl.lit("test")))
    with pytest.raises(StatsError, match="differ in select_on"):
        heatdrift.paired(mixed)


def test_a_method_that_leaves_the_encoder_is_named():
    assert run_caveats(STUDY.runs, [], methods=["full_ft", "lora_r8", "last_block"]) == ()
    (text,) = run_caveats(STUDY.runs, [], methods=["full_ft", "linear_probe"])
    assert text.startswith("Linear probe: the image encoder stays as it was")
    assert shown_column("val_acc_pct", STUDY.runs).title == "validation accuracy"
