"""What a reader must know before believing a model: zero variances, tests that disagree, imbalance, one odd row."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.model.fitted import TableModel
from heatdrift.questions.model.result import TermTest
from heatdrift.stats.distributions import f_p_value, t_p_value
from heatdrift.stats.homoscedasticity import cell_spread
from heatdrift.stats.kenward_roger import kenward_roger
from heatdrift.stats.mixed_model import SINGULAR_RATIO, fit_mixed
from heatdrift.wording import counted, f_text, listed, number, p_text

_MOST_ROWS: Final = 5000  # rows up to which the model is fitted again without the oddest one
_MOST_CELLS: Final = 2000


def model_checks(model: TableModel, tests: Sequence[TermTest]) -> tuple[Check, ...]:
    """Return the checks that apply, in a fixed order."""
    return (_singular(model), _agreement(tests), _balance(model), *_cell_variance(model), _influence(model))


def _singular(model: TableModel) -> Check:
    zero = [g.name for g, r in zip(model.groupings, model.fit.ratios, strict=True) if r < SINGULAR_RATIO]
    sentence = (
        f"The model estimates the variance of {listed(zero)} as zero (a singular fit). With few groups that happens by "
        "chance. Satterthwaite's tests then ignore what the rows of a group share: read Kenward-Roger's."
        if zero
        else "No variance is estimated as zero."
    )
    return Check(name="singular", flag=bool(zero), values={"n_zero": len(zero)}, sentence=sentence)


def _agreement(tests: Sequence[TermTest]) -> Check:
    differing = []
    values: dict[str, float | int | str | None] = {}
    for term in dict.fromkeys(test.term for test in tests):
        p = {test.method: test.p for test in tests if test.term == term and not np.isnan(test.p)}
        values |= {f"{term} {method}": value for method, value in p.items()}
        if len({value < ALPHA for value in p.values()}) > 1:
            said = [f"{method.replace('_', ' ')} {p_text(value)}" for method, value in p.items()]
            differing.append(f"{term} ({', '.join(said)})")
    sentence = (
        f"At 5 % the tests give different answers for {'; '.join(differing)}: a finding needs the model's test and, "
        "where there is one, the test over groups to agree."
        if differing
        else "At 5 % all tests of a term agree."
    )
    return Check(name="agreement", flag=bool(differing), values=values, sentence=sentence)


def _cells(model: TableModel) -> np.ndarray:
    return np.unique(np.round(model.design.x, 9), axis=0, return_inverse=True)[1].ravel()


def _balance(model: TableModel) -> Check:
    possible = int(np.prod([len(levels) for levels in model.design.categories.values()], dtype=float))
    cells = _cells(model)
    sizes = np.bincount(cells)
    values: dict[str, float | int | str | None] = {
        "n_cells": sizes.size,
        "least": int(sizes.min()),
        "most": int(sizes.max()),
        "n_dropped_columns": len(model.design.dropped),
    }
    if model.design.dropped:
        sentence = (
            f"Rank-deficient: {counted(len(model.design.dropped), 'coefficient')} cannot be estimated from these rows "
            f"({listed(list(model.design.dropped))}); tests are of what can be estimated, and means of empty cells are "
            "not given."
        )
    elif model.design.means:
        sentence = f"{counted(sizes.size, 'distinct row')} of the design; covariates leave no cells to balance."
    else:
        equal = sizes.min() == sizes.max()
        sentence = (
            f"{'Balanced' if equal else 'Unbalanced'}: {sizes.min()}"
            f"{'' if equal else f' to {sizes.max()}'} rows in each of {sizes.size} cells ({possible} possible)."
        )
    flag = bool(model.design.dropped) or (not model.design.means and bool(sizes.min() != sizes.max()))
    return Check(name="balance", flag=flag, values=values, sentence=sentence)


def _cell_variance(model: TableModel) -> tuple[Check, ...]:
    """Compare the spread of rows between cells, what the groups are predicted to add taken off."""
    cells = _cells(model)
    if int(cells.max()) + 1 > _MOST_CELLS:
        return ()
    spread = cell_spread((model.design.y - model.predicted)[None, :], cells)
    if spread is None:
        return ()
    ratio, p_ratio, f = float(spread.ratio[0]), float(spread.ratio_p()[0]), float(spread.f[0])
    p = f_p_value(f, spread.df_num, spread.df_den)
    flag = bool(p < ALPHA or p_ratio < ALPHA)
    sentence = (
        f"The largest cell variance of what the groups leave is {number(ratio)} times the smallest "
        f"({p_text(p_ratio)} under equal variances; Brown-Forsythe "
        f"{f_text(spread.df_num, spread.df_den, f)}, {p_text(p)})."
    )
    if flag:
        sentence += " The model gives all cells the same standard error: too small for the noisy ones."
    values = {"ratio": ratio, "p_ratio": p_ratio, "f": f, "p": p}
    return (Check(name="cell_variance", flag=flag, values=values, sentence=sentence),)


def _influence(model: TableModel) -> Check:
    """Name the row with the largest studentised residual (statsmodels' OLSInfluence) and fit again without it."""
    import statsmodels.api as sm
    from statsmodels.stats.outliers_influence import OLSInfluence

    design = model.design
    fitted = sm.OLS(design.y - model.predicted, design.x).fit()
    left = design.y.size - design.x.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.asarray(OLSInfluence(fitted).resid_studentized_internal)
        # statsmodels' external residuals fit the model again for every row; this is the same number in closed form
        studentised = inside * np.sqrt((left - 1) / np.maximum(left - inside**2, 0.0))
    studentised = np.where(np.isfinite(studentised), studentised, 0.0)
    worst = int(np.argmax(np.abs(studentised)))
    n, df = design.y.size, design.y.size - design.x.shape[1] - 1
    p = min(1.0, n * t_p_value(float(studentised[worst]), df)) if df > 0 else float("nan")
    row = int(model.row_numbers[worst])
    values: dict[str, float | int | str | None] = {
        "row": row,
        "studentised": float(studentised[worst]),
        "p_bonferroni": p,
    }
    sentence = (
        f"The row furthest from the model is row {row} (studentised residual {number(float(studentised[worst]))}; "
        f"Bonferroni over {n} rows {p_text(p)})."
    )
    if not p < ALPHA:
        return Check(name="influence", flag=False, values=values, sentence=sentence)
    robust = sm.RLM(design.y - model.predicted, design.x, M=sm.robust.norms.HuberT()).fit()
    weight = float(robust.weights[worst])
    values["huber_weight"] = weight
    sentence += f" A robust fit (Huber) would give it the weight {number(weight)}."
    changed = _without(model, worst) if n <= _MOST_ROWS else {}
    crossing = []
    for term, (before, after) in changed.items():
        values |= {f"{term} p": before, f"{term} p_without": after}
        if (before < ALPHA) != (after < ALPHA):
            crossing.append(f"{term} ({p_text(before)}, without it {p_text(after)})")
    if crossing:
        sentence += f" Without it the answer at 5 % changes for {'; '.join(crossing)}."
    elif changed:
        sentence += " Without it no answer at 5 % changes."
    return Check(name="influence", flag=True, values=values, sentence=sentence)


def _without(model: TableModel, row: int) -> dict[str, tuple[float, float]]:
    """Kenward-Roger p of each term with and without one row; empty where the rest cannot be fitted the same way."""
    kept = np.arange(model.design.y.size) != row
    x = model.design.x[kept]
    if np.linalg.matrix_rank(x) < x.shape[1] or any(np.unique(g.codes[kept]).size < g.size for g in model.groupings):
        return {}
    groupings = [type(g)(name=g.name, codes=g.codes[kept]) for g in model.groupings]
    again = kenward_roger(fit_mixed(model.design.y[kept], x, groupings))
    found = {}
    for term, rows in model.design.hypotheses.items():
        (f0, q0, d0), (f1, q1, d1) = model.kenward_roger.term(rows), again.term(rows)
        found[term] = (f_p_value(f0, q0, d0), f_p_value(f1, q1, d1))
    return found
