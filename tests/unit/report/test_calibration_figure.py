"""The estimate of retention in groups that were left out: what is drawn is what validation says."""

from dataclasses import replace

import polars as pl
import pytest

from heatdrift import Store
from heatdrift.questions.predictors import calibration
from heatdrift.questions.predictors.calibration import LINES, NAME, calibration_figure
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
    assert (error <= row.half_width).mean() == pytest.approx(row.coverage)


def test_the_figure_has_a_panel_per_group_and_states_its_coverage(mini):
    data = prepare(mini)
    figure = calibration_figure(mini, data)
    assert not any(panel.problem for panel in figure.panels)
    assert [panel.title for panel in figure.panels] == [
        "eurosat · Full FT: 42 % within, 75 % promised", "eurosat · LoRA r=8: 100 % within, 75 % promised",
        "pets · Full FT: 58 % within, 75 % promised", "pets · LoRA r=8: 100 % within, 75 % promised",
    ]  # fmt: skip
    assert "81 of 480 epochs had no estimate" in figure.caption
    rows = data.datasets[NAME]
    assert rows.group_by("group", "lr", "seed").len()["len"].max() == 1  # one mark per run
    outside = rows.filter(pl.col("inside") == "no").row(0, named=True)
    width = data.datasets[LINES].filter((pl.col("group") == outside["group"]) & (pl.col("kind") == "upper"))
    shift = (width["b"] - width["a"]).to_list()
    assert shift == pytest.approx([shift[0]] * 2)
    assert abs(outside["predicted"] - outside["observed"]) > shift[0]


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
