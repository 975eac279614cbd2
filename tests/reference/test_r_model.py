import json
from pathlib import Path

import polars as pl
import pytest

from heatdrift.questions.model.analysis import fit_model

FOLDER = Path(__file__).parent / "r_model"
CASES = json.loads((FOLDER / "model.json").read_text())["cases"]
GROUPS = ("replicate", "Worker", "Subject")


def fitted(case):
    table = pl.read_csv(FOLDER / f"{case['data']}.csv", schema_overrides=dict.fromkeys(GROUPS, pl.String))
    return fit_model(table, case["formula"], means=[spec["spec"] for spec in case.get("means", [])])


@pytest.mark.parametrize("case", CASES, ids=[f"{c['data']}: {c['formula']}" for c in CASES])
def test_a_model_is_r_s(case):
    result = fitted(case)
    assert result.n_rows == case["n"]
    assert result.singular == case["singular"]
    assert result.reml_loglik == pytest.approx(case["reml_loglik"], abs=1e-8)
    assert result.ml_loglik == pytest.approx(case["ml_loglik"], abs=1e-8)
    assert len(result.dropped) == len(case["dropped"])
    residual = result.random[-1].variance
    expected = {frozenset(row["grp"].split(":")): row["vcov"] for row in case["random"]}
    for row in result.random:
        assert row.variance == pytest.approx(expected[frozenset(row.group.split(":"))], abs=1e-6 * residual)
    for name in ("icc", "r2_marginal", "r2_conditional"):
        assert getattr(result, name) == pytest.approx(case[name], abs=1e-6)
    for ours, theirs in zip(result.fixed, case["fixed_kr"], strict=True):
        assert ours.estimate == pytest.approx(theirs["Estimate"], rel=1e-6)
        assert ours.se == pytest.approx(theirs["Std. Error"], rel=1e-6)
        assert ours.df == pytest.approx(theirs["df"], rel=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if "type3_kenward_roger" in c], ids=lambda c: c["formula"])
@pytest.mark.parametrize("method", ["kenward_roger", "satterthwaite"])
def test_type_three_tests_are_r_s_with_empty_cells_too(case, method):
    tests = [test for test in fitted(case).tests if test.method == method]
    for ours, theirs in zip(tests, case[f"type3_{method}"], strict=True):
        assert ours.term == theirs["term"]
        assert ours.df_num == theirs["NumDF"]
        assert ours.f == pytest.approx(theirs["F value"], rel=1e-6)
        assert ours.df_den == pytest.approx(theirs["DenDF"], rel=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if "means" in c], ids=lambda c: c["formula"])
def test_means_and_pairs_are_those_of_emmeans(case):
    result = fitted(case)
    means = [row for spec in case["means"] for row in spec["means"]]
    pairs = [row for spec in case["means"] for row in spec["pairs"]]
    for ours, theirs in zip(result.means, means, strict=True):
        if theirs.get("emmean") is None:  # an empty cell: nonEst
            assert ours.mean != ours.mean
            continue
        assert ours.mean == pytest.approx(theirs["emmean"], rel=1e-6)
        assert ours.se == pytest.approx(theirs["SE"], rel=1e-6)
        assert ours.df == pytest.approx(theirs["df"], rel=1e-6)
    for ours, theirs in zip(result.contrasts, pairs, strict=True):
        if theirs.get("estimate") is None:
            assert ours.estimate != ours.estimate
            continue
        assert ours.estimate == pytest.approx(theirs["estimate"], rel=1e-6, abs=1e-6 * theirs["SE"])
        assert ours.se == pytest.approx(theirs["SE"], rel=1e-6)
        assert ours.p == pytest.approx(theirs["p.value"], rel=1e-5, abs=1e-12)
