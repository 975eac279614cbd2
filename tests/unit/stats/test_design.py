import numpy as np
import pytest

from heatdrift.errors import StatsError
from heatdrift.stats.design import categorical, full_factorial, log_linear

LRS = [1e-6, 5e-6, 1e-5, 5e-5]


def test_columns_are_named_and_ordered_as_in_r():
    design = full_factorial([categorical("lr", LRS[:3]), categorical("method", ["full_ft", "lora_r8"])])
    assert design.columns == (
        "(Intercept)",
        "lr[5e-06]",
        "lr[1e-05]",
        "method[lora_r8]",
        "lr[5e-06]:method[lora_r8]",
        "lr[1e-05]:method[lora_r8]",
    )
    assert design.terms == ("lr", "method", "lr:method")


def test_hypothesis_of_a_main_effect_is_a_difference_of_marginal_means():
    design = full_factorial(
        [categorical("lr", LRS), categorical("method", ["a", "b"]), categorical("dataset", ["x", "y"])]
    )
    expected = design.marginal({"method": "b"}) - design.marginal({"method": "a"})
    np.testing.assert_allclose(design.hypotheses["method"], expected[None, :], atol=1e-12)


def test_linear_lr_is_centred_on_the_study_not_on_the_runs():
    factor = log_linear(LRS[:3], LRS, degree=1)
    np.testing.assert_allclose(factor.treatment[:, 0], np.log10(LRS[:3]) - np.mean(np.log10(LRS)))
    assert factor.labels == ("lr",)


@pytest.mark.parametrize(
    ("factor", "numeric"),
    [(log_linear(LRS, LRS, degree=2), True), (log_linear(LRS, LRS, degree=3), False), (categorical("lr", LRS), False)],
    ids=["curve", "curve through every mean", "factor"],
)
def test_a_coding_is_numeric_where_it_leaves_means_unfitted(factor, numeric):
    assert factor.numeric is numeric


def test_quadratic_lr_keeps_the_method_effect_an_average_over_the_grid():
    design = full_factorial([log_linear(LRS, LRS, degree=2), categorical("method", ["a", "b"])])
    assert design.columns == ("(Intercept)", "lr", "lr^2", "method[b]", "lr:method[b]", "lr^2:method[b]")
    expected = design.marginal({"method": "b"}) - design.marginal({"method": "a"})
    np.testing.assert_allclose(design.hypotheses["method"], expected[None, :], atol=1e-10)


@pytest.mark.parametrize(
    ("lrs", "degree", "words"), [([0.0, 1e-5], 1, "no logarithm"), ([1e-6, 1e-5], 2, "needs 3 learning rates")]
)
def test_a_curve_that_cannot_be_fitted_is_refused(lrs, degree, words):
    with pytest.raises(StatsError, match=words):
        log_linear(lrs, lrs, degree=degree)
