"""stats interaction: the mixed model of one metric against lr x method x dataset, its headline test and checks."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, get_args

import numpy as np
import polars as pl

from heatdrift.accuracy import TEST, accuracy_metric, shown_column
from heatdrift.errors import LargeDesignError, StatsError, UnknownNameError
from heatdrift.metrics import Column, run_title
from heatdrift.primary import CORRELATION, PREPRINT
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.interaction.build import build_model
from heatdrift.questions.interaction.checks import assumption_checks
from heatdrift.questions.interaction.contrast_agreement import twin_check
from heatdrift.questions.interaction.contrasts import marginal_means, method_contrasts, method_effects
from heatdrift.questions.interaction.counts import Scale, binomial_check, images_of, on_scale
from heatdrift.questions.interaction.findings import interaction_claims, interaction_findings
from heatdrift.questions.interaction.intervals import IntervalKind, with_intervals
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import DdfMethod, FixedEffect, InteractionResult, VarianceComponent
from heatdrift.questions.interaction.second_opinion import second_opinion as statsmodels_checks
from heatdrift.questions.interaction.sensitivity import sensitivity_checks
from heatdrift.questions.interaction.variance_tests import variance_tests
from heatdrift.questions.pairs import seed_level_difference
from heatdrift.questions.selection import Selection, check_level, check_seed, largest_block, select_runs, study_name
from heatdrift.stats.design import LrCoding
from heatdrift.stats.distributions import t_p_value
from heatdrift.wording import (
    counted,
    difference_interval,
    difference_unit,
    listed,
    method_difference,
    method_title,
    p_text,
    signed,
    t_text,
    with_unit,
)

PAGE_METRICS: Final = ("retention_pct", "delta_entropy_pct", "test_acc_pct")  # the first is the study's question
_RESIDUAL: Final = "Residual"
_METHOD: Final = (
    "linear mixed model by REML, type III tests; headline: seed-level tests of terms (strata), findings by p_box with "
    "Holm over terms; contrasts method_a - method_b: df {ddf}, intervals {intervals}, Holm over rows"
)


@AnyFrames("runs")
def interaction(
    runs: pl.DataFrame,
    *,
    metric: str,
    scale: Scale = "raw",
    lr_as: LrCoding = "factor",
    random: str = "seed",
    ddf: DdfMethod = "kenward_roger",
    conf_level: float = 0.95,
    study_lrs: Sequence[float] | None = None,
    intervals: IntervalKind = "wald",
    bootstrap: int = 2_000,
    bootstrap_seed: int = 0,
    second_opinion: bool = False,
) -> InteractionResult:
    """Fit and test one metric over the largest complete lr x method block of the finished runs.

    Parameters
    ----------
    runs : rows of the view ``runs``, of one study, protocol and backbone; rows of every status are welcome and counted.
    metric : a numeric result column of ``runs``.
    scale : of the response: as it is, ``logit`` (log odds of an accuracy), or natural ``log``.
    lr_as : learning rate as a factor, a line or a quadratic in centred log10(lr).
    random : random intercepts: 'seed', 'seed + seed:method', 'seed + seed:dataset' or 'dataset:seed'. The seed-level
        tests do not depend on it.
    ddf : how contrasts are tested. Term tests are always given three ways.
    conf_level : of all intervals, in (0, 1).
    study_lrs : learning rates whose mean log10 is the zero of a numeric lr in the coefficients; default: all in `runs`
        of the methods that are modelled, finished or not. Tests and averages are over the learning rates modelled.
    intervals : of coefficients, contrasts and variances (``intervals.py``): Wald, profile likelihood or bootstrap.
    bootstrap, bootstrap_seed : refits of the parametric bootstrap, and the seed of its generator.
    second_opinion : also fit the model with statsmodels; the comparison is two more checks (``second_opinion.py``).

    Raises
    ------
    UnknownNameError
        Unknown metric, random part, lr coding or df method.
    StatsError
        The runs cannot answer the question (see ``selection.py`` and ``build.py``).

    Examples
    --------
    >>> import heatdrift
    >>> runs = heatdrift.read_runs("mini")
    >>> answer = heatdrift.interaction(runs, metric="retention_pct")
    >>> len(answer.findings), answer.tests[0].term, answer.to_frame("contrasts").height
    (7, 'lr', 8)
    """
    column = shown_column(metric, runs)
    _check_choice("scale", scale, get_args(Scale))
    _check_choice("lr coding", lr_as, get_args(LrCoding))
    _check_choice("df method", ddf, get_args(DdfMethod))
    _check_choice("kind of interval", intervals, get_args(IntervalKind))
    if bootstrap < 100:
        raise StatsError(f"{bootstrap} bootstrap draws cannot give an interval", hint="use 1000 or more")
    check_level(conf_level)
    check_seed(bootstrap_seed)
    usable = select_runs(runs, [metric])
    block = largest_block(usable)
    images = images_of(block, metric, runs)
    selection, column = on_scale(block, column, scale, images)
    modelled = [pl.col(name).is_in(selection.levels(name)) for name in ("method", "dataset")]
    planned = runs.filter(*modelled)["lr"].drop_nulls()
    lrs = sorted(set(planned.to_list())) if study_lrs is None else list(study_lrs)
    model = build_model(selection, metric=metric, lr_as=lr_as, random=random, study_lrs=lrs)
    fit = model.fit
    tests = model.term_tests()
    effects = method_effects(model, conf_level=conf_level)
    shown = with_intervals(
        model,
        fixed=_fixed_effects(model),
        contrasts=method_contrasts(model, ddf=ddf, conf_level=conf_level),
        random=_components(model),
        kind=intervals,
        level=conf_level,
        draws=bootstrap,
        seed=bootstrap_seed,
    )
    robust = method_contrasts(model, ddf="strata", conf_level=conf_level)
    explained = float(np.var(fit.x @ fit.beta, ddof=1))
    grouped = float(np.sum(fit.variances))
    total = explained + grouped + fit.residual_variance
    fixed_part = " * ".join(f.name for f in model.design.factors)
    random_part = " + ".join(f"(1 | {g.name})" for g in model.groupings)
    counts = () if images is None or scale != "raw" else (binomial_check(model, tests, images),)
    checks = (
        *assumption_checks(model, tests), twin_check(shown.contrasts, robust), *counts, *sensitivity_checks(model),
        *(statsmodels_checks(model) if second_opinion else ()),
    )  # fmt: skip
    claims = interaction_claims(model, column, effects, conf_level, checks)
    return InteractionResult(
        study=study_name(runs),
        selection=selection.described(),
        method=_METHOD.format(ddf=ddf, intervals=intervals),
        metric=metric,
        unit=column.unit,
        n_runs=model.y.size,
        n_seeds=len(model.seed_names),
        n_cells=model.design.grid.shape[0],
        balanced=model.balanced,
        scale=scale,
        formula=f"{metric if scale == 'raw' else f'{scale}({metric})'} ~ {fixed_part} + {random_part}",
        random_terms=model.random,
        lr_as=lr_as,
        conf_level=conf_level,
        reml_loglik=fit.loglik,
        ml_loglik=model.ml_fit.loglik,
        singular=fit.singular,
        icc=grouped / (grouped + fit.residual_variance),
        r2_marginal=explained / total,
        r2_conditional=(explained + grouped) / total,
        random=shown.random,
        fixed=shown.fixed,
        tests=tests,
        contrasts=shown.contrasts,
        checks=checks,
        left_out=selection.left_out,
        n_dropped=selection.n_dropped,
        claims=claims,
        findings=interaction_findings(claims),
        marginal_means=marginal_means(model, ddf=ddf, conf_level=conf_level),
        method_effects=effects,
        likelihood_ratio=model.likelihood_ratios(),
        variance_tests=variance_tests(model),
        robust_contrasts=robust,
        icc_ci_low=shown.icc[0],
        icc_ci_high=shown.icc[1],
        icc_ci_method=shown.icc_method,
        intervals=intervals,
        interval_method=shown.method,
        bootstrap=bootstrap if intervals == "bootstrap" else None,
        bootstrap_seed=bootstrap_seed if intervals == "bootstrap" else None,
        caveats=(
            *_methods_outside(usable, selection),
            *_own_seeds(selection, column, scale, conf_level),
            *run_caveats(runs, [metric]),
        ),
    )


def _methods_outside(usable: Selection, block: Selection) -> tuple[str, ...]:
    """Name the methods that the model cannot hold, and the question that compares methods whatever their grids."""
    kept = [str(name) for name in block.levels("method")]
    outside = [name for name in map(str, usable.levels("method")) if name not in kept]
    if not outside:
        return ()
    inside = usable.frame.filter(pl.col("method").is_in(kept))["lr"].unique()
    rates = usable.frame.filter(pl.col("method").is_in(outside))["lr"].unique()
    shared = rates.is_in(inside.to_list()).sum()
    return (
        f"Not in this model: {listed(_titles(outside))}, with {shared} of {counted(rates.len(), 'learning rate')} "
        f"shared with {listed(_titles(kept))}. `heatdrift stats best` compares methods that have learning "
        "rates of their own.",
    )


def _own_seeds(selection: Selection, column: Column, scale: Scale, level: float) -> tuple[str, ...]:
    """Give the test of two methods that share no seed: within the model no seed can tell them apart."""
    methods = [str(name) for name in selection.levels("method")]
    if len(methods) != 2:
        return ()
    found = seed_level_difference(selection.frame, column.name, methods[1], methods[0])
    if found is None or found.how != "independent":
        return ()
    by = "run" if found.own_seed_each else "their means per seed"
    same = ", as `heatdrift stats paired` has it" if scale == "raw" else ""
    return (
        f"The methods share no seed, so no seed can test the method within this model. Compared by {by} (Welch): "
        f"{method_difference(methods[1], methods[0])} in {column.title} "
        f"{with_unit(signed(found.estimate), difference_unit(column.unit))} "
        f"({difference_interval(level, *found.interval(level))}; {t_text(found.df, found.t)}, {p_text(found.p)})"
        f"{same}.",
    )


def _titles(methods: Sequence[str]) -> list[str]:
    return [method_title(name) for name in methods]


def _check_choice(kind: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownNameError(kind, value, known)


def _components(model: InteractionModel) -> tuple[VarianceComponent, ...]:
    fit = model.fit
    named = [
        *zip((g.name for g in fit.groupings), fit.variances.tolist(), strict=True),
        (_RESIDUAL, fit.residual_variance),
    ]
    return tuple(VarianceComponent(group=name, variance=v, sd=float(np.sqrt(v))) for name, v in named)


def _fixed_effects(model: InteractionModel) -> tuple[FixedEffect, ...]:
    """Coefficients in treatment coding with Satterthwaite df, as lmerTest's summary prints them."""
    rows = []
    for i, name in enumerate(model.design.columns):
        estimate, se, df = model.satterthwaite.contrast(np.eye(len(model.design.columns))[i])
        t = estimate / se
        rows.append(FixedEffect(term=name, estimate=estimate, se=se, df=df, t=t, p=t_p_value(t, df)))
    return tuple(rows)


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the models of a page: the asked metrics, or forgetting, drift of support, and what the training was for."""
    accuracy, _ = accuracy_metric(study.runs)
    primary = [question.metric for question in study.asked.primary or PREPRINT if question.term != CORRELATION]
    asked = [*(study.metrics or PAGE_METRICS), *primary]
    for metric in dict.fromkeys(accuracy if name == TEST else name for name in asked):
        yield run_title(metric), partial(_with_a_line, study, metric)


def _with_a_line(study: StudyRuns, metric: str) -> InteractionResult:
    """Fit lr as a factor; where that has too many coefficients, as a line, which the result then says."""
    try:
        return interaction(study.runs, metric=metric, conf_level=study.conf_level)
    except LargeDesignError as refused:
        try:
            result = interaction(study.runs, metric=metric, lr_as="linear", conf_level=study.conf_level)
        except StatsError as error:
            raise StatsError(f"{refused.message}; with the learning rate as a line: {error.message}") from error
        study.note(f"{run_title(metric)}: {refused.message}; the learning rate entered as a line instead")
        return result
