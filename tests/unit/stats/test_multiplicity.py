import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from heatdrift.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm, single_step_max

NAN = float("nan")
RULES = {holm: "holm", benjamini_hochberg: "fdr_bh", benjamini_yekutieli: "fdr_by"}


@pytest.mark.parametrize("adjust", RULES, ids=RULES.get)
def test_a_rule_is_that_of_statsmodels_and_leaves_undefined_p_out_of_the_family(adjust):
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 200):
        p = rng.random(size) ** 4
        p[size // 2] = p[0]  # a tie
        expected = multipletests(p, method=RULES[adjust])[1]
        np.testing.assert_allclose(adjust(p), expected, rtol=1e-13)
        holes = np.insert(p, size // 2, NAN)
        assert np.isnan(adjust(holes)[size // 2])
        np.testing.assert_allclose(np.delete(adjust(holes), size // 2), expected, rtol=1e-13)
    assert adjust([]).size == 0
    assert np.isnan(adjust([NAN, NAN])).all()


@pytest.mark.parametrize(("adjust", "name"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")])
def test_false_discovery_rates_are_scipys(adjust, name):
    p = np.random.default_rng(1).random(1000) ** 3
    np.testing.assert_allclose(adjust(p), stats.false_discovery_control(p, method=name), rtol=1e-14)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == [0.03, 0.06, 0.06]
    assert holm([0.9, 0.8]).max() == 1.0


def test_the_largest_statistic_of_the_family_counts():
    draws = np.array([[3.0, 0.0, 9.0], [1.0, 2.0, 9.0], [0.0, 1.0, 9.0], [2.0, 2.0, 9.0]])
    observed = np.array([2.0, 3.0, NAN])  # the third is no member: its draws are the largest of all
    assert single_step_max(observed, draws, all_arrangements=True)[:2].tolist() == [0.75, 0.25]
    assert single_step_max(observed, draws, all_arrangements=False)[:2].tolist() == [0.8, 0.4]
    assert np.isnan(single_step_max(observed, draws, all_arrangements=True)[2])
    assert np.isnan(single_step_max(np.full(3, NAN), draws, all_arrangements=True)).all()


def test_single_step_max_holds_the_family_wise_error():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(400, 200, 1)) + rng.normal(size=(400, 200, 5))  # dependent: Bonferroni would be cautious
    smallest = [single_step_max(family[0], family[1:], all_arrangements=False).min() for family in shared]
    assert np.mean(np.array(smallest) <= 0.1) == pytest.approx(0.1, abs=0.045)
