"""From a formula and a table to the fitted model, and every refusal on the way."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import LargeDesignError, StatsError
from heatdrift.questions.model.design import TableDesign, finite_rows, table_design
from heatdrift.questions.model.formula import Formula, columns_in, read_formula
from heatdrift.questions.model.frame import as_pandas, usable_rows
from heatdrift.questions.selection import codes as group_codes
from heatdrift.stats.cluster_robust import WithinClusters
from heatdrift.stats.cluster_tests import FTest, cluster_contrast
from heatdrift.stats.deviance import Grouping, grouped_sums, profiled_deviance
from heatdrift.stats.kenward_roger import KenwardRoger, kenward_roger
from heatdrift.stats.mixed_model import MixedFit, fit_mixed
from heatdrift.stats.satterthwaite import Satterthwaite, satterthwaite
from heatdrift.wording import counted

Floats = npt.NDArray[np.float64]

_LARGEST_GROUPS: Final = 4000  # of all intercepts together: matrices of groups x groups are formed
_LARGEST_CLUSTER: Final = 400  # rows of a group up to which the seed-level test is made: it needs rows x rows
_ROUNDING: Final = 1e-10
_DIGITS: Final = 64.0  # rounding errors that a fit adds up, in units of the response's last digit


@dataclass(frozen=True)
class TableModel:
    """A table's response, design and random intercepts; fits and tests are computed once, when first asked for."""

    formula: Formula
    design: TableDesign
    groupings: tuple[Grouping, ...]
    row_numbers: npt.NDArray[np.int64]  # of the table, from 1
    left_out: tuple[str, ...]
    n_dropped: int

    @cached_property
    def fit(self) -> MixedFit:
        """The REML fit."""
        return fit_mixed(self.design.y, self.design.x, self.groupings)

    @cached_property
    def ml_loglik(self) -> float:
        """Log-likelihood of the ML fit."""
        return fit_mixed(self.design.y, self.design.x, self.groupings, reml=False).loglik

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """Tests with Kenward-Roger covariance and df."""
        return kenward_roger(self.fit)

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """Tests with Satterthwaite df."""
        return satterthwaite(self.fit)

    def inference(self, ddf: str) -> KenwardRoger | Satterthwaite:
        """Return the tests by name."""
        return self.kenward_roger if ddf == "kenward_roger" else self.satterthwaite

    def strata(self, rows: Floats) -> tuple[Grouping, FTest] | None:
        """Test rows @ beta = 0 against its spread over the first grouping that is crossed with it."""
        for grouping in self.groupings:
            within = self._within.get(grouping.name)
            if within is not None:
                contrast = cluster_contrast(within, rows)
                if contrast.testable:
                    return grouping, contrast.f_test(self.design.y)
        return None

    @cached_property
    def _within(self) -> dict[str, WithinClusters]:
        found = {}
        for grouping in self.groupings:
            x, sizes = self.design.x, np.bincount(grouping.codes)
            within = x - (grouping.sums(x) / sizes[:, None])[grouping.codes]
            if 1 < sizes.max() <= _LARGEST_CLUSTER and np.abs(within).max() > _ROUNDING * np.abs(x).max():
                found[grouping.name] = WithinClusters(x, grouping.codes)
        return found

    @cached_property
    def predicted(self) -> Floats:
        """What the random intercepts are predicted to add to each row (BLUP), (n,)."""
        u = grouped_sums(self.groupings, self.fit.solve(self.design.y - self.design.x @ self.fit.beta))
        ends = np.cumsum([g.size for g in self.groupings])[:-1]
        parts = zip(self.groupings, self.fit.variances, np.split(u, ends), strict=True)
        return np.asarray(sum(v * part[g.codes] for g, v, part in parts))


def build(frame: pl.DataFrame, text: str) -> TableModel:
    """Read the formula, keep the rows that have all values, and refuse what cannot be fitted.

    Raises
    ------
    UnknownNameError
        A column that the table does not have. StatsError: the rows cannot answer (``design.py``), a grouping has one
        level, as many as rows, or is another's twin, or nothing varies.
    """
    formula = read_formula(text)
    columns = list(frame.columns)
    used = [*columns_in(formula.response, columns), *_fixed_columns(formula.fixed, columns)]
    used += [name for names in formula.random for name in names]
    rows, left_out = usable_rows(frame, list(dict.fromkeys(used)))
    finite = finite_rows(as_pandas(rows), formula.response, formula.fixed)
    if not finite.any():
        raise StatsError("the formula gives no finite value in any row", hint="log() wants values above 0")
    if not finite.all():
        left_out = (*left_out, f"{counted(int(np.sum(~finite)), 'row')} in which the formula gives no finite value")
        rows = rows.filter(pl.Series(finite))
    design = table_design(as_pandas(rows), formula.response, formula.fixed)
    if np.ptp(design.y) == 0.0:
        raise StatsError(
            f"{formula.response} is {design.y[0]:g} in all {design.y.size} rows: there is nothing to explain",
            hint="name another response",
        )
    groupings = tuple(_grouping(rows, names, formula) for names in formula.random)
    _refuse(design, groupings, formula)
    return TableModel(
        formula=formula,
        design=design,
        groupings=groupings,
        row_numbers=rows["_row"].to_numpy().astype(np.int64),
        left_out=left_out,
        n_dropped=frame.height - rows.height,
    )


def _fixed_columns(fixed: str, columns: list[str]) -> list[str]:
    import patsy

    try:
        terms = patsy.ModelDesc.from_formula(fixed).rhs_termlist
    except patsy.PatsyError as error:
        raise StatsError(f"{fixed!r} in the formula cannot be read: {str(error).splitlines()[0]}") from error
    return [name for term in terms for factor in term.factors for name in columns_in(factor.code, columns)]


def _grouping(rows: pl.DataFrame, names: tuple[str, ...], formula: Formula) -> Grouping:
    codes = group_codes(rows.with_columns(pl.col(names).cast(pl.String)), *names)
    name, n = ":".join(names), int(codes.max()) + 1
    if n < 2:
        raise StatsError(f"the random factor {name} has one level", hint=f"leave (1 | {name}) out, or add groups")
    if n == codes.size:
        raise StatsError(
            f"the random factor {name} has as many levels as there are rows ({n}): it cannot be told from the residual",
            hint=f"leave (1 | {name}) out of {formula}",
        )
    return Grouping(name=name, codes=codes)


def rounding_variance(y: Floats) -> float:
    """Return the variance of what is left of a response (n,) below which it is rounding, of a large mean too."""
    return max(_ROUNDING**2 * float(np.var(y)), (_DIGITS * np.finfo(float).eps * float(np.abs(y).max())) ** 2)


def _refuse(design: TableDesign, groupings: tuple[Grouping, ...], formula: Formula) -> None:
    n_groups = sum(g.size for g in groupings)
    if n_groups > _LARGEST_GROUPS:
        raise LargeDesignError(
            f"the random intercepts have {n_groups} levels together, of which {_LARGEST_GROUPS} fit into sensible time",
            hint="leave the finest one out, or fit a part of the rows",
        )
    for i, one in enumerate(groupings):
        for other in groupings[:i]:
            pairs = np.unique(np.column_stack([one.codes, other.codes]), axis=0).shape[0]
            if pairs == one.size == other.size:
                raise StatsError(
                    f"the random factors {other.name} and {one.name} have the same groups", hint="leave one of them out"
                )
    moments = profiled_deviance(design.x, groupings, reml=True)
    shares = np.diag(moments.w) @ moments.member / design.y.size
    for grouping, share in zip(groupings, shares, strict=True):
        if share < _ROUNDING:
            raise StatsError(
                f"the fixed part already has a mean for every level of the random factor {grouping.name}",
                hint=f"leave (1 | {grouping.name}) or its fixed terms out of {formula}",
            )
    _, spread, *_ = np.linalg.lstsq(design.x, design.y, rcond=None)
    if spread.size and spread[0] <= design.y.size * rounding_variance(design.y):
        raise StatsError(
            f"{formula.response} is exactly what the fixed part says in all rows: there is no error to test against",
            hint="name another response, or give more digits",
        )
