import pytest

from heatdrift.metrics import signal_title
from heatdrift.wording_stats import (
    apart,
    counted,
    family_by,
    method_title,
    named,
    number,
    p_span,
    p_text,
    percent,
    signed,
    with_unit,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.12345, "0.123"), (-2.0, "−2"), (12345.6, "12346"), (999.7, "1000"), (1e-7, "1e-07"), (float("nan"), "n/a")],
)
def test_number_has_three_digits_and_a_true_minus(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "+1.50"), (-54.0, "−54.0"), (58.958, "+59.0"), (99.96, "+100"), (999.7, "+1000"), (0.0, "+0"),
     (1.2e-5, "+1.2e-05"), (float("nan"), "n/a")],
)  # fmt: skip
def test_signed_number_shows_its_plus_and_all_three_digits(value, shown):
    assert signed(value) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.0341, "p = 0.034"), (9e-5, "p < 0.0001"), (float("nan"), "p n/a"), (0.0498, "p = 0.0498"), (0.05, "p = 0.05")],
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
        ([-0.34, float("nan")], ["−0.3", "n/a"]),
        ([1.0, 1.0 + 1e-9], ["1.0", "1.0"]),
        ([12.34], ["12.3"]),
    ],
)
def test_values_that_differ_read_differently(values, shown):
    assert apart(values) == shown


def test_values_that_differ_read_differently_beside_one_that_is_nan():
    assert apart([99.98, 100.02, float("nan")]) == ["99.98", "100.02", "n/a"]


def test_a_span_of_p_has_the_digits_of_each_end():
    assert p_span([0.39, 0.018]) == "p = 0.018 to 0.39"
    assert p_span([1e-6, 0.0498]) == "p < 0.0001 to 0.0498"
    assert p_span([1e-6, 2e-6]) == "p < 0.0001"
    assert p_span([0.02, float("nan")]) == "p = 0.02"
    assert p_span([]) == "p n/a"


def test_long_lists_name_the_first_and_count_the_rest():
    assert named(["a"]) == "“a”"
    assert named(["a", "b, last block"]) == "“a” and “b, last block”"
    assert named(list("abcd")) == "“a”, “b”, “c” and “d”"
    assert named(list("abcdefghi")) == "“a”, “b”, “c” and 6 more"


def test_a_family_is_named_by_what_differs_in_it():
    assert family_by(4, {"metric": ["a", "b"] * 2, "data set": [None, "d"] * 2}) == "4 tests by metric and data set"
    assert family_by(2, {"metric": ["a", "b"], "data set": ["d", "d"]}) == "2 tests by metric"
    assert family_by(8, {"metric": "ab", "data set": "cd", "method": "ef"}) == "8 tests by metric, data set and method"
    assert family_by(1, {"metric": ["a"]}) == "1 test"


def test_signals_have_the_words_of_their_columns():
    assert signal_title("cka_debiased") == "linear CKA to base, debiased"
    assert signal_title("abs_delta_entropy_pct") == "|Δ attention entropy|"
    assert signal_title("log10_lr") == "log₁₀ learning rate"
    assert signal_title("my_signal") == "my_signal"
