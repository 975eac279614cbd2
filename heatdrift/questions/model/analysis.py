"""stats model: a mixed model with random intercepts of any table, asked by a formula."""

from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.argument_types import check_arguments
from heatdrift.questions.frames import Frame, as_polars
from heatdrift.questions.model.checks import model_checks
from heatdrift.questions.model.findings import model_claims, model_findings
from heatdrift.questions.model.fitted import TableModel, build, rounding_variance
from heatdrift.questions.model.means import (
    Comparison,
    contrast_rows,
    marginal_points,
    mean_rows,
    pairwise,
    stated,
)
from heatdrift.questions.model.result import (
    Coefficient,
    Contrast,
    DdfMethod,
    IntervalKind,
    ModelResult,
    TermTest,
    Variance,
)
from heatdrift.questions.selection import check_level, check_seed
from heatdrift.stats.distributions import f_p_value, t_p_value
from heatdrift.stats.intervals import percentile_interval, t_interval
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import contrast_intervals, variance_interval

Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "linear mixed model by REML, type III tests; a finding needs the {ddf} test and, where a grouping is crossed with "
    "the term, the test over its levels to agree (Holm over terms); contrasts first - second: df {ddf}, "
    "intervals {kind}"
)


def fit_model(
    frame: Frame,
    formula: str,
    *,
    means: Sequence[str] | None = None,
    contrasts: Sequence[str] = (),
    ddf: DdfMethod = "kenward_roger",
    intervals: IntervalKind = "wald",
    conf_level: float = 0.95,
    bootstrap: int = 2000,
    seed: int = 0,
) -> ModelResult:
    """Fit a mixed model with random intercepts to a table, and test every term and every pair of means.

    Parameters
    ----------
    frame : a frame of polars, pandas or pyarrow, a DuckDB relation, or a mapping of columns. Text is a factor, numbers
        are covariates; `C(x)` makes a number a factor.
    formula : as lme4 writes it, ``y ~ a * b + x + (1 | g) + (1 | g:h)``; random intercepts only, crossed or nested.
    means : specs of marginal means and their pairs, ``a``, ``a:b`` or ``a | b``; default: every factor of the formula.
    contrasts : stated ones, ``a: 1/2*low + 1/2*mid - high``.
    ddf : how coefficients, means and contrasts are tested; terms are tested every way.
    intervals, conf_level : Wald (t), profile likelihood or parametric bootstrap, at a level in (0, 1).
    bootstrap, seed : draws of the bootstrap, and the seed of its generator.

    Raises
    ------
    UnknownNameError
        A column, factor or level that does not exist. StatsError: the rows cannot answer (``fitted.py``).

    Examples
    --------
    >>> import heatdrift
    >>> table = {"y": [1.0, 2.1, 1.4, 2.2, 0.9, 2.4], "a": ["u", "v"] * 3, "g": ["1", "1", "2", "2", "3", "3"]}
    >>> result = heatdrift.fit_model(table, "y ~ a + (1 | g)")
    >>> [(c.contrast, round(c.estimate, 3), round(c.df, 3)) for c in result.contrasts]
    [('u - v', -1.133, 2.0)]
    """
    options = {"formula": formula, "means": means, "contrasts": contrasts, "conf_level": conf_level, "seed": seed}
    check_arguments(fit_model, options | {"bootstrap": bootstrap})
    for kind, value, known in (
        ("df method", ddf, get_args(DdfMethod)),
        ("kind of interval", intervals, get_args(IntervalKind)),
    ):
        if value not in known:
            raise UnknownNameError(kind, value, known)
    check_level(conf_level)
    check_seed(seed)
    if bootstrap < 100:
        raise StatsError(f"{bootstrap} bootstrap draws cannot give an interval", hint="use 1000 or more")
    model = build(as_polars(frame), formula)
    fit = model.fit
    if fit.residual_variance <= rounding_variance(model.design.y):
        raise StatsError(
            f"{model.formula.response} is exactly its fixed part plus its random intercepts: no error is left to test "
            "against",
            hint="name another response, or give more digits",
        )
    specs = list(model.design.categories) if means is None else list(means)
    points = marginal_points(model, specs)
    comparisons = [*pairwise(points), *(one for text in contrasts for one in stated(model, text))]
    tests = _tests(model)
    shown = _with_intervals(
        model,
        _coefficients(model, ddf, conf_level),
        contrast_rows(model, comparisons, ddf, conf_level),
        comparisons,
        kind=intervals,
        level=conf_level,
        draws=bootstrap,
        seed=seed,
    )
    claims = model_claims(model.formula.response, tests, shown[1], ddf)
    explained = float(np.var(fit.x @ fit.beta, ddof=1))
    grouped = float(np.sum(fit.variances))
    total = explained + grouped + fit.residual_variance
    return ModelResult(
        formula=str(model.formula),
        response=model.formula.response,
        n_rows=model.design.y.size,
        n_dropped=model.n_dropped,
        ddf=ddf,
        conf_level=conf_level,
        intervals=intervals,
        interval_method=shown[3],
        reml_loglik=fit.loglik,
        ml_loglik=model.ml_loglik,
        singular=fit.singular,
        icc=grouped / (grouped + fit.residual_variance),
        r2_marginal=explained / total,
        r2_conditional=(explained + grouped) / total,
        random=shown[2],
        fixed=shown[0],
        dropped=model.design.dropped,
        tests=tests,
        means=mean_rows(model, points, ddf, conf_level),
        contrasts=shown[1],
        checks=model_checks(model, tests),
        left_out=model.left_out,
        method=_METHOD.format(ddf=ddf.replace("_", "-"), kind=intervals),
        findings=model_findings(claims),
        claims=claims,
    )


def _tests(model: TableModel) -> tuple[TermTest, ...]:
    """Every term by Kenward-Roger, by Satterthwaite, and over the levels of a grouping that is crossed with it."""
    found = []
    for term, rows in model.design.hypotheses.items():
        for method, inference in (("kenward_roger", model.kenward_roger), ("satterthwaite", model.satterthwaite)):
            f, df_num, df_den = inference.term(rows)
            p = f_p_value(f, df_num, df_den)
            found.append(TermTest(term=term, method=method, f=f, df_num=df_num, df_den=df_den, p=p))  # type: ignore[arg-type]
        over = model.strata(rows)
        if over is not None:
            grouping, test = over
            found.append(
                TermTest(
                    term=term,
                    method="strata",
                    f=test.f,
                    df_num=test.df_num,
                    df_den=test.df_den,
                    p=test.p,
                    cluster=grouping.name,
                    n_clusters=test.n_clusters,
                )
            )
    return tuple(found)


def _coefficients(model: TableModel, ddf: DdfMethod, level: float) -> tuple[Coefficient, ...]:
    made = []
    for i, name in enumerate(model.design.columns):
        estimate, se, df = model.inference(ddf).contrast(np.eye(len(model.design.columns))[i])
        low, high = t_interval(estimate, se, df, level)
        t = estimate / se
        made.append(
            Coefficient(term=name, estimate=estimate, se=se, df=df, t=t, p=t_p_value(t, df), ci_low=low, ci_high=high)
        )
    return tuple(made)


def _variances(model: TableModel) -> tuple[Variance, ...]:
    named = [(g.name, g.size, float(v)) for g, v in zip(model.groupings, model.fit.variances, strict=True)]
    named_all = [*named, ("Residual", None, model.fit.residual_variance)]
    return tuple(Variance(group=g, n_groups=n, variance=v, sd=float(np.sqrt(v))) for g, n, v in named_all)


def _with_intervals(
    model: TableModel,
    fixed: tuple[Coefficient, ...],
    contrasts: tuple[Contrast, ...],
    comparisons: Sequence[Comparison],
    *,
    kind: IntervalKind,
    level: float,
    draws: int,
    seed: int,
) -> tuple[tuple[Coefficient, ...], tuple[Contrast, ...], tuple[Variance, ...], str]:
    """Put intervals of one kind on coefficients, contrasts and variances; Wald ones are there already."""
    random = _variances(model)
    if kind == "wald":
        return fixed, contrasts, random, "t quantiles with the df of each row; variances have none"
    known = [i for i, one in enumerate(comparisons) if one.row is not None]
    rows = np.vstack([np.eye(len(fixed)), *(row[None, :] for one in comparisons if (row := one.row) is not None)])
    if kind == "profile":
        low, high = contrast_intervals(model.design.y, model.design.x, model.groupings, rows, level)
        ends = np.array([variance_interval(model.fit, i, level) for i in range(len(random))])
        words = "profile likelihood: coefficients and contrasts by ML, variances by REML"
    else:
        refits = parametric_bootstrap(model.fit, draws=draws, seed=seed)
        low, high = percentile_interval(refits.beta @ rows.T, level)
        ends = np.column_stack(percentile_interval(refits.variances, level))
        words = f"parametric bootstrap, percentile, B={draws}, seed {seed}"
    n = len(fixed)
    place = {i: n + k for k, i in enumerate(known)}
    return (
        tuple(replace(one, ci_low=float(low[i]), ci_high=float(high[i])) for i, one in enumerate(fixed)),
        tuple(
            replace(one, ci_low=float(low[place[i]]), ci_high=float(high[place[i]])) if i in place else one
            for i, one in enumerate(contrasts)
        ),
        tuple(replace(r, ci_low=float(a), ci_high=float(b)) for r, (a, b) in zip(random, ends, strict=True)),
        words,
    )
