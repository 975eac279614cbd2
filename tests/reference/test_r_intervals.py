"""Intervals and variance tests against lme4 and RLRsim: r_intervals/intervals.json, made by make_intervals.R there."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.deviance import Grouping, profiled_deviance
from heatdrift.stats.intervals import percentile_interval
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import contrast_intervals, variance_interval
from heatdrift.stats.variance_ratio import spectrum

HERE = Path(__file__).parent
MODELS = json.loads((HERE / "r_intervals" / "intervals.json").read_text())["models"]
SPLINE = 3e-4  # of an interval's length: what R's spline of the profile leaves
# For one coefficient R warned "bad spline fit for (Intercept): falling back to linear interpolation".
LINEAR = 5e-3


def fit_of(ref):
    frame = pl.read_csv(HERE / "r" / ref["data"])
    y = frame[ref["response"]].cast(pl.Float64).to_numpy()
    keys = frame[ref["group"]].rank("dense").to_numpy()
    if ref["fixed"] == "1":
        x = np.ones((y.size, 1))
    else:
        names = ref["fixed"].replace("lr_f", "lr").split(" * ")
        design = full_factorial([categorical(name, sorted(frame[name].unique().to_list())) for name in names])
        x = design.grid[design.cells({name: frame[name].to_list() for name in names})]
    return fit_mixed(y, x, [Grouping(ref["group"], (keys - 1).astype(np.intp))])


@pytest.mark.parametrize("ref", MODELS, ids=lambda m: m["data"])
def test_profile_intervals_are_those_of_confint(ref):
    fit = fit_of(ref)
    ends = [np.sqrt(variance_interval(fit, k, 0.95, reml=False)) for k in (0, 1)]
    low, high = contrast_intervals(fit.y, fit.x, fit.groupings, np.eye(fit.x.shape[1]), 0.95)
    ours = np.vstack([ends, np.column_stack([low, high])])
    theirs = np.column_stack([ref["low"], ref["high"]])
    length = theirs[:, 1] - theirs[:, 0]
    error = np.abs(ours - theirs).max(axis=1) / length
    loose = np.array([name == "(Intercept)" for name in ref["names"]])
    assert np.all(error[~loose] < SPLINE), error
    assert np.all(error[loose] < LINEAR), error


@pytest.mark.parametrize("ref", MODELS, ids=lambda m: m["data"])
def test_restricted_likelihood_ratio_and_its_exact_p_are_those_of_rlrsim(ref):
    fit = fit_of(ref)
    moments = profiled_deviance(fit.x, fit.groupings, reml=True)
    u, yy = moments.project(fit.y[None, :])
    none = -0.5 * float(moments.deviance(np.zeros((1, 1)), u, yy)[0][0] + moments.constant)
    rlrt = max(2.0 * (fit.loglik - none), 0.0)
    assert rlrt == pytest.approx(ref["rlrt"], abs=1e-6)
    form = spectrum(fit.y, fit.x, fit.groupings[0])
    p, draws = form.null_p(rlrt)
    if rlrt < 1e-6:  # RLRsim counts draws above a ratio that lme4 leaves at 1e-13; a ratio of 0 has p = 1
        assert p == 1.0
        return
    error = np.sqrt(ref["rlrt_p"] * (1 - ref["rlrt_p"]) * (1 / ref["draws"] + (1 / draws if draws else 0)))
    assert p == pytest.approx(ref["rlrt_p"], abs=4 * error + 2e-4)
    for level, quantile in zip((0.8, 0.9, 0.95, 0.99), ref["null_quantiles"], strict=True):
        if quantile > 0.05:  # near 0 the null is nearly flat, and a quantile says little
            tail, draws = form.null_p(quantile)
            assert tail == pytest.approx(
                1 - level, abs=4 * np.sqrt(level * (1 - level) / (draws or ref["draws"])) + 1e-3
            )


def test_bootstrap_intervals_agree_with_lme4s():
    ref = next(m for m in MODELS if "boot" in m)
    fit = fit_of(ref)
    refits = parametric_bootstrap(fit, draws=10_000, seed=0)
    sds = np.sqrt(refits.variances)
    low, high = percentile_interval(np.column_stack([sds, refits.beta]), 0.95)
    theirs = np.column_stack([ref["boot"]["low"], ref["boot"]["high"]])
    # an end of a percentile interval from 1,000 draws has a standard error of about 2 % of the length
    length = theirs[:, 1] - theirs[:, 0]
    assert np.all(np.abs(np.column_stack([low, high]) - theirs).max(axis=1) < 0.09 * length)
