"""The typed answer of a model of any table."""

from collections.abc import Iterator
from typing import Literal

from heatdrift.questions.answer import Check, Result
from heatdrift.questions.claims import Claim
from heatdrift.questions.presented import PresentedResult
from heatdrift.questions.tables import Caveat, Detail, Grid, csv_rows, finding_lines, grid, limits
from heatdrift.wording import number, percent

DdfMethod = Literal["kenward_roger", "satterthwaite"]
TestMethod = Literal["kenward_roger", "satterthwaite", "strata"]
IntervalKind = Literal["wald", "profile", "bootstrap"]


class Variance(Result, frozen=True, kw_only=True):
    """Variance of one random intercept, or of the residual, in squared units of the response."""

    group: str
    n_groups: int | None
    variance: float
    sd: float
    ci_low: float | None = None
    ci_high: float | None = None


class Coefficient(Result, frozen=True, kw_only=True):
    """One coefficient in treatment coding, first level of each factor as the reference."""

    term: str
    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float


class TermTest(Result, frozen=True, kw_only=True):
    """F test of one term, type III.

    ``strata`` compares the term with its own spread over the groups of `cluster`, whatever their covariance (the
    seed-level test of ``stats interaction``); it exists where that grouping is crossed with the term.
    """

    term: str
    method: TestMethod
    f: float
    df_num: float
    df_den: float
    p: float
    cluster: str | None = None
    n_clusters: int | None = None


class Mean(Result, frozen=True, kw_only=True):
    """Marginal mean of a combination of levels; NaN where empty cells make it inestimable."""

    spec: str
    level: str
    at: str
    mean: float
    se: float
    df: float
    ci_low: float
    ci_high: float


class Contrast(Result, frozen=True, kw_only=True):
    """Difference of marginal means, first minus second; p_holm adjusts over the rows of one `spec`."""

    spec: str
    contrast: str
    at: str
    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_holm: float
    ci_low: float
    ci_high: float


class ModelResult(PresentedResult, frozen=True, kw_only=True):
    """Mixed model of one column of a table: random intercepts, fixed part of a formula.

    ``dropped`` names coefficients that depend on others in these rows. ``ddf`` is how contrasts, means and claims are
    tested; term tests are given every way.
    """

    formula: str
    response: str
    n_rows: int
    n_dropped: int
    ddf: DdfMethod
    conf_level: float
    intervals: IntervalKind
    interval_method: str
    reml_loglik: float
    ml_loglik: float
    singular: bool
    icc: float
    r2_marginal: float
    r2_conditional: float
    random: tuple[Variance, ...]
    fixed: tuple[Coefficient, ...]
    dropped: tuple[str, ...]
    tests: tuple[TermTest, ...]
    means: tuple[Mean, ...]
    contrasts: tuple[Contrast, ...]
    checks: tuple[Check, ...]
    left_out: tuple[str, ...]
    method: str
    findings: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    descriptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    study: str | None = None

    def csv_rows(self) -> list[dict[str, object]]:
        """Return the contrasts, or the tests of terms where there is no factor, or the coefficients."""
        return csv_rows(self.contrasts or self.tests or self.fixed)

    def shown(self) -> Iterator[str | Grid]:
        """Yield findings, tests, contrasts, means, coefficients, variances and checks."""
        level = percent(self.conf_level)
        yield f"{self.formula}   REML log-likelihood {number(self.reml_loglik, 6)}"
        yield f"{self.n_rows} rows, {self.n_dropped} left out"
        yield from limits(self.left_out, self.caveats)
        yield Detail(f"method: {self.method}")
        yield from finding_lines(self.findings, self.descriptions, self.notes)
        if self.tests:
            yield grid(self.tests, title="tests of terms, type III, not adjusted")
        if self.contrasts:
            family = "p_holm: Holm over the contrasts of one spec"
            yield grid(self.contrasts, title=f"contrasts, {level} intervals; {family}")
        if self.means:
            yield grid(self.means, title=f"marginal means, {level} intervals")
        yield grid(self.fixed, title="coefficients (treatment coding)")
        if self.dropped:
            yield f"not estimable, left out of the design: {', '.join(self.dropped)}"
        yield grid(self.random, title="variance components" + (", SINGULAR fit" if self.singular else ""))
        yield Detail(f"intervals: {self.interval_method}")
        yield Detail(
            f"ICC {number(self.icc)}   R2 marginal {number(self.r2_marginal)}   "
            f"R2 conditional {number(self.r2_conditional)}"
        )
        yield from (Caveat(f"  ! {check.name}: {check.sentence}") for check in self.checks if check.flag)
        yield from (Detail(f"    {check.name}: {check.sentence}") for check in self.checks if not check.flag)
