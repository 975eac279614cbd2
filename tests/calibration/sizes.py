"""How often each printed test rejects a true null at 5 %: one function per family of tests.

Each returns rejections (0 or 1, NaN where not defined) of all responses of one model, keyed by (test, term).
"""

import numpy as np
import numpy.typing as npt
from conditions import DESIGN, LRS, with_slopes
from scipy import special

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.stats.cluster_tests import cluster_contrast
from heatdrift.stats.design import categorical, full_factorial, log_linear
from heatdrift.stats.deviance import profiled_deviance
from heatdrift.stats.homoscedasticity import cell_spread, extra_f
from heatdrift.stats.kenward_roger import kenward_roger
from heatdrift.stats.mixed_model import MixedFit, fit_many
from heatdrift.stats.satterthwaite import satterthwaite
from heatdrift.stats.variance_ratio import Held, spectrum

Floats = npt.NDArray[np.float64]
Sizes = dict[tuple[str, str], Floats]
ALPHA = 0.05
TERMS = ("method", "lr", "lr:method")
CONTRAST = DESIGN.marginal({"lr": LRS[-1], "dataset": "a", "method": "lora_r8"}) - DESIGN.marginal(
    {"lr": LRS[-1], "dataset": "a", "method": "full_ft"}
)
AT_HIGHEST = "contrast at the highest lr"
NULL_DRAWS = 999  # of the simulated null inside each of 10,000 tests of a variance


def _lack_of_fit_rows() -> Floats:
    """What lr as a factor has beyond a line, as contrasts of the coefficients."""
    methods, datasets = categorical("method", ["full_ft", "lora_r8"]), categorical("dataset", ["a", "b"])
    basis, _ = np.linalg.qr(full_factorial([log_linear(LRS, LRS, degree=1), methods, datasets]).grid)
    values, vectors = np.linalg.eigh(np.eye(basis.shape[0]) - basis @ basis.T)
    return np.asarray(vectors[:, values > 0.5].T @ DESIGN.grid)


LACK_OF_FIT = _lack_of_fit_rows()


def rejects(p: Floats) -> Floats:
    return np.where(np.isnan(p), np.nan, (p < ALPHA).astype(float))


def f_tail(f: Floats, df_num: Floats | float, df_den: Floats | float) -> Floats:
    return np.asarray(special.fdtrc(df_num, df_den, f))


def seed_level(model: InteractionModel, y: Floats) -> Sizes:
    """Seed-level tests: F, with Box's correction (the headline), with Greenhouse and Geisser's; one contrast."""
    found: Sizes = {}
    for term in TERMS:
        hypothesis = cluster_contrast(model.within_seeds, DESIGN.hypotheses[term])
        q = DESIGN.hypotheses[term].shape[0]
        if not hypothesis.testable:
            found[("headline", term)] = np.full(y.shape[0], np.nan)
            continue
        f, epsilon = hypothesis.statistics(y)
        df = hypothesis.df
        estimator = model.level_variances(term)
        box = estimator.epsilon(y, hypothesis.orthonormal) if q > 1 and estimator is not None else np.ones_like(f)
        found[("headline", term)] = rejects(f_tail(f, q * box, df * box))
        if q > 1:
            found[("seed-level F, uncorrected", term)] = rejects(f_tail(f, q, df))
            found[("seed-level F, Greenhouse-Geisser", term)] = rejects(f_tail(f, q * epsilon, df * epsilon))
    single = cluster_contrast(model.within_seeds, CONTRAST[None, :])
    if single.testable:
        found[("seed-level t", AT_HIGHEST)] = rejects(f_tail(single.statistics(y)[0], 1.0, single.df))
    return found


def fits_of(model: InteractionModel, y: Floats, x: Floats | None = None) -> list[MixedFit]:
    """REML fits of all responses, fitted together."""
    x = model.x if x is None else x
    many = fit_many(y, x, model.groupings)
    same = [g.codes[:, None] == g.codes[None, :] for g in model.groupings]
    fits = []
    for response, ratios, s2 in zip(y, many.ratios, many.residual_variance, strict=True):
        v = np.eye(y.shape[1]) + sum(r * block for r, block in zip(ratios, same, strict=True))
        vx = np.linalg.solve(v, x)
        cov = np.linalg.inv(x.T @ vx)
        fits.append(
            MixedFit(
                y=response,
                x=x,
                groupings=model.groupings,
                reml=True,
                ratios=ratios,
                residual_variance=float(s2),
                beta=cov @ (vx.T @ response),
                cov_beta=float(s2) * (cov + cov.T) / 2.0,
                loglik=0.0,
            )
        )
    return fits


def model_tests(model: InteractionModel, y: Floats) -> Sizes:
    """Satterthwaite and Kenward-Roger tests of terms and of one contrast."""
    found: dict[tuple[str, str], list[float]] = {}
    random = f"(1 | {') + (1 | '.join(g.name for g in model.groupings)})"
    line = (f"lack of fit, Kenward-Roger, {random}", "lr as a line")
    for fit in fits_of(model, y):
        for name, inference in (("Satterthwaite", satterthwaite(fit)), ("Kenward-Roger", kenward_roger(fit))):
            for term in TERMS:
                f, df_num, df_den = inference.term(DESIGN.hypotheses[term])
                p = float(special.fdtrc(df_num, df_den, f)) if df_den > 0 else np.nan
                found.setdefault((f"{name}, {random}", term), []).append(p)
            estimate, se, df = inference.contrast(CONTRAST)
            p = float(special.fdtrc(1.0, df, (estimate / se) ** 2))
            found.setdefault((f"{name}, {random}", AT_HIGHEST), []).append(p)
        if len(model.groupings) == 1:
            f, df_num, df_den = inference.term(LACK_OF_FIT)  # the last inference is Kenward-Roger
            found.setdefault(line, []).append(float(special.fdtrc(df_num, df_den, f)))
    return {key: rejects(np.array(p)) for key, p in found.items()}


def likelihood_ratio(model: InteractionModel, y: Floats) -> Sizes:
    """ML ratio test of the one term that is printed, and of one contrast: the profile interval that misses 0."""
    full = fit_many(y, model.x, model.groupings, reml=False).loglik
    span = list(DESIGN.spans["lr:method:dataset"])
    small = fit_many(y, np.delete(model.x, span, axis=1), model.groupings, reml=False).loglik
    held = model.x @ np.linalg.svd(CONTRAST[None, :])[2][1:].T
    without = fit_many(y, held, model.groupings, reml=False).loglik
    return {
        ("likelihood ratio (ML, chi-square), (1 | seed)", "lr:method:dataset"): rejects(
            special.chdtrc(len(span), np.maximum(2.0 * (full - small), 0.0))
        ),
        ("profile interval (ML) misses 0, (1 | seed)", AT_HIGHEST): rejects(
            special.chdtrc(1, np.maximum(2.0 * (full - without), 0.0))
        ),
    }


def design_checks(model: InteractionModel, y: Floats, terms: tuple[str, ...]) -> Sizes:
    """Seed x factor checks of the named factors."""
    found: Sizes = {}
    for name in terms:
        level = DESIGN.level_codes(name)[model.cells]
        crossed = level * len(model.seed_names) + model.seeds
        f, df_num, df_den = extra_f(y, model.x, model.seeds, crossed)
        p = f_tail(f, df_num, df_den) if df_num > 0 and df_den > 0 else np.full(y.shape[0], np.nan)
        found[("check: seed x factor", name)] = rejects(p)
    return found


def variance_checks(model: InteractionModel, y: Floats) -> Sizes:
    """Equality of cell variances, two ways."""
    spread = cell_spread(y, model.cells)
    if spread is None:
        return {}
    return {
        ("check: Brown-Forsythe", "cell variances"): rejects(f_tail(spread.f, spread.df_num, spread.df_den)),
        ("check: largest / smallest", "cell variances"): rejects(spread.ratio_p()),
    }


def lack_of_fit(model: InteractionModel, y: Floats) -> Sizes:
    """Lack of fit of a line in log10(lr) at the seed level, with Box's correction."""
    hypothesis, estimator = cluster_contrast(model.within_seeds, LACK_OF_FIT), model.level_variances("lr")
    if not hypothesis.testable or estimator is None:
        return {}
    f, _ = hypothesis.statistics(y)
    box = estimator.epsilon(y, hypothesis.orthonormal)
    p = f_tail(f, LACK_OF_FIT.shape[0] * box, hypothesis.df * box)
    return {("lack of fit, seed-level", "lr as a line"): rejects(p)}


def seed_variance(model: InteractionModel, y: Floats) -> Sizes:
    """Restricted likelihood ratio of the seed variance in (1 | seed): exact null and 50:50 mixture."""
    rlrt = restricted_ratio(model, y)
    form = spectrum(y[0], model.x, model.groupings[0])
    low, high = 1e-6, 20.0
    for _ in range(30):  # p falls with the statistic: find where it passes 5 %
        middle = (low + high) / 2.0
        low, high = (middle, high) if form.null_p(middle)[0] >= ALPHA else (low, middle)
    mixture = np.where(rlrt > 1e-9, 0.5 * special.chdtrc(1, np.maximum(rlrt, 0.0)), 1.0)
    return {
        ("variance = 0: exact RLRT, (1 | seed)", "seed"): (rlrt > high).astype(float),
        ("variance = 0: 50:50 mixture, (1 | seed)", "seed"): rejects(mixture),
    }


def slope_variance(model: InteractionModel, y: Floats) -> Sizes:
    """Approximate restricted likelihood ratio of seed:method with the seed ratio held at its null estimate."""
    both = with_slopes(model)
    null = fit_many(y, model.x, model.groupings)
    rlrt = 2.0 * (fit_many(y, both.x, both.groupings).loglik - null.loglik)
    p = [
        spectrum(response, model.x, both.groupings[1], Held(model.groupings[0], float(ratio))).null_p(
            max(float(value), 0.0), draws=NULL_DRAWS, seed=i
        )[0]
        for i, (response, ratio, value) in enumerate(zip(y, null.ratios[:, 0], rlrt, strict=True))
    ]
    mixture = np.where(rlrt > 1e-9, 0.5 * special.chdtrc(1, np.maximum(rlrt, 0.0)), 1.0)
    name = "(1 | seed) + (1 | seed:method)"
    return {
        (f"variance = 0: approximate RLRT, {name}", "seed:method"): rejects(np.array(p)),
        (f"variance = 0: 50:50 mixture, {name}", "seed:method"): rejects(mixture),
    }


def restricted_ratio(model: InteractionModel, y: Floats) -> Floats:
    """Restricted likelihood ratio of all variances of the model against none."""
    moments = profiled_deviance(model.x, model.groupings, reml=True)
    u, yy = moments.project(y)
    zero = np.zeros((y.shape[0], len(model.groupings)))
    none = -0.5 * (moments.deviance(zero, u, yy)[0] + moments.constant)
    return np.asarray(2.0 * (fit_many(y, model.x, model.groupings).loglik - none))
