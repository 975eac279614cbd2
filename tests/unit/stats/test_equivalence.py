import itertools
import math

import numpy as np
import pytest

from heatdrift.errors import StatsError
from heatdrift.stats.equivalence import adjusted_pairs, check_margin, decision, margin_test


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (0.0, "equivalent"),
        (2.5, "not inferior"),
        (-2.5, "not superior"),
        (6.0, "superior"),
        (-6.0, "inferior"),
    ],
)
def test_where_an_estimate_is_decides_what_is_said(estimate, said):
    test = margin_test(estimate, 0.5, 10.0, -3.0, 3.0, 0.05)
    assert decision(test, test.p_low, test.p_high, 0.05) == said


def test_a_wide_interval_is_undecided_though_no_difference_was_found():
    test = margin_test(0.0, 5.0, 4.0, -3.0, 3.0, 0.05)
    assert decision(test, test.p_low, test.p_high, 0.05) == "undecided"


@pytest.mark.parametrize(("estimate", "se"), list(itertools.product([-2.2, -1.0, 0.3, 2.0], [0.2, 0.9, 2.0])))
def test_equivalence_is_the_90_percent_interval_inside_the_margin(estimate, se):
    test = margin_test(estimate, se, 5.0, -2.0, 2.5, 0.05)
    assert (test.p < 0.05) == (test.ci_low > -2.0 and test.ci_high < 2.5)


def test_without_a_standard_error_there_is_no_test():
    test = margin_test(1.0, math.nan, 4.0, -3.0, 3.0, 0.05)
    assert np.isnan([test.p_low, test.p_high, test.p, test.ci_low]).all()
    assert decision(test, test.p_low, test.p_high, 0.05) == "undecided"


def test_the_adjustment_is_by_the_number_of_margins_and_leaves_one_alone():
    low, high = adjusted_pairs([0.03], [0.04])
    assert (low.tolist(), high.tolist()) == ([0.03], [0.04])
    low, high = adjusted_pairs([0.001, math.nan, 0.01, 0.2], [0.002, math.nan, 0.3, 0.9])
    assert low[[0, 2, 3]] == pytest.approx([0.003, 0.03, 0.6])
    assert high[[0, 2, 3]] == pytest.approx([0.006, 0.6, 0.9])
    assert np.isnan([low[1], high[1]]).all()


def test_some_margin_is_wrongly_kept_in_at_most_5_percent_of_studies():
    """Four truths on the ends of their margins, the hardest place: the chance of any wrong statement is bounded."""
    rng = np.random.default_rng(3)
    truth = np.array([-1.0, 1.0, 1.0, -1.0])
    wrong = 0
    for _ in range(2000):
        y = truth + 0.3 * rng.normal(size=(6, 4))
        tests = [margin_test(v.mean(), v.std(ddof=1) / 6**0.5, 5.0, -1.0, 1.0, 0.05) for v in y.T]
        low, high = adjusted_pairs([t.p_low for t in tests], [t.p_high for t in tests])
        wrong += bool(np.any(np.where(truth < 0, low, high) < 0.05))
    assert 0.02 < wrong / 2000 < 0.065


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (3.0, -3.0, "below its upper end"),
        (2.0, 2.0, "below its upper end"),
        (1.0, 3.0, "holds 0"),
        (0.0, 3.0, "holds 0"),
        (-1.0, 0.0, "holds 0"),
        (-math.inf, 1.0, "finite"),
        (math.nan, 1.0, "finite"),
    ],
)
def test_bad_margins(low, high, words):
    with pytest.raises(StatsError, match=words) as raised:
        check_margin(low, high)
    assert raised.value.hint
    check_margin(-1.0, 2.0)
