import pytest

from heatdrift.stats.text import counted, method_title, number, p_text, percent, signed, with_unit


@pytest.mark.parametrize(
    ("value", "shown"), [(0.12345, "0.123"), (-2.0, "−2"), (12345.6, "12346"), (1e-7, "1e-07"), (float("nan"), "n/a")]
)
def test_number_has_three_digits_and_a_true_minus(value, shown):
    assert number(value) == shown


def test_signed_number_shows_its_plus():
    assert (signed(1.5), signed(-1.5), signed(float("nan"))) == ("+1.5", "−1.5", "n/a")


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
