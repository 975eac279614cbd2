"""What whole pages claim where nothing is true, with other seeds than docs/calibration_page.md."""

import sys
from pathlib import Path

import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

from calibrate_page import first_question, page_claims, page_power
from page_conditions import HELD_OUT, METHOD_EFFECT, SLOPE_EFFECT, TUNED

pytestmark = pytest.mark.slow


def most(rate, draws):
    """The percentage that a true rate (in %) exceeds once in a thousand simulations of `draws`."""
    return 100.0 * stats.binom.ppf(0.999, draws, rate / 100.0) / draws


@pytest.mark.parametrize("condition", [TUNED[2], TUNED[6], HELD_OUT[0]], ids=lambda c: c.name)
def test_the_first_question_keeps_its_rate(condition):
    assert first_question(condition, 800, seed=5) <= most(7.0, 800)


@pytest.mark.parametrize("condition", [TUNED[10], HELD_OUT[3]], ids=lambda c: c.name)
def test_a_page_about_nothing_rarely_claims_anything(condition):
    found = page_claims(condition, 60, seed=6)
    assert found["Findings"] <= most(7.0, 60)
    assert found["either"] <= most(10.0, 60)
    assert found["each answer by itself"] > found["either"]


def test_what_is_asked_first_is_found():
    method = page_power(METHOD_EFFECT[0], "method", 200, seed=7)
    assert method["asked first"] >= 80.0
    assert method["asked first"] == method["the test itself"] > method["Holm over the terms of its model"]
    slope = page_power(SLOPE_EFFECT[0], "lr:method", 200, seed=7)
    assert slope["asked first"] >= 33.0 > slope["Holm over the terms of its model"]
