"""The fixed part of a formula as matrices: the design that is fitted, its terms, and a grid of what to average over."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from heatdrift.errors import LargeDesignError, StatsError
from heatdrift.questions.model.formula import EXAMPLE, FUNCTIONS, columns_in
from heatdrift.stats.type_three import Estimable, independent_columns, type_three

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

LARGEST_DESIGN: Final = 400  # coefficients: the work of some tests grows with the cube
_LARGEST_GRID: Final = 20_000
_INTERCEPT: Final = "Intercept"
_FROM_FUNCTIONS: Final = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)  # bs(x, df=1)
_WIDEST_SCALE: Final = 1e100  # beyond it, and below its inverse, squares leave the range of a number


@dataclass(frozen=True)
class TableDesign:
    """The fixed part of one model.

    Attributes
    ----------
    y : (n,) response. x : (n, p) of full rank, treatment coding. columns : its names.
    dropped : columns that depend on others, which are left out as R leaves them out.
    hypotheses : term -> rows (df, p) of its type III hypothesis.
    categories : column of the table -> its levels, for columns that are factors. means : mean of each numeric column.
    """

    y: Floats
    x: Floats
    columns: tuple[str, ...]
    dropped: tuple[str, ...]
    hypotheses: Mapping[str, Floats]
    categories: Mapping[str, tuple[str, ...]]
    means: Mapping[str, float]
    estimable: Estimable
    _info: Any = field(repr=False)  # patsy's DesignInfo, which knows how new rows become a design

    def grid(self) -> tuple[list[tuple[str, ...]], list[Floats | None]]:
        """Return every combination of levels of the factors, and its row (p,); None where it cannot be estimated.

        Numeric columns are at their mean, as emmeans has them.
        """
        import pandas as pd
        from patsy import build_design_matrices

        names = list(self.categories)
        points = list(product(*self.categories.values()))
        if len(points) > _LARGEST_GRID:
            raise LargeDesignError(
                f"{len(points)} combinations of levels are too many to average over", hint="name fewer factors"
            )
        frame = pd.DataFrame(
            {
                **{name: [point[i] for point in points] for i, name in enumerate(names)},
                **{name: [mean] * len(points) for name, mean in self.means.items()},
            },
            index=range(len(points)),
        )
        wide = np.asarray(build_design_matrices([self._info], frame)[0], dtype=float)
        if wide.shape[0] != len(points):  # a design of the intercept alone has one row whatever the frame
            wide = np.broadcast_to(wide, (len(points), wide.shape[1]))
        return points, [self.estimable.row(row) for row in wide]


def table_design(frame: "pd.DataFrame", response: str, fixed: str) -> TableDesign:
    """Build the design of the rows, all of which have a value in every column.

    Raises
    ------
    StatsError
        The formula cannot be read, a factor has one level, a term cannot be estimated, or coefficients outnumber rows.
    """
    y, whole = _matrices(frame, response, fixed)
    info = whole.design_info
    wide = np.asarray(whole, dtype=float)
    if y.shape[1] != 1:
        raise StatsError(f"the response {response} is {y.shape[1]} columns, not one", hint=EXAMPLE)
    kinds = {factor: facts.type for factor, facts in info.factor_infos.items()}
    categories = _categories(frame, kinds)
    if wide.shape[1] > LARGEST_DESIGN:
        raise LargeDesignError(
            f"the model would have {wide.shape[1]} coefficients, of which {LARGEST_DESIGN} can be tested in sensible "
            "time",
            hint="use fewer interactions, or a covariate in place of a factor of many levels",
        )
    for name, column in zip(info.column_names, wide.T, strict=True):
        _in_range(name, column)
    kept = independent_columns(wide)
    if len(kept) >= wide.shape[0]:
        raise StatsError(
            f"{len(kept)} coefficients on {wide.shape[0]} rows leave nothing to estimate the error",
            hint="use fewer terms in the formula, or more rows",
        )
    x = wide[:, kept]
    _in_range(response, np.asarray(y, dtype=float))
    hypotheses = _hypotheses(frame, info, kinds, x)
    own = {name for factor in kinds for name in columns_in(factor.code, list(frame.columns))}
    numeric = sorted(own - set(categories))
    return TableDesign(
        y=np.asarray(y, dtype=float)[:, 0],
        x=x,
        columns=tuple(info.column_names[i] for i in kept),
        dropped=tuple(name for i, name in enumerate(info.column_names) if i not in kept),
        hypotheses=hypotheses,
        categories=categories,
        means={name: float(frame[name].mean()) for name in numeric},
        estimable=Estimable.of(x, wide),
        _info=info,
    )


def _in_range(name: str, values: Floats) -> None:
    largest = float(np.abs(values).max())
    if largest and not 1.0 / _WIDEST_SCALE < largest < _WIDEST_SCALE:
        raise StatsError(
            f"the values of {name} reach {largest:.1g}, whose square is outside of the range of numbers",
            hint="give it in another unit",
        )


def _matrices(frame: "pd.DataFrame", response: str, fixed: str) -> tuple[Any, Any]:
    import patsy

    environment = _environment()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for name in _factors(fixed):
                columns_in(name, list(frame.columns))
            return tuple(
                patsy.dmatrices(f"{response} ~ {fixed}", frame, environment, NA_action=patsy.NAAction(NA_types=[]))
            )
    except (patsy.PatsyError, *_FROM_FUNCTIONS) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise StatsError(f"the formula {response} ~ {fixed} cannot be used: {said}", hint=EXAMPLE) from error


def finite_rows(frame: "pd.DataFrame", response: str, fixed: str) -> npt.NDArray[np.bool_]:
    """Whether the formula gives finite values, for each row: log(0) is none."""
    _number(frame, response)
    y, x = _matrices(frame, response, fixed)
    return np.asarray(np.isfinite(np.asarray(y)).all(axis=1) & np.isfinite(np.asarray(x)).all(axis=1))


def _number(frame: "pd.DataFrame", response: str) -> None:
    for name in columns_in(response, list(frame.columns)):
        if frame[name].dtype.kind not in "fiu":
            raise StatsError(f"the response {name} is text, not a number", hint="name a numeric column before ~")


def _factors(fixed: str) -> list[str]:
    import patsy

    described = patsy.ModelDesc.from_formula(fixed)
    return list(dict.fromkeys(factor.code for term in described.rhs_termlist for factor in term.factors))


def _categories(frame: "pd.DataFrame", kinds: Mapping[Any, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for factor, kind in kinds.items():
        for name in columns_in(factor.code, list(frame.columns)) if kind == "categorical" else ():
            levels = tuple(sorted(set(frame[name])))
            if len(levels) < 2:
                raise StatsError(
                    f"the factor {name} has one level, {levels[0]!r}: there is nothing to compare",
                    hint=f"leave {name} out of the formula",
                )
            found[name] = levels
    return found


def _hypotheses(frame: "pd.DataFrame", info: Any, kinds: Mapping[Any, str], x: Floats) -> dict[str, Floats]:  # noqa: ANN401 (patsy has no types)
    """Type III rows of each term but the intercept."""
    from patsy import dmatrix

    columns = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment = _environment()
        for factor in kinds:
            columns[factor] = np.asarray(dmatrix(f"0 + {factor.code}", frame, environment), dtype=float)
    blocks, sorts = {}, {}
    for term in info.terms:
        block = np.ones((x.shape[0], 1))
        for factor in term.factors:
            block = (block[:, :, None] * columns[factor][:, None, :]).reshape(x.shape[0], -1)
        if block.shape[1] > 10 * LARGEST_DESIGN:
            raise LargeDesignError(f"the term {term.name()} has {block.shape[1]} combinations", hint="use fewer levels")
        blocks[term.name()] = block
        by = {kind: frozenset(f for f in term.factors if kinds[f] == kind) for kind in ("categorical", "numerical")}
        sorts[term.name()] = by
    containing = {
        name: [
            other
            for other, there in sorts.items()
            if by["numerical"] == there["numerical"] and by["categorical"] < there["categorical"]
        ]
        for name, by in sorts.items()
    }
    found = type_three(x, blocks, containing, intercept=_INTERCEPT)
    for name, rows in found.items():
        if name != _INTERCEPT and not rows.size:
            raise StatsError(
                f"the term {name} cannot be estimated: the other terms determine it in these rows",
                hint=f"leave {name} out of the formula",
            )
    return {name: rows for name, rows in found.items() if name != _INTERCEPT}


def _environment() -> Any:  # noqa: ANN401 (patsy has no types)
    import patsy

    return patsy.EvalEnvironment([{"np": np, **{name: getattr(np, name) for name in FUNCTIONS}}])


def averaged(rows: Sequence[Floats | None]) -> Floats | None:
    """Mean of rows; None where one of them cannot be estimated."""
    known = [row for row in rows if row is not None]
    return np.mean(known, axis=0) if len(known) == len(rows) and known else None
