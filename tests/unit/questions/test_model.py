import math

import numpy as np
import polars as pl
import pytest

from heatdrift.errors import HeatdriftError, StatsError, UnknownNameError
from heatdrift.questions.model.analysis import fit_model
from heatdrift.questions.model.formula import read_formula
from heatdrift.stats.deviance import Grouping, crossings, grouped_sums, spread_out


def table(**changed):
    rng = np.random.default_rng(3)
    n = 48
    given = {
        "a": np.repeat(["u", "v", "w"], 16).tolist(),
        "b": np.tile(["p", "q"], 24).tolist(),
        "x": np.arange(n, dtype=float),
        "g": [f"g{i // 2 % 8}" for i in range(n)],
        "h": [f"h{i % 5}" for i in range(n)],
        "one": ["same"] * n,
        "row": [f"r{i}" for i in range(n)],
    }
    given["y"] = (10.0 + (np.array(given["a"]) == "w") * 2.0 + rng.normal(size=8)[np.arange(n) // 2 % 8]
                  + rng.normal(size=n)).tolist()  # fmt: skip
    return pl.DataFrame(given | changed)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ one + (1|g)", "one level"),
        ("y ~ a + (1|one)", "one level"),
        ("y ~ a + (1|row)", "as many levels as there are rows"),
        ("y ~ C(x) + (1|g)", "coefficients on 48 rows"),
        ("y ~ a + x + I(2 * x) + (1|g)", "cannot be estimated"),
        ("y ~ a", "no random intercept"),
        ("y ~ a + (x|g)", "random slope"),
        ("a ~ b + (1|g)", "is text"),
        ("y a", "no formula"),
        ("y ~ g + (1|g)", "already has a mean"),
        ("I(0 * y) ~ a + (1|g)", "nothing to explain"),
        ("y ~ a + (1|g) + (1|g:one)", "the same groups"),
        ("y ~ a + + * (1|g)", "cannot be"),
        ("y ~ bs(x, df=1) + (1|g)", "cannot be used"),
        ("I(y * 1e200) ~ a + (1|g)", "outside of the range of numbers"),
        ("I(y * 1e-200) ~ a + (1|g)", "outside of the range of numbers"),
        ("y ~ I(x * 1e160) + (1|g)", "outside of the range of numbers"),
        (None, "formula of fit_model is a text, got None"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_error(formula, said):
    with pytest.raises(StatsError, match=said):
        fit_model(table(), formula)


def test_an_unknown_column_names_the_nearest():
    for formula in ("y ~ a + sead + (1|g)", "y ~ a + (1|sead)", "sead ~ a + (1|g)", "y ~ log(sead) + (1|g)"):
        with pytest.raises(UnknownNameError, match="sead") as error:
            fit_model(table(seed=1), formula)
        assert "did you mean 'seed'" in str(error.value.hint)


def test_code_in_a_formula_is_refused():
    for term in ("__import__('os').getcwd()", "a.__class__", "open('f')"):
        with pytest.raises(HeatdriftError):
            fit_model(table(), f"y ~ {term} + (1|g)")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seed": -1, "intervals": "bootstrap"}, "must be 0 or more"),
        ({"bootstrap": 3}, "cannot give an interval"),
        ({"conf_level": 95}, "between 0 and 1"),
        ({"ddf": "kr"}, "unknown df method"),
        ({"intervals": "wld"}, "unknown kind of interval"),
        ({"means": ["c"]}, "unknown factor 'c'"),
        ({"contrasts": ["a: "]}, "compares nothing"),
    ],
)
def test_an_option_out_of_range_is_one_clear_error(asked, said):
    with pytest.raises(HeatdriftError) as refused:
        fit_model(table(), "y ~ a + (1|g)", **asked)
    assert said in refused.value.message


def test_a_large_mean_is_no_exact_fit():
    """With 1e12 added, four digits of what varies are left: an answer, and the same one to these digits."""
    frame = table()
    far = fit_model(frame.with_columns(y=frame["y"] + 1e12), "y ~ a + (1|g)")
    near = fit_model(frame, "y ~ a + (1|g)")
    assert far.random[-1].variance == pytest.approx(near.random[-1].variance, rel=1e-2)
    exact = table(y=(np.arange(48) % 3 + 1e6).tolist(), a=[f"l{i % 3}" for i in range(48)])
    with pytest.raises(StatsError, match="exactly"):
        fit_model(exact, "y ~ a + (1|g)")


def test_missing_and_infinite_values_are_counted_and_left_out():
    full = table()
    y = full["y"].to_list()
    y[0], y[1], y[2] = math.nan, math.inf, None
    result = fit_model(full.with_columns(y=pl.Series(y)), "y ~ a + (1|g)")
    assert (result.n_rows, result.n_dropped) == (45, 3)
    assert result.left_out == ("2 rows with no value in y", "1 row with an infinite value in y")
    kept = fit_model(full[3:], "y ~ a + (1|g)")
    assert result.reml_loglik == pytest.approx(kept.reml_loglik, abs=1e-10)
    logs = fit_model(full, "y ~ log(x) + (1|g)")
    assert logs.left_out == ("1 row in which the formula gives no finite value",)


def test_frames_of_other_libraries_give_the_same():
    import duckdb

    frame = table()
    expected = fit_model(frame, "y ~ a + (1|g)")
    for other in (frame.to_pandas(), frame.to_arrow(), frame.lazy(), frame.to_dict(as_series=False)):
        assert fit_model(other, "y ~ a + (1|g)") == expected
    assert fit_model(duckdb.sql("select * from frame"), "y ~ a + (1|g)").tests == expected.tests
    with pytest.raises(StatsError, match="no table"):
        fit_model(3, "y ~ a + (1|g)")


def test_a_stated_contrast_is_its_combination_of_means():
    result = fit_model(table(), "y ~ a * b + (1|g)", contrasts=["a: 1/2*u + 1/2*v - w"])
    by_level = {mean.level: mean.mean for mean in result.means if mean.spec == "a"}
    assert result.contrasts[-1].estimate == pytest.approx(0.5 * by_level["u"] + 0.5 * by_level["v"] - by_level["w"])
    with pytest.raises(StatsError, match="add up to"):
        fit_model(table(), "y ~ a + (1|g)", contrasts=["a: u + v"])
    with pytest.raises(UnknownNameError, match="level"):
        fit_model(table(), "y ~ a + (1|g)", contrasts=["a: u - z"])


def test_the_reading_over_groups_is_the_repeated_measures_test_in_balanced_data():
    balanced = pl.DataFrame(
        {
            "y": [5.1, 6.0, 4.8, 6.3, 5.6, 6.1, 5.0, 6.9],
            "a": ["u", "v"] * 4,
            "seed": ["1", "1", "2", "2", "3", "3", "4", "4"],
        }
    )
    found = next(t for t in fit_model(balanced, "y ~ a + (1|seed)").tests if t.method == "strata")
    differences = np.array([0.9, 1.5, 0.5, 1.9])
    t = differences.mean() / (differences.std(ddof=1) / 2.0)
    assert (found.cluster, found.n_clusters, found.df_den) == ("seed", 4, 3.0)
    assert found.f == pytest.approx(t**2)


def test_one_diverged_run_is_named_with_what_it_changes():
    frame = table()
    y = frame["y"].to_list()
    y[40] = -40.0
    check = next(
        c for c in fit_model(frame.with_columns(y=pl.Series(y)), "y ~ a + (1|g)").checks if c.name == "influence"
    )
    assert check.flag
    assert check.values["row"] == 41
    assert check.values["huber_weight"] < 0.2
    assert check.values["a p_without"] < 0.05 < check.values["a p"]
    assert "changes for a" in check.sentence


@pytest.mark.parametrize("kind", ["profile", "bootstrap"])
def test_every_kind_of_interval_holds_its_estimate(kind):
    result = fit_model(table(), "y ~ a + (1|g) + (1|h)", intervals=kind, bootstrap=200)
    for row in (*result.fixed, *result.contrasts):
        assert row.ci_low < row.estimate < row.ci_high
    assert all(row.ci_low <= row.variance <= row.ci_high for row in result.random[::2])


def test_sums_over_groups_are_those_of_the_indicators():
    rng = np.random.default_rng(0)
    groupings = [Grouping(name="g", codes=np.arange(12) % 3), Grouping(name="h", codes=np.arange(12) % 4)]
    z = np.hstack([g.indicator for g in groupings])
    b = rng.normal(size=(12, 2))
    np.testing.assert_allclose(grouped_sums(groupings, b), z.T @ b, atol=1e-14)
    np.testing.assert_allclose(grouped_sums(groupings, b[:, 0]), z.T @ b[:, 0], atol=1e-14)
    np.testing.assert_allclose(crossings(groupings), z.T @ z)
    np.testing.assert_allclose(spread_out(groupings, z.T @ b), z @ (z.T @ b), atol=1e-14)


def test_a_formula_nests_as_in_lme4():
    assert read_formula("y ~ (1 | a/b) + x + (1|c)").random == (("a",), ("a", "b"), ("c",))
    assert read_formula("y ~ (1 | a/b) + x + (1|c)").fixed == "x"
    assert str(read_formula("y ~ 1+(1|g)")) == "y ~ 1 + (1 | g)"
