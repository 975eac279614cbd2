"""Results of the mixed model: fixed effects, variance components, tests, contrasts."""

from collections.abc import Iterator, Mapping
from typing import Literal

from heatdrift.questions.answer import Check, Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Caveat, Detail, Grid, adjusted_over, csv_rows, finding_lines, grid, limits
from heatdrift.wording import number, percent

DdfMethod = Literal["satterthwaite", "kenward_roger", "strata"]


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


class MarginalMean(Result, frozen=True, kw_only=True):
    """The model's mean of one cell (dataset x method x lr), as emmeans prints it; None = the factor does not vary.

    The df are those of the contrasts, Kenward-Roger by default.
    """

    dataset: str | None
    method: str | None
    lr: float | None
    mean: float
    se: float
    df: float
    ci_low: float
    ci_high: float


class InteractionResult(PresentedResult, frozen=True, kw_only=True):
    """Mixed model of one metric against lr x method x dataset, with seed as a random effect.

    ``method_effects`` are the differences of methods averaged over learning rates and data sets, tested at the seed
    level (df_method strata; Holm over its own rows). ``n_cells`` counts the cells (dataset x method x lr) of the model.
    ``robust_contrasts`` are the twin of ``contrasts`` that pools no variance over cells: each is tested against its own
    spread over seeds. ``interval_method`` says how ``fixed``, ``contrasts`` and ``random`` got their intervals.
    ``selection`` names the levels of each factor among the runs used.
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
    marginal_means: tuple[MarginalMean, ...] = ()
    method_effects: tuple[Contrast, ...] = ()
    likelihood_ratio: tuple[LikelihoodRatio, ...] = ()
    variance_tests: tuple[VarianceTest, ...] = ()
    robust_contrasts: tuple[Contrast, ...] = ()
    scale: Literal["raw", "logit", "log"] = "raw"
    icc_ci_low: float = float("nan")
    icc_ci_high: float = float("nan")
    icc_ci_method: str = ""
    intervals: Literal["wald", "profile", "bootstrap"] = "wald"
    interval_method: str = ""
    bootstrap: int | None = None
    bootstrap_seed: int | None = None
    study: str | None = None
    selection: Mapping[str, tuple[str | float, ...]] = {}
    method: str = ""
    caveats: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the contrasts twice: at the seed level (df_method strata), then by the model."""
        return csv_rows((*self.robust_contrasts, *self.contrasts))

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, seed-level and model tests, contrasts, coefficients, variance components and checks."""
        level = percent(self.conf_level)
        yield f"{self.formula}   [{self.unit}]   REML log-likelihood {number(self.reml_loglik, 6)}"
        yield f"{self.n_runs} runs, {self.n_seeds} seeds, {self.n_dropped} runs left out"
        yield from limits(self.left_out, self.caveats)
        yield from finding_lines(self.findings, self.descriptions, self.notes)
        family = adjusted_over("findings", [t.p_box for t in self.tests], "terms of this response (p_box of strata)")
        yield grid(self.tests, title=f"tests of terms (headline: strata, the seed-level test), not adjusted; {family}")
        family = adjusted_over("p_holm", [c.p for c in self.contrasts], "contrasts of this response")
        yield grid(self.contrasts, title=f"method contrasts method_a - method_b, {level} intervals; {family}")
        family = adjusted_over("p_holm", [c.p for c in self.robust_contrasts], "contrasts of this response")
        title = f"the same, each against its own spread over seeds (no variance pooled); {family}"
        yield grid(self.robust_contrasts, title=title)
        yield grid(self.marginal_means, title=f"marginal means, {level} intervals")
        yield grid(self.fixed, title="fixed effects (treatment coding, Satterthwaite df)")
        title = "likelihood-ratio tests by ML and chi-square, as R's drop1: far too many rejections with few seeds"
        yield grid(self.likelihood_ratio, title=title)
        yield grid(self.random, title="variance components" + (", SINGULAR fit" if self.singular else ""))
        title = "restricted likelihood-ratio tests of variances (p_mixture: the 50:50 approximation)"
        yield grid(self.variance_tests, title=title)
        if self.interval_method:
            yield Detail(f"intervals: {self.interval_method}")
        known = self.icc_ci_low == self.icc_ci_low and self.icc_ci_high == self.icc_ci_high  # NaN: no interval asked
        interval = f" ({number(self.icc_ci_low)} to {number(self.icc_ci_high)}: {self.icc_ci_method})" if known else ""
        yield f"ICC {number(self.icc)}{interval}"
        yield f"R2 marginal {number(self.r2_marginal)}   R2 conditional {number(self.r2_conditional)}"
        yield Detail(f"singular: {'yes' if self.singular else 'no'}")
        yield f"checks: {len(self.checks)}, of which {sum(check.flag for check in self.checks)} ask you to look (!)"
        for check in self.checks:
            kind = Caveat if check.flag else Detail
            yield kind(f"  {'!' if check.flag else ' '} {check.name}: {check.sentence}")
