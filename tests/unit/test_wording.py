"""The one formatter: what sentences and tables print for numbers, p-values, degrees of freedom, names and lists."""

import math

import pytest

from heatdrift import wording
from heatdrift.wording import (
    at_equal_decimals,
    counted,
    family_text,
    method_title,
    number,
    p_span,
    p_text,
    percent,
    quoted,
    signed,
    with_unit,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1.2345, "−1.23"), (12345.6, "12,346"), (3.2e-7, "3.20e−7"), (99.96, "100"), (None, "–"),
     (math.nan, "–"), (math.inf, "∞")],
)  # fmt: skip
def test_number_of_every_size(value, text):
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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (-2.0, "−2.00"),
        (12345.6, "12,346"),
        (999.7, "1,000"),
        (1e-7, "1.00e−7"),
        (float("nan"), "–"),
    ],
)
def test_number_has_three_digits_and_a_true_minus(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "+1.50"), (-54.0, "−54.0"), (58.958, "+59.0"), (99.96, "+100"), (999.7, "+1,000"), (0.0, "0"),
     (1.2e-5, "+1.20e−5"), (float("nan"), "–")],
)  # fmt: skip
def test_signed_number_shows_its_plus_and_all_three_digits(value, shown):
    assert signed(value) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0341, "p = 0.034"),
        (9e-5, "p < 0.0001"),
        (float("nan"), "p not defined"),
        (0.0498, "p = 0.0498"),
        (0.05, "p = 0.05"),
    ],
)
def test_p_is_never_shown_as_zero(p, shown):
    assert p_text(p) == shown


def test_words():
    assert (counted(1, "seed"), counted(3, "seed"), percent(0.95)) == ("1 seed", "3 seeds", "95 %")
    assert (method_title("lora_r8"), method_title("my_method")) == ("LoRA r=8", "my_method")
    assert (with_unit("0.8", "0..1"), with_unit("0.8", "nats")) == ("0.8", "0.8 nats")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([99.99, 100.095, 94.09], ["100.0", "100.1", "94.1"]),
        ([99.98, 100.02], ["99.98", "100.02"]),
        ([50.0, 50.0], ["50.0", "50.0"]),
        ([-0.34, float("nan")], ["−0.3", "–"]),
        ([1.0, 1.0 + 1e-9], ["1.0", "1.0"]),
        ([12.34], ["12.3"]),
    ],
)
def test_values_that_differ_read_differently(values, shown):
    assert at_equal_decimals(values) == shown


def test_values_that_differ_read_differently_beside_one_that_is_nan():
    assert at_equal_decimals([99.98, 100.02, float("nan")]) == ["99.98", "100.02", "–"]


def test_a_span_of_p_has_the_digits_of_each_end():
    assert p_span([0.39, 0.018]) == "p = 0.018 to 0.39"
    assert p_span([1e-6, 0.0498]) == "p < 0.0001 to 0.0498"
    assert p_span([1e-6, 2e-6]) == "p < 0.0001"
    assert p_span([0.02, float("nan")]) == "p = 0.02"
    assert p_span([]) == "p not defined"


def test_long_lists_name_the_first_and_count_the_rest():
    assert quoted(["a"]) == "“a”"
    assert quoted(["a", "b, last block"]) == "“a” and “b, last block”"
    assert quoted(list("abcd")) == "“a”, “b”, “c” and “d”"
    assert quoted(list("abcdefghi")) == "“a”, “b”, “c” and 6 more"


def test_a_family_is_named_by_what_differs_in_it():
    assert family_text(4, {"metric": ["a", "b"] * 2, "data set": [None, "d"] * 2}) == "4 tests by metric and data set"
    assert family_text(2, {"metric": ["a", "b"], "data set": ["d", "d"]}) == "2 tests by metric"
    assert (
        family_text(8, {"metric": "ab", "data set": "cd", "method": "ef"}) == "8 tests by metric, data set and method"
    )
    assert family_text(1, {"metric": ["a"]}) == "1 test"


def test_statistics_and_intervals_have_one_notation_in_sentences_and_tables():
    assert wording.t_text(4.0, 20.31) == "t(4) = +20.3"
    assert wording.f_text(1.4299, 5.7196, 41.5) == "F(1.43, 5.72) = 41.5"
    assert wording.f_text(3.0, 12.0, 3.0) == "F(3, 12) = 3.00"
    assert wording.difference_interval(0.95, 54.61, 59.0) == "95 % CI +54.6 to +59.0"
    assert wording.interval(-1.0, 3.0) == "[−1.00, 3.00]"


def test_tables_of_a_terminal_have_six_digits_that_can_be_copied():
    assert [wording.six_digits(v) for v in (-0.5, 12.3456789, 1e-7, math.nan)] == ["-0.5", "12.3457", "1e-07", ""]


def test_sizes_of_files():
    assert wording.megabytes(2_499_000) == "2.50 MB"


def test_what_is_left_of_equal_numbers_is_zero():
    assert wording.signed(5.68e-14) == "0"
    assert wording.number(-3e-13) == "0"
    assert wording.signed(2e-9) == "+2.00e−9"


def test_an_interval_never_reads_as_a_point():
    assert wording.difference_interval(0.95, 54.6, 59.0) == "95 % CI +54.6 to +59.0"
    assert wording.difference_interval(0.95, 56.81, 56.84) == "95 % CI +56.81 to +56.84"
    assert wording.difference_interval(0.95, 100.0, 100.0 + 1e-13) == "no 95 % CI: no spread between seeds"
    assert wording.difference_interval(0.95, float("nan"), 1.0) == "no 95 % CI"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1 h 30 min"), (12_000, "3 h 20 min"),
     (187_200, "2 d 4 h")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds, text):
    assert wording.duration(seconds) == text
