"""Figures of what was measured: axes of accuracies, and the level of guessing."""

import json
from dataclasses import replace

import polars as pl
import pytest

from heatdrift.accuracy import chance_accuracies
from heatdrift.report.blocks import Figure
from heatdrift.report.caveats import study_caveats
from heatdrift.report.figures import dose_response, trajectories
from heatdrift.report.study_data import prepare


@pytest.fixture(scope="module")
def unlike(small, builders):
    """Two data sets, one of ten classes that is easy, one of forty that is hard."""
    study = builders.simulated(lrs=(1e-5, 1e-4), seeds=2)
    hard = pl.col("dataset") == "textures"
    runs = study.runs.with_columns(
        test_acc_pct=pl.when(hard).then(5 + pl.col("test_acc_pct") / 50).otherwise(60 + pl.col("test_acc_pct") / 50),
        train_per_class=pl.lit(20),
        n_train=pl.when(hard).then(800).otherwise(200),
    )
    return replace(study, runs=runs)


def y_scales(figure, title):
    specs = [json.loads(panel.spec) for panel in figure.panels]
    axes = [layer["encoding"]["y"] for spec in specs for layer in spec["layer"]]
    return {tuple(y["scale"]["domain"]) for y in axes if title in y["axis"]["title"][0]}


def test_accuracies_have_an_axis_per_data_set_and_retention_one_for_all(unlike):
    (figure,) = (
        b
        for b in dose_response(prepare(unlike), "f", "t", ("test_acc_pct", "retention_pct"), "c.")
        if isinstance(b, Figure)
    )
    accuracy = sorted(y_scales(figure, "test accuracy"))
    assert len(accuracy) == 2
    assert accuracy[0][1] < accuracy[1][0]
    assert len(y_scales(figure, "zero-shot retention")) == 1
    assert "Each data set has an accuracy axis of its own." in figure.caption


def test_no_axis_of_a_share_goes_below_0(unlike):
    figure = next(
        b
        for b in dose_response(prepare(unlike), "f", "t", ("test_acc_pct", "retention_pct"), "c.")
        if isinstance(b, Figure)
    )
    course = next(b for b in trajectories(prepare(unlike), "g") if isinstance(b, Figure))
    shares = y_scales(figure, "(%") | y_scales(course, "validation") | y_scales(course, "tracked")
    assert len(shares) >= 4
    assert all(low >= 0 for low, _ in shares)


def test_chance_is_100_over_the_number_of_classes_where_records_tell_it(unlike):
    data = prepare(unlike)
    assert data.chance == {"shapes": 10.0, "textures": 2.5}
    figure = next(
        b for b in dose_response(data, "f", "t", ("test_acc_pct", "retention_pct"), "c.") if isinstance(b, Figure)
    )
    assert "chance" in [entry.label for entry in figure.legend]


@pytest.mark.parametrize(("n_train", "per_class"), [([100, 200], [10, 10]), ([95, 95], [10, 10]), ([None, 100], None)])
def test_chance_is_not_guessed_from_sizes_that_do_not_tell_it(n_train, per_class):
    sizes = {"n_train": pl.Series(n_train, dtype=pl.Int64), "train_per_class": pl.Series(per_class or [None] * 2)}
    frame = pl.DataFrame({"place": ["a", "a"], **sizes}).cast({"train_per_class": pl.Int64})
    assert chance_accuracies(frame, "place") == {}


@pytest.fixture(scope="module")
def near_chance(unlike):
    """The same study with a base of 14 % on ten classes, of which an epoch-0 subset gives 20 %."""
    runs = unlike.runs.with_columns(
        zero_shot_base_pct=pl.lit(14.0), chance_pct=pl.lit(10.0), n_transfer=pl.lit(300), transfer_classes=pl.lit(10)
    )
    epochs = unlike.epochs.with_columns(track_zero_shot_pct=pl.when(pl.col("epoch") == 0).then(20.0).otherwise(18.0))
    transfer = unlike.transfer.with_columns(base_pct=pl.lit(14.0), n_images=pl.lit(300), n_classes=pl.lit(10))
    return replace(unlike, runs=runs, epochs=epochs, transfer=transfer)


def test_the_retention_of_a_model_that_guesses_is_drawn_and_printed(near_chance):
    data = prepare(near_chance)
    assert data.chance_level("retention_pct", "shapes") == pytest.approx(1000 / 14)
    assert data.chance_level("track_retention_pct", "shapes") == pytest.approx(50)
    figure = next(b for b in dose_response(data, "f", "t", ("retention_pct",), "c.") if isinstance(b, Figure))
    lines = [
        layer["encoding"]["y"].get("datum")
        for panel in figure.panels
        for layer in json.loads(panel.spec)["layer"]
        if "encoding" in layer
    ]
    assert [level for level in lines if level is not None] == [100.0, pytest.approx(1000 / 14)] * 2
    assert "chance" in [entry.label for entry in figure.legend]
    assert "A model that only guesses has a retention of 71.4 %." in figure.caption
    course = next(b for b in trajectories(data, "g") if isinstance(b, Figure))
    assert "a retention of 50.0 %" in course.caption


def test_a_page_says_that_its_base_is_near_chance(near_chance, unlike):
    said = " ".join(study_caveats(near_chance))
    assert "The zero-shot base of lab on combinations is near chance: 14.0 %" in said
    assert "near chance" not in " ".join(study_caveats(unlike))
