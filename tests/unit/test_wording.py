import math

import pytest

from heatdrift import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1.2345, "−1.23"), (12345.6, "12,346"), (3.2e-7, "3.20e−7"), (99.96, "100"), (None, "–"),
     (math.nan, "–"), (math.inf, "∞")],
)  # fmt: skip
def test_number(value, text):
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.00004, "< 0.0001"), (0.00042, "0.00042"), (0.03, "0.03"), (0.0498, "0.0498"), (1.0, "1"), (math.nan, "–")],
)
def test_p_value(p, text):
    assert wording.p_value(p) == text


def test_the_heading_of_adjusted_p_values_names_the_size_of_their_family():
    assert wording.holm_head([0.2, math.nan, 0.01]) == "p (Holm over 2 rows)"


@pytest.mark.parametrize(
    ("lr", "text"), [(1e-5, "1e-5"), (5e-6, "5e-6"), (3.5e-4, "3.5e-4"), (0.0, "0"), (None, "all")]
)
def test_learning_rate_reads_as_in_a_study_file(lr, text):
    assert wording.learning_rate(lr) == text
    if lr:
        assert float(text) == lr


@pytest.mark.parametrize(("df", "text"), [(4.0, "4"), (58.43, "58.4"), (1200.0, "1,200"), (math.nan, "–")])
def test_degrees_of_freedom(df, text):
    assert wording.degrees(df) == text


@pytest.mark.parametrize(("items", "text"), [([], "none"), (["a"], "a"), (["a", "b", "c"], "a, b and c")])
def test_listed(items, text):
    assert wording.listed(items) == text
