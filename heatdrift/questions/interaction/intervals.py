"""Intervals of one interaction analysis in three kinds: Wald, profile likelihood, parametric bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from heatdrift.questions.interaction.contrasts import contrast_rows
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import Contrast, FixedEffect, VarianceComponent
from heatdrift.stats.intervals import percentile_interval, t_interval
from heatdrift.stats.parametric_bootstrap import parametric_bootstrap
from heatdrift.stats.profile_likelihood import contrast_intervals, icc_interval, variance_interval
from heatdrift.stats.variance_ratio import spectrum

Floats = npt.NDArray[np.float64]
IntervalKind = Literal["wald", "profile", "bootstrap"]

_WALD: Final = "t quantiles: fixed effects with Satterthwaite df, contrasts with the df named in each row"
_PROFILE: Final = "profile likelihood: fixed effects and contrasts by ML, variances by REML"


@dataclass(frozen=True, slots=True)
class Estimates:
    """The rows of a result that carry intervals, and how these were made."""

    fixed: tuple[FixedEffect, ...]
    contrasts: tuple[Contrast, ...]
    random: tuple[VarianceComponent, ...]
    icc: tuple[float, float]
    icc_method: str
    method: str


def with_intervals(
    model: InteractionModel,
    *,
    fixed: tuple[FixedEffect, ...],
    contrasts: tuple[Contrast, ...],
    random: tuple[VarianceComponent, ...],
    kind: IntervalKind,
    level: float,
    draws: int,
    seed: int,
) -> Estimates:
    """Put intervals of one kind on the rows of a result.

    The ICC has the exact interval of Harville and Fenech for one random intercept, else the REML profile one; with
    `kind` bootstrap, the bootstrap one. Contrasts arrive with their Wald intervals.
    """
    icc, icc_method = _icc(model, level)
    if kind == "wald":
        ends = [t_interval(f.estimate, f.se, f.df, level) for f in fixed]
        shown = tuple(replace(f, ci_low=low, ci_high=high) for f, (low, high) in zip(fixed, ends, strict=True))
        return Estimates(shown, contrasts, random, icc, icc_method, _WALD)
    rows = np.vstack([np.eye(len(fixed)), contrast_rows(model)])
    if kind == "profile":
        low, high = contrast_intervals(model.y, model.x, model.groupings, rows, level)
        variances = np.array([variance_interval(model.fit, i, level) for i in range(len(random))])
        method = _PROFILE
    else:
        refits = parametric_bootstrap(model.fit, draws=draws, seed=seed)
        low, high = percentile_interval(refits.beta @ rows.T, level)
        variances = np.column_stack(percentile_interval(refits.variances, level))
        ends_icc = percentile_interval(refits.icc, level)
        icc = float(ends_icc[0]), float(ends_icc[1])
        method = icc_method = f"parametric bootstrap, percentile, B={draws}, seed {seed}"
    n = len(fixed)
    return Estimates(
        fixed=tuple(
            replace(f, ci_low=float(a), ci_high=float(b)) for f, a, b in zip(fixed, low[:n], high[:n], strict=True)
        ),
        contrasts=tuple(
            replace(c, ci_low=float(a), ci_high=float(b)) for c, a, b in zip(contrasts, low[n:], high[n:], strict=True)
        ),
        random=_bounded(random, variances),
        icc=icc,
        icc_method=icc_method,
        method=method,
    )


def _bounded(random: Sequence[VarianceComponent], ends: Floats) -> tuple[VarianceComponent, ...]:
    return tuple(replace(r, ci_low=float(a), ci_high=float(b)) for r, (a, b) in zip(random, ends, strict=True))


def _icc(model: InteractionModel, level: float) -> tuple[tuple[float, float], str]:
    if len(model.groupings) == 1:
        ratios = spectrum(model.y, model.x, model.groupings[0]).interval(level)
        low, high = (1.0 if np.isinf(r) else r / (1.0 + r) for r in ratios)
        return (low, high), "exact F pivot (Harville and Fenech 1985)"
    return icc_interval(model.fit, level), "REML profile likelihood"
