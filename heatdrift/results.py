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
    """Variance of one random intercept (or of the residual), in squared units of the metric.

    ``ci_low`` and ``ci_high`` bound the variance; None with Wald intervals, which a variance near 0 does not have.
    """

    group: str
    variance: float
    sd: float
    ci_low: float | None = None
    ci_high: float | None = None


class VarianceTest(Result, frozen=True, kw_only=True):
    """Restricted likelihood-ratio test of one random intercept's variance against 0.

    ``p`` uses the null distribution of these data, ``p_mixture`` the asymptotic 50:50 mixture of 0 and chi-square(1).
    ``draws`` is 0 where the null distribution has a closed form.
    """

    group: str
    n_groups: int
    rlrt: float
    p: float
    p_mixture: float
    method: str
    draws: int
    seed: int | None


class FixedEffect(Result, frozen=True, kw_only=True):
    """One coefficient in treatment coding (first levels: data sets alphabetical, full_ft, lowest lr)."""

    term: str
    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float | None = None
    ci_high: float | None = None


class TermTest(Result, frozen=True, kw_only=True):
    """F test of one term (type III, sum contrasts); ``strata`` is the seed-level test in the term's error stratum.

    Strata rows also carry the number of seeds behind the test, Greenhouse-Geisser's epsilon and the p corrected by it,
    and Box's epsilon (from variances per level) with its p: what a finding rests on. With one df all three p agree.
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
    epsilon_box: float | None = None
    p_box: float | None = None


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
    ``robust_contrasts`` are the twin of ``contrasts`` that pools no variance over cells: each is tested against its own
    spread over seeds. ``interval_method`` says how ``fixed``, ``contrasts`` and ``random`` got their intervals.
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
    variance_tests: tuple[VarianceTest, ...] = ()
    robust_contrasts: tuple[Contrast, ...] = ()
    icc_ci_low: float = float("nan")
    icc_ci_high: float = float("nan")
    icc_ci_method: str = ""
    intervals: Literal["wald", "profile", "bootstrap"] = "wald"
    interval_method: str = ""
    bootstrap: int | None = None
    bootstrap_seed: int | None = None


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


class PairedRow(Result, frozen=True, kw_only=True):
    """method_b - method_a over runs that agree in data set, lr and seed; ``dataset`` None = over all data sets.

    ``n`` counts pairs; ``difference``, ``dz``, ``t`` and ``wilcoxon_p`` treat pairs as independent, as published.
    ``seed_difference`` weighs every (data set, lr) equally and is tested against its spread over seeds; the interval
    is its own. ``mean_full_ft`` and ``mean_lora_r8`` are null unless these two methods are compared. Not defined
    (one pair, no variance, one seed) = NaN -> null.
    """

    dataset: str | None
    metric: str
    unit: str
    n: int
    n_dropped: int
    mean_full_ft: float | None
    mean_lora_r8: float | None
    mean_a: float
    mean_b: float
    difference: float
    dz: float
    t: float
    t_p: float
    t_p_holm: float
    wilcoxon_p: float
    seed_difference: float
    seed_t: float
    seed_df: float
    seed_p: float
    seed_p_holm: float
    n_seeds: int
    ci_low: float
    ci_high: float


class PairedResult(Result, frozen=True, kw_only=True):
    """All paired comparisons; both Holm adjustments run over ``rows``."""

    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[PairedRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]


class DoseRow(Result, frozen=True, kw_only=True):
    """Trend of a metric over learning rates in one group; ``dataset`` None where there is one only.

    ``rho`` is Spearman's over runs, ``p`` its usual t approximation, ``p_exact`` permutes lr labels within seed (two
    sided; how, in ``p_method``; ``p_smallest`` is the smallest p that these counts of lrs and seeds allow). ``slope``
    is the change per tenfold learning rate with its seed-level interval. ``monotone``: whether the means of the
    learning rates only rise or only fall.
    """

    dataset: str | None
    method: str
    metric: str
    unit: str
    n: int
    n_lrs: int
    n_seeds: int
    rho: float
    p: float
    p_exact: float
    p_exact_holm: float
    p_method: str
    p_smallest: float
    slope: float
    ci_low: float
    ci_high: float
    monotone: bool


class DoseResult(Result, frozen=True, kw_only=True):
    """Trends of all groups and metrics; Holm over ``rows``."""

    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[DoseRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]


class LayerRow(Result, frozen=True, kw_only=True):
    """Seed-level test of one block (``head`` None: mean over its heads) and probe.

    ``test`` "method": method_b - method_a, averaged over lr and data set (``dataset`` and ``method`` None). "drift":
    mean drift of one group against 0. ``p_bh`` and ``p_by`` adjust over the ``family`` rows of the same test and
    metric, blocks and heads apart.
    """

    test: Literal["method", "drift"]
    dataset: str | None
    method: str | None
    metric: str
    unit: str
    layer: int
    head: int | None
    n: int
    n_seeds: int
    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_bh: float
    p_by: float
    family: int
    ci_low: float
    ci_high: float


class LayersResult(Result, frozen=True, kw_only=True):
    """Tests of all blocks and heads at the selected epoch."""

    metrics: tuple[str, ...]
    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    n_runs: int
    n_seeds: int
    n_dropped: int
    conf_level: float
    method: str
    rows: tuple[LayerRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]


class PredictorRow(Result, frozen=True, kw_only=True):
    """How one signal ranks zero-shot retention.

    ``rho``, Spearman over runs, has the sign found. ``rho_within_group`` is the mean over groups of rho times
    ``orientation`` (+1: a higher value was expected with more retention): positive = as expected. The two ``_abs`` are
    means of the absolute value. ``score``, on cell means, is the mean over data sets of rho times orientation; its
    interval and ``gap`` (best signal's score minus this one's) resample cells within groups. ``best_share`` is the
    share of resamples in which this signal scores highest. References take no part in "best" (their share is null).
    """

    signal: str
    when: Literal["final", "epoch1"]
    n: int
    rho: float
    rho_within_dataset_abs: float
    rho_within_group_abs: float
    rho_within_group: float
    orientation: int
    reference: bool
    n_cells: int
    score: float
    ci_low: float
    ci_high: float
    gap: float
    gap_ci_low: float
    gap_ci_high: float
    best_share: float


class SelectionRow(Result, frozen=True, kw_only=True):
    """What it costs to let a signal choose among cells of nearly the best validation accuracy.

    Retention of the picked cell (mean over seeds, seed-level interval), of the best (``oracle``) and worst candidate,
    and expected of a random one. ``dataset`` None where there is one only.
    """

    dataset: str | None
    signal: str
    picked: str
    picked_method: str
    picked_lr: float
    retention_pct: float
    ci_low: float
    ci_high: float
    oracle: float
    random: float
    worst: float
    n_candidates: int


class PredictorsResult(Result, frozen=True, kw_only=True):
    """Signals against retention; ``selection`` uses the signals at the selected epoch, ``selection_epoch1`` at 1."""

    metric: str
    unit: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    bootstrap: int
    bootstrap_seed: int
    margin: float
    method: str
    rows: tuple[PredictorRow, ...]
    selection: tuple[SelectionRow, ...]
    selection_epoch1: tuple[SelectionRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]


class FrontierCell(Result, frozen=True, kw_only=True):
    """One cell's accuracy and retention (means over seeds, seed-level intervals) and its place among its data set's.

    ``front_share``: share of resamples of seeds in which no other cell is at least as good in both and better in one.
    """

    dataset: str | None
    method: str
    lr: float
    n_seeds: int
    test_acc_pct: float
    acc_ci_low: float
    acc_ci_high: float
    retention_pct: float
    retention_ci_low: float
    retention_ci_high: float
    weight_drift: float
    on_front: bool
    front_share: float
    dominated_by: str | None


class MatchedRow(Result, frozen=True, kw_only=True):
    """Retention of method_b - method_a where both reach the same test accuracy or weight drift.

    Mean over the overlap of the two dose curves; NaN with a reason in ``note`` where they do not overlap.
    """

    dataset: str | None
    matched_on: Literal["test_acc_pct", "weight_drift"]
    method_a: str
    method_b: str
    overlap_low: float
    overlap_high: float
    difference: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    n_seeds: int
    note: str


class FrontierResult(Result, frozen=True, kw_only=True):
    """Accuracy-retention front of cells, and methods compared at matched accuracy and matched weight drift."""

    unit: str
    datasets: tuple[str, ...]
    n_runs: int
    n_dropped: int
    conf_level: float
    bootstrap: int
    bootstrap_seed: int
    method: str
    cells: tuple[FrontierCell, ...]
    matched: tuple[MatchedRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]


class PowerRow(Result, frozen=True, kw_only=True):
    """Smallest detectable |method_b - method_a| of a seed-level test with ``n_seeds`` seeds.

    ``lr`` None = averaged over learning rates, ``dataset`` None = over data sets. ``sd`` is the study's SD of the
    contrast between seeds with ``sd_df`` degrees of freedom and its chi-square interval; ``ci_low`` and ``ci_high``
    are the detectable effects at the ends of that interval.
    """

    dataset: str | None
    lr: float | None
    n_seeds: int
    detectable: float
    ci_low: float
    ci_high: float
    sd: float
    sd_ci_low: float
    sd_ci_high: float
    sd_df: float


class PowerResult(Result, frozen=True, kw_only=True):
    """What a seed-level comparison of two methods can find: the asked number of seeds and some others."""

    metric: str
    unit: str
    method_a: str
    method_b: str
    datasets: tuple[str, ...]
    seeds: int
    seeds_observed: int
    n_runs: int
    n_dropped: int
    conf_level: float
    alpha: float
    power: float
    method: str
    rows: tuple[PowerRow, ...]
    findings: tuple[str, ...]
    left_out: tuple[str, ...]
