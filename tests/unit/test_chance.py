"""A base near chance: retention says nothing there, and above chance only with the base's own error."""

import math

import numpy as np
import polars as pl
import pytest
from simulated_study import simulated_study

import heatdrift
from heatdrift.accuracy import base_warnings, chance_accuracies
from heatdrift.chance import Z95, ZeroShotBase, retention_above_chance, smallest_clear_base

ISSUE = ZeroShotBase(base_pct=14.0, n_images=300, n_classes=10)  # SE 2.0, chance 10 %


def test_the_base_of_the_issue_is_near_chance():
    assert ISSUE.se_pct == pytest.approx(2.0, abs=0.01)
    assert ISSUE.near_chance
    assert not ISSUE.includes_chance
    estimate, low, high = retention_above_chance(ISSUE, 11.0)
    assert estimate == pytest.approx(25.0)
    assert low < 0
    assert high > 1000
    text = ISSUE.warning("cifar10", "photo-mini")
    assert "14.0 % (95 % interval 10.1 to 17.9 %, 300 images)" in text
    assert "guessing among 10 classes scores 10.0 %" in text
    assert "retention of 71 %" in text


@pytest.mark.parametrize(
    ("base", "images", "classes", "near", "includes"),
    [
        (60.0, 10_000, 100, False, False),
        (14.0, 100_000, 10, True, False),  # precise, but guessing keeps 71 % of it
        (12.0, 300, 10, True, True),
        (3.0, 300, 10, True, True),  # below chance
        (0.0, 300, 10, True, True),
        (100.0, 300, 10, False, False),
        (3.0, 400, 100, True, False),  # 1.96 SE is more than half of what is above chance
    ],
)
def test_what_is_near_chance(base, images, classes, near, includes):
    found = ZeroShotBase(base_pct=base, n_images=images, n_classes=classes)
    assert (found.near_chance, found.includes_chance) == (near, includes)
    assert (retention_above_chance(found, base) is None) == includes


def test_the_interval_is_that_of_fieller():
    """The ends are where (adapted - chance) - r (base - chance) is 1.96 of its standard errors from 0."""
    base, adapted = ZeroShotBase(base_pct=40.0, n_images=500, n_classes=10), 31.0
    _, low, high = retention_above_chance(base, adapted)
    for end in (low / 100, high / 100):
        variance = adapted * (100 - adapted) / 500 + end**2 * base.se_pct**2
        assert abs(adapted - 10 - end * 30) == pytest.approx(Z95 * math.sqrt(variance))


def test_the_interval_covers():
    """2,000 draws of both accuracies: the true ratio is inside 95 % of the intervals (binomial error 1.0 %)."""
    rng = np.random.default_rng(5)
    n, base, adapted = 400, 0.40, 0.28
    truth = 100 * (adapted - 0.1) / (base - 0.1)
    inside = 0
    for hits_base, hits_adapted in zip(rng.binomial(n, base, 2000), rng.binomial(n, adapted, 2000), strict=True):
        drawn = ZeroShotBase(base_pct=100 * hits_base / n, n_images=n, n_classes=10)
        _, low, high = retention_above_chance(drawn, 100 * hits_adapted / n)
        inside += low <= truth <= high
    assert 0.935 <= inside / 2000 <= 0.965


def test_how_good_a_base_must_be():
    needed = smallest_clear_base(10, 300)
    assert not ZeroShotBase(base_pct=needed, n_images=300, n_classes=10).near_chance
    assert ZeroShotBase(base_pct=needed - 0.1, n_images=300, n_classes=10).near_chance
    assert smallest_clear_base(2, 50) is None  # guessing keeps half of any base


def near(base=14.0):
    """A study whose base is near chance on ten classes."""
    study = simulated_study(noise=0.3)
    runs = study.runs.with_columns(
        zero_shot_base_pct=pl.lit(base), n_transfer=pl.lit(300), transfer_classes=pl.lit(10), chance_pct=pl.lit(10.0)
    )
    return study, runs.with_columns(zero_shot_pct=pl.col("retention_pct") * base / 100)


def test_every_question_about_retention_warns():
    study, runs = near()
    for result in (
        heatdrift.interaction(runs, metric="retention_pct"),
        heatdrift.correlation(runs, x="delta_erf95_pct", y="retention_pct", bootstrap=100),
        heatdrift.dose(runs, metrics=["retention_pct"]),
        heatdrift.paired(runs, metrics=["retention_pct"]),
        heatdrift.predictors(runs, study.epochs, bootstrap=100),
        heatdrift.frontier(runs, bootstrap=100),
        heatdrift.power(runs, metric="retention_pct", seeds=5),
    ):
        assert any("near chance: 14.0 %" in text for text in result.caveats), type(result)
    assert not any("near chance" in text for text in heatdrift.dose(runs, metrics=["cka"]).caveats)
    _, clear = near(60.0)
    assert not any("near chance" in text for text in heatdrift.dose(clear, metrics=["retention_pct"]).caveats)


def test_without_classes_nothing_is_said():
    _, runs = near()
    assert base_warnings(runs.with_columns(transfer_classes=pl.lit(None, pl.Int64))) == []
    assert base_warnings(runs.drop("transfer_classes")) == []


def test_chance_of_a_target_is_known_by_its_class_names_or_its_split():
    frame = pl.DataFrame(
        {
            "dataset": ["a", "b", "c", "d", "d"],
            "class_names": ['{"a": ["x", "y", "z", "w"], "t": ["1", "2"]}', None, None, None, None],
            "n_train": [7, 100, 100, 100, 90],
            "train_per_class": [2, 10, None, 10, 10],
        }
    )
    assert chance_accuracies(frame) == {"a": 25.0, "b": 10.0}


def test_accuracies_at_a_bound_are_named_with_their_cells():
    _, runs = near(60.0)
    runs = runs.with_columns(
        n_test=pl.lit(500),
        n_train=pl.lit(40),
        train_per_class=pl.lit(10),
        test_acc_pct=pl.when((pl.col("lr") > 5e-5) & (pl.col("method") == "full_ft") & (pl.col("dataset") == "pets"))
        .then(100.0)
        .when((pl.col("seed") == 7) & (pl.col("method") == "lora_r8") & (pl.col("lr") < 5e-6))
        .then(27.0)
        .otherwise(80.0 + 1e5 * pl.col("lr") + 0.1 * pl.col("seed")),
    )
    text = " ".join(heatdrift.dose(runs, metrics=["test_acc_pct"]).caveats)
    assert "Test accuracy (test_acc_pct) is 100 %, its ceiling, in 4 of 48 runs (pets/full_ft at lr 1e-4: 4)" in text
    assert "is not above chance (25.0 %) by more than its binomial error in 2 of 48 runs" in text
    assert "eurosat/lora_r8 at lr 1e-6: 1; pets/lora_r8 at lr 1e-6: 1" in text
    lost = runs.with_columns(zero_shot_pct=pl.when(pl.col("lr") > 5e-5).then(0.0).otherwise(12.0))
    text = " ".join(heatdrift.dose(lost, metrics=["retention_pct"]).caveats)
    assert "(zero_shot_pct) is 0, its floor, in 16 of 48 runs" in text
    assert "is not above chance (10.0 %) by more than its binomial error in 32 of 48 runs" in text
    assert heatdrift.dose(runs, metrics=["cka"]).caveats == ()
