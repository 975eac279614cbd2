"""Fixed-effects design of lr x method x dataset: columns, names, type III hypotheses and marginal means.

Coefficients are in treatment coding (first levels: lowest lr, full_ft, first data set by name). The type III hypothesis
of a term is the one that sum contrasts give: the term averaged, with equal weights, over the levels of all other
factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from heatdrift.errors import StatsError

Floats = npt.NDArray[np.float64]
LrCoding = Literal["factor", "linear", "poly"]
Level = str | float

INTERCEPT: Final = "(Intercept)"


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: its levels and, per level, its columns in treatment and in sum coding.

    ``labels`` name the treatment columns. The columns of ``contrast`` have mean 0 over the levels, so that hypotheses
    about other factors are about averages over this one.
    """

    name: str
    levels: tuple[Level, ...]
    labels: tuple[str, ...]
    treatment: Floats  # (levels, columns)
    contrast: Floats  # (levels, columns)

    @property
    def numeric(self) -> bool:
        """Whether it is a line or curve in a number, so that its levels have no means of their own."""
        return len(self.labels) < len(self.levels) - 1


def categorical(name: str, levels: Sequence[Level]) -> Factor:
    """Factor with treatment columns against the first level."""
    k = len(levels)
    shown = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
    return Factor(
        name=name,
        levels=tuple(levels),
        labels=tuple(f"{name}[{level}]" for level in shown[1:]),
        treatment=np.eye(k)[:, 1:],
        contrast=np.vstack([np.eye(k - 1), -np.ones(k - 1)]),
    )


def log_linear(levels: Sequence[float], study_lrs: Sequence[float], *, degree: int) -> Factor:
    """Learning rate as powers 1..degree of log10(lr) minus its mean over `study_lrs`.

    The coefficients keep this zero, which does not move when a level is missing. The hypotheses are about averages over
    `levels`, wherever their mean lies: so are the words and the effects that stand next to them.

    Raises
    ------
    StatsError
        lr 0, which has no logarithm, or fewer levels than the degree needs.
    """
    if min(*levels, *study_lrs) <= 0:
        raise StatsError("lr 0 has no logarithm")
    if len(levels) <= degree:
        raise StatsError(
            f"a polynomial of degree {degree} in log10(lr) needs {degree + 1} learning rates, there are {len(levels)}"
        )
    x = np.log10(np.asarray(levels)) - np.mean(np.log10(np.unique(np.asarray(study_lrs, dtype=float))))
    powers = np.column_stack([x] + [x**d - np.mean(x**d) for d in range(2, degree + 1)])
    labels = tuple("lr" if d == 1 else f"lr^{d}" for d in range(1, degree + 1))
    return Factor(
        name="lr", levels=tuple(levels), labels=labels, treatment=powers, contrast=powers - powers.mean(axis=0)
    )


@dataclass(frozen=True, slots=True)
class Design:
    """Full factorial design of some factors.

    Attributes
    ----------
    factors : in model order (lr, method, dataset).
    terms : names joined by ':', lower orders first; without the intercept.
    columns : names of the coefficients, `(Intercept)` first.
    grid : one row of X per combination of levels, in `product` order of the factors.
    hypotheses : term -> (q, p) rows L with L @ beta = 0 its type III hypothesis.
    spans : term -> indices of its columns.
    """

    factors: tuple[Factor, ...]
    terms: tuple[str, ...]
    columns: tuple[str, ...]
    grid: Floats
    hypotheses: Mapping[str, Floats]
    spans: Mapping[str, tuple[int, ...]]

    def cells(self, values: Mapping[str, Sequence[Level]]) -> npt.NDArray[np.intp]:
        """Index into `grid` of each run, given its level of each factor."""
        index = np.zeros(len(values[self.factors[0].name]), dtype=np.intp)
        for factor in self.factors:
            position = {level: i for i, level in enumerate(factor.levels)}
            index = index * len(factor.levels) + np.array([position[v] for v in values[factor.name]], dtype=np.intp)
        return index

    def level_codes(self, name: str) -> npt.NDArray[np.intp]:
        """Level (0-based) of the factor `name` in each row of `grid`."""
        sizes = [len(f.levels) for f in self.factors]
        position = [f.name for f in self.factors].index(name)
        return np.asarray(np.unravel_index(np.arange(self.grid.shape[0]), sizes)[position], dtype=np.intp)

    def marginal(self, fixed: Mapping[str, Level]) -> Floats:
        """Row (p,) of the marginal mean at the levels in `fixed`, averaged with equal weights over all other levels."""
        kept = np.ones(self.grid.shape[0], dtype=bool)
        for factor in self.factors:
            if factor.name in fixed:
                kept &= self.level_codes(factor.name) == factor.levels.index(fixed[factor.name])
        return np.asarray(self.grid[kept].mean(axis=0))


def full_factorial(factors: Sequence[Factor]) -> Design:
    """Design with all main effects and interactions of `factors` (at least one, each with two levels or more)."""
    subsets = [s for order in range(1, len(factors) + 1) for s in combinations(factors, order)]
    index = np.indices([len(f.levels) for f in factors]).reshape(len(factors), -1)
    position = {f.name: codes for f, codes in zip(factors, index, strict=True)}
    ones = np.ones((index.shape[1], 1))
    treatment, contrast, columns = [ones], [ones], [INTERCEPT]
    spans: dict[str, tuple[int, ...]] = {}
    for subset in subsets:
        blocks = [ones, ones]
        labels = [""]
        for factor in subset:  # the first factor varies fastest, as in R
            blocks[0] = _rowwise(blocks[0], factor.treatment[position[factor.name]])
            blocks[1] = _rowwise(blocks[1], factor.contrast[position[factor.name]])
            labels = [f"{left}:{right}" if left else right for right in factor.labels for left in labels]
        name = ":".join(f.name for f in subset)
        spans[name] = tuple(range(len(columns), len(columns) + len(labels)))
        columns += labels
        treatment.append(blocks[0])
        contrast.append(blocks[1])
    grid, sums = np.hstack(treatment), np.hstack(contrast)
    to_sums = np.linalg.pinv(sums) @ grid
    to_sums[np.abs(to_sums) < 1e-12] = 0.0
    return Design(
        factors=tuple(factors),
        terms=tuple(spans),
        columns=tuple(columns),
        grid=grid,
        hypotheses={name: _own_identity(to_sums[list(span)], span) for name, span in spans.items()},
        spans=spans,
    )


def _own_identity(rows: Floats, span: tuple[int, ...]) -> Floats:
    """Write the same hypothesis as differences to the first level.

    This is lmerTest's basis, and its Satterthwaite df of a several-df term depend on the basis.
    """
    return np.asarray(np.linalg.solve(rows[:, list(span)], rows))


def _rowwise(left: Floats, right: Floats) -> Floats:
    """Row-wise Kronecker product with the columns of `left` varying fastest."""
    return (right[:, :, None] * left[:, None, :]).reshape(left.shape[0], -1)
