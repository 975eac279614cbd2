"""Typed results of the statistics: a number always travels with n, interval, level, unit, method and what was dropped.

The fields are the JSON keys that scripts rely on (DESIGN 6; NaN becomes null). Full precision inside; rounding happens
only where text is made. ``stats`` makes these values, ``report`` and ``cli/output.py`` show them.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

DdfMethod = Literal["satterthwaite", "kenward_roger", "strata"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all results."""


class VarianceComponent(Result, frozen=True, kw_only=True):
    """Variance of one random intercept (or of the residual), in squared units of the metric."""

    group: str
    variance: float
    sd: float


class FixedEffect(Result, frozen=True, kw_only=True):
    """One coefficient in treatment coding (first levels: data sets alphabetical, full_ft, lowest lr)."""

    term: str
    estimate: float
    se: float
    df: float
    t: float
    p: float


class TermTest(Result, frozen=True, kw_only=True):
    """F test of one term (type III, sum contrasts); ``strata`` is the seed-level test in the term's error stratum.

    Strata rows also carry the number of seeds behind the test, Greenhouse-Geisser's epsilon and the p corrected by it.
    """

    term: str
    method: DdfMethod
    f: float
    df_num: float
    df_den: float
    p: float
    n_seeds: int | None = None
    epsilon: float | None = None
    p_gg: float | None = None


class LikelihoodRatio(Result, frozen=True, kw_only=True):
    """Likelihood-ratio test of a term by ML and chi-square: a model without it against the full one.

    Only terms that no other term contains are dropped, as in R's ``drop1``.
    """

    term: str
    chi2: float
    df: int
    p: float


class Contrast(Result, frozen=True, kw_only=True):
    """Difference of two methods' marginal means at one learning rate (None = averaged) within one data set.

    ``dataset`` is None where there is one only. Positive = method_a above method_b. p_holm adjusts over all rows.
    """

    dataset: str | None
    lr: float | None
    method_a: str
    method_b: str
    estimate: float
    se: float
    df: float
    df_method: DdfMethod
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float


class Check(Result, frozen=True, kw_only=True):
    """One assumption or sensitivity check: what was asked, the numbers, and a sentence for people.

    ``flag`` is True where the reader must know before believing the headline.
    """

    name: str
    flag: bool
    values: Mapping[str, float | int | str | None]
    sentence: str


class InteractionResult(Result, frozen=True, kw_only=True):
    """Mixed model of one metric against lr x method x dataset, with seed as a random effect.

    ``method_effects`` are the differences of methods averaged over learning rates and data sets, tested at the seed
    level (df_method strata; Holm over its own rows). ``n_cells`` counts the cells (dataset x method x lr) of the model.
    """

    metric: str
    unit: str
    n_runs: int
    n_seeds: int
    formula: str
    random_terms: str
    lr_as: Literal["factor", "linear", "poly"]
    conf_level: float
    reml_loglik: float
    ml_loglik: float
    singular: bool
    icc: float
    r2_marginal: float
    r2_conditional: float
    random: tuple[VarianceComponent, ...]
    fixed: tuple[FixedEffect, ...]
    tests: tuple[TermTest, ...]
    contrasts: tuple[Contrast, ...]
    checks: tuple[Check, ...]
    left_out: tuple[str, ...]
    n_dropped: int
    findings: tuple[str, ...]
    n_cells: int = 0
    balanced: bool = False
    method_effects: tuple[Contrast, ...] = ()
    likelihood_ratio: tuple[LikelihoodRatio, ...] = ()


class Association(Result, frozen=True, kw_only=True):
    """Correlation of two metrics over runs; the interval resamples cells, never runs.

    ``n`` counts runs, ``n_cells`` the cells (dataset x method x lr) that were resampled or permuted. A value that is
    not defined for these data (fewer than three runs, no variance) is NaN -> null.
    """

    n: int
    n_cells: int
    pearson: float
    spearman: float
    ci_low: float
    ci_high: float
    conf_level: float
    ci_method: str
    p_permutation: float
    permutation: str


class CorrelationResult(Result, frozen=True, kw_only=True):
    """Association of x and y: pooled, within data set, within group, repeated-measures and partial given lr."""

    x: str
    y: str
    x_unit: str
    y_unit: str
    n_runs: int
    n_dropped: int
    bootstrap: int
    bootstrap_seed: int
    pooled: Association
    by_dataset: Mapping[str, Association]
    by_group: Mapping[str, Association]
    rmcorr: Association | None
    partial: Association | None
    sign_reversal: bool
    findings: tuple[str, ...]
    left_out: tuple[str, ...] = ()
