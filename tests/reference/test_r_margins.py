"""TOST, standardised differences, exact shares and detectable differences against base R: r_margins/margins.json.

Made by make_margins.R there from R's data set `sleep` (Student 1908): two calls of `t.test` for each TOST,
`binom.test`, `uniroot` over `pt(t, df, ncp)`, `power.t.test(strict = TRUE)`.
"""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from heatdrift.stats.cell_average import cell_average
from heatdrift.stats.detectable import detectable_effect, seeds_needed
from heatdrift.stats.effect_sizes import noncentrality_interval, share_interval
from heatdrift.stats.equivalence import margin_test
from heatdrift.stats.two_samples import sample_difference

R = json.loads((Path(__file__).parent / "r_margins" / "margins.json").read_text(encoding="utf-8"))
A, B = np.array(R["a"]), np.array(R["b"])


def difference(*, paired):
    seeds = np.tile(np.arange(10), 2) if paired else np.arange(20)
    return sample_difference(np.concatenate([A, B]), np.repeat([0, 1], 10), np.zeros(20, dtype=int), seeds)


@pytest.mark.parametrize("ref", R["tost"], ids=lambda r: f"paired {r['paired']} {r['low']} {r['high']}")
def test_two_one_sided_tests_are_two_calls_of_t_test(ref):
    found = difference(paired=ref["paired"])
    test = margin_test(found.difference, found.se, found.df, ref["low"], ref["high"], 0.05)
    assert (test.p_low, test.p_high) == (pytest.approx(ref["p_low"]), pytest.approx(ref["p_high"]))
    assert (test.ci_low, test.ci_high) == pytest.approx(tuple(ref["interval90"]))
    assert found.df == pytest.approx(ref["df"])
    assert test.p == max(test.p_low, test.p_high)


@pytest.mark.parametrize("ref", R["noncentral"], ids=lambda r: f"t({r['df']}) {r['t']:.3g}")
def test_the_interval_of_the_noncentrality(ref):
    assert noncentrality_interval(ref["t"], ref["df"], 0.95) == pytest.approx(tuple(ref["interval95"]), rel=1e-6)


@pytest.mark.parametrize("ref", R["share"], ids=lambda r: f"{r['hits']} of {r['n']}")
def test_the_exact_interval_of_a_share(ref):
    assert share_interval(ref["hits"], ref["n"], 0.95) == pytest.approx(tuple(ref["interval95"]), rel=1e-8)


@pytest.mark.parametrize("ref", R["detectable"], ids=lambda r: f"{r['n']} {r['type']}")
def test_detectable_differences(ref):
    """Two samples: the difference of two seeds has the variance of both, and the df are twice those of pairs."""
    two = ref["type"] == "two.sample"
    sd = 2.0 * math.sqrt(2.0) if two else 2.0
    found = detectable_effect(sd, ref["n"], df_per_seed=2.0 if two else 1.0)
    assert found == pytest.approx(ref["delta"], rel=1e-6)


@pytest.mark.parametrize("ref", R["needed"], ids=lambda r: f"{r['delta']} {r['type']}")
def test_seeds_needed(ref):
    two = ref["type"] == "two.sample"
    sd = 2.0 * math.sqrt(2.0) if two else 2.0
    assert seeds_needed(sd, ref["delta"], df_per_seed=2.0 if two else 1.0) == math.ceil(ref["n"])


def test_one_sample_against_100():
    found = cell_average(100.0 - A, np.zeros(10, dtype=int), np.arange(10))
    assert found.t(100.0) == pytest.approx(R["one_sample"]["t"])
    assert found.interval(0.95) == pytest.approx(tuple(R["one_sample"]["interval95"]))
    assert pl.Series(R["a"]).mean() == pytest.approx(100.0 - found.mean)
