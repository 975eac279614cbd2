"""Runs are never pooled over a factor of their own without a word: separate, or a caveat on every answer."""

import json

import polars as pl
import pytest
from simulated_study import simulated_study

import heatdrift
from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.own_factors import factor_columns, of_levels, varying, with_own_factors

RUNS = simulated_study(noise=0.3).runs


def with_factor(runs, **levels):
    """`runs` with own factors, each a list of one level per run."""
    rows = [dict(zip(levels, row, strict=True)) for row in zip(*levels.values(), strict=True)]
    texts = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows]
    return runs.with_columns(factors=pl.Series(texts))


def twice():
    """Every run with rank 4 and with rank 16."""
    both = pl.concat([RUNS, RUNS])
    return with_factor(both, rank=["4"] * RUNS.height + ["16"] * RUNS.height)


ASKED = {
    "interaction": lambda runs: heatdrift.interaction(runs, metric="retention_pct"),
    "retention": lambda runs: heatdrift.retention(runs, margin=5.0),
    "best": lambda runs: heatdrift.best(runs, metrics=["test_acc_pct"]),
    "paired": lambda runs: heatdrift.paired(runs, metrics=["retention_pct"]),
    "dose": lambda runs: heatdrift.dose(runs, metrics=["retention_pct"]),
    "frontier": lambda runs: heatdrift.frontier(runs, bootstrap=100),
    "correlation": lambda runs: heatdrift.correlation(runs, x="delta_erf95_pct", y="retention_pct", bootstrap=100),
    "power": lambda runs: heatdrift.power(runs, metric="retention_pct", seeds=5),
}


@pytest.mark.parametrize("name", ASKED)
def test_two_ranks_under_one_key_are_not_pooled(name):
    with pytest.raises(StatsError, match=r"differ in rank \(4, 16\), which this question does not name") as caught:
        ASKED[name](twice())
    assert "--factor rank=4" in caught.value.hint


@pytest.mark.parametrize("name", ASKED)
def test_a_rank_that_goes_with_the_method_is_a_caveat(name):
    ranks = ["8" if method == "lora_r8" else None for method in RUNS["method"]]
    (said,) = (text for text in ASKED[name](with_factor(RUNS, rank=ranks)).caveats if "rank" in text)
    assert said == (
        "These runs differ in rank (8, none), which this question does not name: a difference of methods, learning "
        "rates or data sets may be one of rank. heatdrift stats model names them."
    )


def test_a_level_that_changes_between_seeds_is_in_the_mean():
    levels = ["a" if seed == RUNS["seed"].min() else "b" for seed in RUNS["seed"]]
    (said,) = heatdrift.paired(with_factor(RUNS, augmentation=levels), metrics=["retention_pct"]).caveats
    assert "means of a cell are over several levels of augmentation" in said


def test_a_factor_of_one_level_says_nothing():
    assert heatdrift.paired(with_factor(RUNS, rank=["4"] * RUNS.height), metrics=["retention_pct"]).caveats == ()


def test_levels_are_numbers_where_all_are():
    runs = with_factor(RUNS.head(3), rank=["4", "16", "4"], scale=["0.5", "1", "1"], note=["1", None, "x"])
    own = factor_columns(runs)
    assert own["rank"].to_list() == [4, 16, 4]
    assert own["scale"].to_list() == [0.5, 1.0, 1.0]
    assert own["note"].to_list() == ["1", "none", "x"]
    assert varying(runs) == {"note": ("1", "none", "x"), "rank": ("4", "16"), "scale": ("0.5", "1.0")}
    assert of_levels(runs, ["rank=4"], where="here").height == 2
    assert factor_columns(RUNS).width == 0


def test_a_name_that_runs_have_is_prefixed():
    assert with_own_factors(with_factor(RUNS, method=["a"] * RUNS.height))["factor.method"].unique().to_list() == ["a"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("rank", StatsError, "no level"),
        ("rnk=4", UnknownNameError, "rnk"),
        ("rank=5", UnknownNameError, "5"),
    ],
)
def test_a_level_that_there_is_not(text, error, words):
    with pytest.raises(error, match=words):
        of_levels(twice(), [text], where="here")
