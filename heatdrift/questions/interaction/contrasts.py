"""Marginal means, and differences of methods in them, with Holm's adjustment over the rows printed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import Contrast, DdfMethod, MarginalMean
from heatdrift.questions.pairs import without_rounding
from heatdrift.stats.design import Level
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import t_interval
from heatdrift.stats.multiplicity import holm

Floats = npt.NDArray[np.float64]


def method_contrasts(model: InteractionModel, *, ddf: DdfMethod, conf_level: float) -> tuple[Contrast, ...]:
    """Differences of methods at each learning rate within each data set; Holm over all of them.

    The later method (full_ft first, then by name) minus the earlier one, as emmeans' ``pairs(reverse = TRUE)``; rows by
    data set, then learning rate. Empty where there is one method.
    """
    return _contrasts(model, _places(model), ddf=ddf, conf_level=conf_level)


def method_effects(model: InteractionModel, *, conf_level: float) -> tuple[Contrast, ...]:
    """Differences of methods averaged over learning rates and data sets, tested at the seed level."""
    return _contrasts(model, [(None, None)], ddf="strata", conf_level=conf_level)


def marginal_means(model: InteractionModel, *, ddf: DdfMethod, conf_level: float) -> tuple[MarginalMean, ...]:
    """The model's mean of every cell, by data set, learning rate and method, with t intervals."""
    factor = model.factor("method")
    methods = factor.levels if factor else (None,)
    found = []
    for dataset, lr in _places(model):
        for method in methods:
            at = _levels(model, dataset=dataset, lr=lr, method=method)
            estimate, se, df = model.compare(model.design.marginal(at), ddf)
            low, high = t_interval(estimate, se, df, conf_level)
            found.append(
                MarginalMean(
                    dataset=None if dataset is None else str(dataset),
                    method=None if method is None else str(method),
                    lr=None if lr is None else float(lr),
                    mean=estimate,
                    se=se,
                    df=df,
                    ci_low=low,
                    ci_high=high,
                )
            )
    return tuple(found)


def _levels(model: InteractionModel, **named: Level | None) -> dict[str, Level]:
    """Keep the factors that vary in the model."""
    return {name: level for name, level in named.items() if level is not None and model.factor(name)}


def contrast_rows(model: InteractionModel) -> Floats:
    """Rows (m, p) of the contrasts of `method_contrasts`, in its order."""
    return np.array([row for *_, row in _rows(model, _places(model))]).reshape(-1, len(model.design.columns))


def _places(model: InteractionModel) -> list[tuple[Level | None, float | None]]:
    factor = model.factor("dataset")
    datasets = factor.levels if factor else (None,)
    return [(d, lr) for d in datasets for lr in model.lrs]


def _rows(
    model: InteractionModel, places: Sequence[tuple[Level | None, float | None]]
) -> list[tuple[Level | None, float | None, Level, Level, Floats]]:
    """Data set, learning rate, both methods and the contrast of coefficients of every row."""
    factor = model.factor("method")
    if factor is None:
        return []
    pairs = [(a, b) for i, b in enumerate(factor.levels) for a in factor.levels[i + 1 :]]
    rows = []
    for dataset, lr in places:
        at = _levels(model, dataset=dataset, lr=lr)
        for a, b in pairs:
            row = model.design.marginal({**at, "method": a}) - model.design.marginal({**at, "method": b})
            rows.append((dataset, lr, a, b, row))
    return rows


def _contrasts(
    model: InteractionModel,
    places: Sequence[tuple[Level | None, float | None]],
    *,
    ddf: DdfMethod,
    conf_level: float,
) -> tuple[Contrast, ...]:
    size = float(np.abs(model.y).max())
    compared = [(d, lr, a, b, *model.compare(row, ddf)) for d, lr, a, b, row in _rows(model, places)]
    rows = [(d, lr, a, b, without_rounding(estimate, size), se, df) for d, lr, a, b, estimate, se, df in compared]
    ts = [estimate / se if se > 0 else float("nan") for *_, estimate, se, _ in rows]
    ps = [t_p_value(t, df) for t, (*_, df) in zip(ts, rows, strict=True)]
    ends = [t_interval(estimate, se, df, conf_level) for *_, estimate, se, df in rows]
    return tuple(
        Contrast(
            dataset=None if dataset is None else str(dataset),
            lr=None if lr is None else float(lr),
            method_a=str(a),
            method_b=str(b),
            estimate=estimate,
            se=se,
            df=df,
            df_method=ddf,
            t=t,
            p=p,
            p_holm=float(adjusted),
            ci_low=low,
            ci_high=high,
        )
        for (dataset, lr, a, b, estimate, se, df), t, p, adjusted, (low, high) in zip(
            rows, ts, ps, holm(ps), ends, strict=True
        )
    )
