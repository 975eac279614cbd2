"""Assumption checks of an interaction analysis: the numbers, a flag, and a sentence for people."""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import TermTest
from heatdrift.stats.design import Factor, categorical, full_factorial
from heatdrift.stats.distributions import f_p_value
from heatdrift.stats.homoscedasticity import cell_spread, extra_f
from heatdrift.stats.mixed_model import SINGULAR_RATIO
from heatdrift.wording import counted, f_text, listed, number, p_text

Floats = npt.NDArray[np.float64]


_NAMED: Final = 6  # missing combinations named in the sentence; the values hold all


def assumption_checks(model: InteractionModel, tests: tuple[TermTest, ...]) -> tuple[Check, ...]:
    """Return all checks that apply to the model, in a fixed order."""
    checks = [
        _balance(model),
        *(_seed_by_factor(model, f.name) for f in model.design.factors),
        _agreement(tests),
        _sphericity(tests),
        _cell_variance(model),
        _singular(model),
    ]
    lr = model.factor("lr")
    if lr is not None and lr.numeric:
        checks.append(_lack_of_fit(model, lr))
    return tuple(checks)


def _balance(model: InteractionModel) -> Check:
    """Count and name the combinations of cell and seed without a run."""
    n_cells, n_seeds = model.design.grid.shape[0], len(model.seed_names)
    absent = np.ones((n_cells, n_seeds), dtype=bool)
    absent[model.cells, model.seeds] = False
    missing = [f"{model.place(int(c))}, seed {model.seed_names[s]}" for c, s in np.argwhere(absent)]
    cells = f"{model.y.size} of {n_cells * n_seeds} combinations of cell and seed"
    more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    sentence = (
        f"Balanced: {cells} are present, so the seed-level tests need no approximation for missing runs."
        if model.balanced
        else f"Unbalanced: {cells} are present. The means are adjusted by least squares for what is missing, and the "
        f"seed-level tests are approximate. Missing: {'; '.join(missing[:_NAMED])}{more}."
    )
    values: dict[str, float | int | str | None] = {
        "n_runs": model.y.size,
        "n_planned": n_cells * n_seeds,
        "n_missing": len(missing),
        "missing": "; ".join(missing),
    }
    return Check(name="balance", flag=not model.balanced, values=values, sentence=sentence)


def _seed_by_factor(model: InteractionModel, name: str) -> Check:
    """F of seed x factor as fixed effects over what is left of the cell x seed table."""
    level = model.design.level_codes(name)[model.cells]
    crossed = level * len(model.seed_names) + model.seeds
    statistic, df_num, df_den = extra_f(model.y[None, :], model.x, model.seeds, crossed)
    f = float(statistic[0])
    p = f_p_value(f, df_num, df_den)
    covered = f"seed:{name}" in model.random.split(" + ") or model.random == f"{name}:seed"
    flag = bool(p < ALPHA and not covered)
    if np.isnan(p):
        sentence = f"seed x {name} cannot be tested with these runs."
    else:
        verdict = (
            f"The effect of {name} differs between seeds"
            if p < ALPHA
            else f"No sign that the effect of {name} differs between seeds"
        )
        sentence = f"{verdict} (seed x {name}: {f_text(df_num, df_den, f)}, {p_text(p)})."
        if flag:
            sentence += (
                f" The mixed model (random part: {model.random}) leaves that out, so its tests are too optimistic "
                f"about {name}: read the seed-level test, as the findings do."
            )
    values = {"f": f, "df_num": df_num, "df_den": df_den, "p": p}
    return Check(name=f"seed_by_{name}", flag=flag, values=values, sentence=sentence)


def _agreement(tests: tuple[TermTest, ...]) -> Check:
    p = {(t.term, t.method): t.p if t.p_box is None else t.p_box for t in tests}
    every = [t.term for t in tests if t.method == "strata"]
    terms = [term for term in every if not np.isnan(p[term, "strata"])]
    values: dict[str, float | int | str | None] = {}
    differing = []
    for term in terms:
        headline, satterthwaite, kr = p[term, "strata"], p[term, "satterthwaite"], p[term, "kenward_roger"]
        values |= {f"{term} strata": headline, f"{term} satterthwaite": satterthwaite, f"{term} kenward_roger": kr}
        if (satterthwaite < ALPHA, kr < ALPHA) != (headline < ALPHA, headline < ALPHA):
            differing.append(
                f"{term} (seed-level {p_text(headline)}, Satterthwaite {p_text(satterthwaite)}, "
                f"Kenward-Roger {p_text(kr)})"
            )
    if differing:
        sentence = (
            "At 5 % the seed-level test and the mixed model's tests give different answers for "
            + "; ".join(differing)
            + ". The seed-level test holds its level when an effect differs between seeds, the model's may not: "
            "findings follow the seed-level test."
        )
    else:
        sentence = f"At 5 % the seed-level test and the mixed model's agree on {counted(len(terms), 'term')}."
    if len(terms) < len(every):
        untested = listed([term for term in every if term not in terms])
        sentence += f" Seeds cannot test {untested} within this model, so there is nothing to compare."
    return Check(name="agreement", flag=bool(differing), values=values, sentence=sentence)


def _sphericity(tests: tuple[TermTest, ...]) -> Check:
    several = [t for t in tests if t.method == "strata" and t.df_num > 1]
    values: dict[str, float | int | str | None] = {}
    changed: list[str] = []
    cautious: list[str] = []
    for test in several:
        values |= {f"{test.term} epsilon_box": test.epsilon_box, f"{test.term} p_box": test.p_box}
        values |= {f"{test.term} epsilon": test.epsilon, f"{test.term} p_gg": test.p_gg}
        for p, found in ((test.p_box, changed), (test.p_gg, cautious)):
            if p is not None and (p < ALPHA) != (test.p < ALPHA):
                found.append(f"{test.term} ({p_text(test.p)}, corrected {p_text(p)})")
    if not several:
        sentence = "Every term has 1 degree of freedom, so no seed-level test assumes equal variances (sphericity)."
    elif changed:
        sentence = (
            "Levels differ in variance, which the plain seed-level F test takes to be equal. Corrected (Box), its "
            "answer at 5 % changes for " + "; ".join(changed) + ". Read the corrected p, as the findings do."
        )
    else:
        sentence = "Correcting the seed-level tests for unequal variances (Box) changes no answer at 5 %."
    if cautious:
        sentence += (
            " Greenhouse-Geisser's correction, which judges from the seeds alone and is too cautious with few, "
            "would change the answer for " + "; ".join(cautious) + ": more seeds would settle it."
        )
    return Check(name="sphericity", flag=bool(changed or cautious), values=values, sentence=sentence)


def _cell_variance(model: InteractionModel) -> Check:
    """Largest to smallest cell variance (p by simulation of normal data) and Brown-Forsythe; cells of >= 3 runs."""
    spread = cell_spread(model.y[None, :], model.cells)
    if spread is None:
        return Check(
            name="cell_variance", flag=False, values={}, sentence="Too few runs per cell to compare variances."
        )
    ratio, p_ratio, f = float(spread.ratio[0]), float(spread.ratio_p()[0]), float(spread.f[0])
    df_num, df_den = spread.df_num, spread.df_den
    p = f_p_value(f, df_num, df_den)
    flag = bool(p_ratio < ALPHA or p < ALPHA)
    if np.isfinite(ratio):
        compared = f"The largest cell variance is {number(ratio)} times the smallest (normal data with equal variances "
        compared += f"give as much with {p_text(p_ratio)}; "
    else:
        compared = "In some cells all seeds agree to the last digit, in others they do not ("
    sentence = (
        f"{compared}Brown-Forsythe {f_text(df_num, df_den, f)}, {p_text(p)}; {counted(spread.sizes.size, 'cell')})."
    )
    if flag:
        sentence += (
            " Seeds scatter much more in some cells than in others, but the mixed model gives all the same standard "
            "error: too small for the noisy cells, too large for the quiet ones. For a difference at one learning rate "
            "read its seed-level contrast, which uses its own spread over seeds."
        )
    values = {
        "ratio": ratio,
        "p_ratio": p_ratio,
        "f": f,
        "df_num": df_num,
        "df_den": df_den,
        "p": p,
        "n_cells": int(spread.sizes.size),
    }
    return Check(name="cell_variance", flag=flag, values=values, sentence=sentence)


def _singular(model: InteractionModel) -> Check:
    zero = [g.name for g, r in zip(model.fit.groupings, model.fit.ratios, strict=True) if r < SINGULAR_RATIO]
    sentence = (
        f"The model estimates the variance of {' and '.join(zero)} as zero (a singular fit). With few seeds that "
        "happens by chance: it is no proof that seeds do not matter. The model's Satterthwaite tests then ignore what "
        "the runs of a seed share: read the seed-level or the Kenward-Roger tests."
        if zero
        else "No variance is estimated as zero."
    )
    return Check(name="singular", flag=bool(zero), values={"n_zero": len(zero)}, sentence=sentence)


def _lack_of_fit(model: InteractionModel, lr: Factor) -> Check:
    """Test what lr as a factor explains beyond the numeric coding, at the seed level and in the mixed model."""
    factors = [categorical("lr", list(f.levels)) if f.name == "lr" else f for f in model.design.factors]
    full = full_factorial(factors)
    basis, _ = np.linalg.qr(model.design.grid)
    outside = np.eye(full.grid.shape[0]) - basis @ basis.T
    values_, vectors = np.linalg.eigh(outside)
    rows = vectors[:, values_ > 0.5].T @ full.grid
    values: dict[str, float | int | str | None] = {"df_num": rows.shape[0]}
    as_factor = replace(model, design=full)
    test = as_factor.seed_test("lr", rows)
    f, df_num, df_den = as_factor.kenward_roger.term(rows)
    p_model = f_p_value(f, df_num, df_den)
    values |= {"f": test.f, "df_den": test.df_den, "p": test.p, "epsilon_box": test.epsilon_box, "p_box": test.p_box}
    values |= {"f_kenward_roger": f, "p_kenward_roger": p_model}
    flag = bool(test.p_box < ALPHA or p_model < ALPHA)
    shape = "line" if len(lr.labels) == 1 else "curve"
    sentence = (
        f"The means of the learning rates {'do not lie' if flag else 'may lie'} on a {shape} in log10(lr) (lack of "
        f"fit: seed-level {f_text(test.df_num, test.df_den, test.f)}, corrected for unequal "
        f"variances {p_text(test.p_box)}; Kenward-Roger {p_text(p_model)})."
        + (f" Values read off that {shape} mislead: use --lr-as factor." if flag else "")
    )
    return Check(name="lack_of_fit", flag=flag, values=values, sentence=sentence)
