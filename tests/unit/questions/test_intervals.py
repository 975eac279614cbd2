import numpy as np
import pytest
from scipy import stats

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.interaction.analysis import interaction
from heatdrift.stats.deviance import Grouping
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import contrast_intervals, icc_interval, variance_interval

METRIC = "delta_entropy_pct"


@pytest.fixture
def fit():
    rng = np.random.default_rng(4)
    seed, method = np.repeat(np.arange(5), 12), np.tile(np.repeat([0, 1], 6), 5)
    x = np.column_stack([np.ones(60), method, rng.normal(size=60)])
    y = x @ [1.0, 2.0, 0.5] + rng.normal(size=5)[seed] + 0.7 * rng.normal(size=10)[2 * seed + method]
    y += 0.4 * rng.normal(size=60)
    kept = rng.random(60) > 0.15
    groupings = (Grouping("seed", seed[kept]), Grouping("seed:method", (2 * seed + method)[kept]))
    return fit_mixed(y[kept], x[kept], groupings)


def deviance(fit, variances, s2, *, reml):
    """Minus twice the log-likelihood from its definition, fixed effects profiled out."""
    v = s2 * np.eye(fit.y.size) + sum(
        var * g.indicator @ g.indicator.T for g, var in zip(fit.groupings, variances, strict=True)
    )
    vi = np.linalg.inv(v)
    info = fit.x.T @ vi @ fit.x
    r = fit.y - fit.x @ np.linalg.solve(info, fit.x.T @ vi @ fit.y)
    size = fit.y.size - fit.x.shape[1] * reml
    extra = np.linalg.slogdet(info)[1] if reml else 0.0
    return size * np.log(2 * np.pi) + np.linalg.slogdet(v)[1] + extra + r @ vi @ r


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("component", [0, 1, 2])
def test_at_a_profile_end_the_deviance_is_the_cutoff_above_the_optimum(fit, component, reml):
    from scipy.optimize import minimize

    best = -2.0 * fit_mixed(fit.y, fit.x, fit.groupings, reml=reml).loglik
    for end in variance_interval(fit, component, 0.95, reml=reml):
        if end == 0.0:
            continue

        def value(logs, end=end):
            theta = np.insert(np.exp(logs), component, end)
            return deviance(fit, theta[:2], theta[2], reml=reml)

        start = np.log(np.delete([*np.maximum(fit.variances, 1e-3), fit.residual_variance], component))
        found = minimize(value, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000})
        assert found.fun - best == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_a_zero_variance_has_a_lower_end_of_zero():
    y = np.array([1.0, 2.0, 3.0, 1.1, 2.2, 2.7, 0.9, 2.0, 3.1])
    singular = fit_mixed(y, np.ones((9, 1)), [Grouping("g", np.repeat(np.arange(3), 3))])
    low, high = variance_interval(singular, 0, 0.95)
    assert low == 0.0
    assert high > 0.0
    assert icc_interval(singular, 0.95)[0] == 0.0


def test_contrast_ends_are_where_the_refit_is_the_cutoff_below(fit):
    rows = np.array([[0.0, 1.0, 0.0], [1.0, 0.5, 0.0]])
    low, high = contrast_intervals(fit.y, fit.x, fit.groupings, rows, 0.9)
    full = fit_mixed(fit.y, fit.x, fit.groupings, reml=False)
    for row, ends in zip(rows, zip(low, high, strict=True), strict=True):
        rest = fit.x @ np.linalg.svd(row[None, :])[2][1:].T
        for end in ends:
            held = fit_mixed(fit.y - end * fit.x @ row / (row @ row), rest, fit.groupings, reml=False)
            assert 2 * (full.loglik - held.loglik) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-7)
    assert np.all(low < rows @ full.beta)
    assert np.all(high > rows @ full.beta)


def test_bootstrap_refits_are_fits_of_its_draws(fit):
    refits = parametric_bootstrap(fit, draws=5, seed=3)
    rng = np.random.default_rng(3)
    y = fit.x @ fit.beta + np.sqrt(fit.residual_variance) * rng.normal(size=(5, fit.y.size))
    for g, variance in zip(fit.groupings, fit.variances, strict=True):
        y += np.sqrt(variance) * rng.normal(size=(5, int(g.codes.max()) + 1))[:, g.codes]
    for i, response in enumerate(y):
        alone = fit_mixed(response, fit.x, fit.groupings)
        np.testing.assert_allclose(refits.beta[i], alone.beta, rtol=1e-7)
        np.testing.assert_allclose(refits.variances[i, :2], alone.variances, rtol=1e-6, atol=1e-9)
    assert np.all((refits.icc >= 0) & (refits.icc < 1))


@pytest.mark.parametrize("random", ["seed", "seed + seed:method"])
def test_each_kind_of_interval_holds_its_estimates_and_says_how_it_was_made(make_runs, random):
    runs = make_runs(seed_method_sd=0.3)
    for kind, words in (("wald", "Satterthwaite"), ("profile", "REML"), ("bootstrap", "B=200, seed 7")):
        result = interaction(runs, metric=METRIC, random=random, intervals=kind, bootstrap=200, bootstrap_seed=7)
        assert result.intervals == kind
        assert words in result.interval_method
        for row in (*result.fixed, *result.contrasts):
            assert row.ci_low < row.estimate < row.ci_high
        assert 0 <= result.icc_ci_low <= result.icc <= result.icc_ci_high <= 1
        for part in result.random:
            if kind == "wald":
                assert part.ci_low is None
            else:
                assert 0 <= part.ci_low <= part.variance <= part.ci_high
        assert (result.bootstrap, result.bootstrap_seed) == ((200, 7) if kind == "bootstrap" else (None, None))


def test_variance_tests_name_their_null(make_runs):
    (only,) = interaction(make_runs(), metric=METRIC).variance_tests
    assert only.method == "exact; closed form"
    assert only.p < only.p_mixture * 1.5
    two = interaction(make_runs(seed_method_sd=0.5), metric=METRIC, random="seed + seed:method").variance_tests
    assert [t.group for t in two] == ["seed", "seed:method"]
    assert two[1].p < 0.001
    assert "ratio of seed held at its null estimate" in two[1].method
    assert (two[1].draws, two[1].seed) == (10_000, 0)


def test_wrong_interval_options_are_refused(make_runs):
    with pytest.raises(UnknownNameError, match="kind of interval"):
        interaction(make_runs(), metric=METRIC, intervals="jackknife")
    with pytest.raises(StatsError, match="bootstrap draws"):
        interaction(make_runs(), metric=METRIC, intervals="bootstrap", bootstrap=10)
