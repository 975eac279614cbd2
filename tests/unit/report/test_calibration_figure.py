"""The estimate of retention in groups that were left out: what is drawn is what validation says."""

from dataclasses import replace

import polars as pl
import pytest

from heatdrift import Store
from heatdrift.questions.predictors import calibration, estimate
from heatdrift.questions.predictors.calibration import NAME, calibration_figure
from heatdrift.questions.predictors.estimate import left_out_group, observations, validate
from heatdrift.report.blocks import Figure, Note
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.study_data import prepare


@pytest.fixture(scope="module")
def mini():
    store = Store.shipped()
    return ReportInput(study="mini", runs=store.view("runs", study="mini"), epochs=store.view("epochs", study="mini"))


def test_a_group_that_is_left_out_is_predicted_as_validation_says(mini):
    table = observations(mini.runs, mini.epochs)
    row = next(row for row in validate(table) if row.left_out == "pets full_ft")
    found = left_out_group(table, ("pets", "full_ft"))
    assert found.row == row
    assert found.points.height == row.n - row.n_refused
    error = (found.points["predicted"] - found.points["observed"]).abs()
    assert error.mean() == pytest.approx(row.mae)
    assert (row.level, row.coverage) == (None, None)  # mini's groups calibrate no interval
    assert found.points["low"].is_nan().all()


def test_an_interval_is_that_of_validation(mini, monkeypatch):
    """Asked for less than is guaranteed, mini's groups give intervals: drawn are those that validation counts."""
    monkeypatch.setattr(estimate, "supported_level", lambda n_groups: 0.5 if n_groups else None)
    table = observations(mini.runs, mini.epochs)
    rows = {row.left_out: row for row in validate(table)}
    shown = 0
    for group in table.select("dataset", "method").unique().rows():
        found = left_out_group(table, group)
        assert found.row == rows[" ".join(group)]
        if found.row.level is not None:
            inside = (found.points["low"] <= found.points["observed"]) & (
                found.points["observed"] <= found.points["high"]
            )
            assert inside.mean() == pytest.approx(found.row.coverage)
            shown += 1
    assert shown
    figure = calibration_figure(mini, prepare(mini))
    assert not any(panel.problem for panel in figure.panels)
    assert any("within, 50 % promised" in panel.title for panel in figure.panels)
    assert "A bar is the interval of one run" in figure.caption


def test_the_figure_has_a_panel_per_group_and_says_that_it_has_no_interval(mini):
    data = prepare(mini)
    figure = calibration_figure(mini, data)
    assert not any(panel.problem for panel in figure.panels)
    assert [panel.title for panel in figure.panels] == [
        "eurosat · Full FT: no interval", "eurosat · LoRA r=8: no interval",
        "pets · Full FT: no interval", "pets · LoRA r=8: no interval",
    ]  # fmt: skip
    assert "No interval is given" in figure.caption
    assert "81 of 480 epochs had no estimate" in figure.caption
    rows = data.datasets[NAME]
    assert rows.group_by("group", "lr", "seed").len()["len"].max() == 1  # one mark per run
    assert rows["inside"].unique().to_list() == ["no interval"]


def test_there_is_none_where_nothing_can_be_estimated(mini, monkeypatch):
    data = prepare(mini)
    assert calibration_figure(ReportInput(study="s"), data) is None
    bare = replace(mini, epochs=mini.epochs.with_columns(cka=pl.lit(None, dtype=pl.Float64)))
    assert calibration_figure(bare, data) is None
    two = replace(mini, runs=mini.runs.filter(pl.col("dataset") == "pets"))
    assert calibration_figure(two, data) is None  # two groups: of each one other is left
    monkeypatch.setattr(calibration, "MAX_OBSERVATIONS", 100)
    (note,) = figure_or_note("the estimate", lambda: calibration_figure(mini, data), data.datasets)
    assert isinstance(note, Note)
    assert "480 observations" in note.text
    assert not isinstance(note, Figure)
