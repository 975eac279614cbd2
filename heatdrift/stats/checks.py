"""Assumption checks of an interaction analysis: the numbers, a flag, and a sentence for people."""

from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.results import Check, TermTest
from heatdrift.stats.design import categorical, full_factorial
from heatdrift.stats.kenward_roger import kenward_roger
from heatdrift.stats.mixed import SINGULAR_RATIO, fit_mixed
from heatdrift.stats.model import InteractionModel
from heatdrift.stats.probability import f_p_value
from heatdrift.stats.strata import SeedStrata
from heatdrift.stats.text import counted, p_text

Floats = npt.NDArray[np.float64]

ALPHA: Final = 0.05
_RATIO_DRAWS: Final = 4999


def assumption_checks(model: InteractionModel, tests: tuple[TermTest, ...]) -> tuple[Check, ...]:
    """Return all checks that apply to the model, in a fixed order."""
    checks = [
        _balance(model),
        *(_seed_by_factor(model, f.name) for f in model.design.factors),
        _agreement(tests),
        _sphericity(tests),
        _cell_variance(model),
        _singular(model),
        *([_lack_of_fit(model)] if _is_numeric_lr(model) else []),
    ]
    return tuple(checks)


def _balance(model: InteractionModel) -> Check:
    full = model.design.grid.shape[0] * len(model.seed_names)
    cells = f"{model.y.size} of {full} combinations of cell and seed"
    sentence = (
        f"Balanced: {cells} are present, the seed-level tests are exact."
        if model.balanced
        else f"Unbalanced: {cells} are present; the seed-level tests use least-squares contrasts and are approximate."
    )
    values = {"n_runs": model.y.size, "n_planned": full, "n_missing": full - model.y.size}
    return Check(name="balance", flag=not model.balanced, values=values, sentence=sentence)


def _seed_by_factor(model: InteractionModel, name: str) -> Check:
    """F of seed x factor as fixed effects over what is left of the cell x seed table."""
    seeds = np.eye(len(model.seed_names))[model.seeds]
    level = model.design.level_codes(name)[model.cells]
    indicator = np.eye(int(level.max()) + 1)[level]
    crossed = (seeds[:, :, None] * indicator[:, None, :]).reshape(model.y.size, -1)
    f, df_num, df_den = _extra_f(model.y, np.hstack([model.x, seeds]), np.hstack([model.x, seeds, crossed]))
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
        sentence = f"{verdict} (F({df_num}, {df_den}) = {f:.2f}, {p_text(p)})."
        if flag:
            sentence += (
                f" The model tests with random part {model.random} are then too optimistic about {name}: "
                "read the seed-level test."
            )
    values = {"f": f, "df_num": df_num, "df_den": df_den, "p": p}
    return Check(name=f"seed_by_{name}", flag=flag, values=values, sentence=sentence)


def _extra_f(y: Floats, small: Floats, large: Floats) -> tuple[float, int, int]:
    """F of the extra columns of `large`; NaN when nothing is left to estimate the error."""
    rss, rank = [], []
    for x in (small, large):
        solution, _, found, _ = np.linalg.lstsq(x, y, rcond=1e-10)
        rss.append(float(np.sum((y - x @ solution) ** 2)))
        rank.append(int(found))
    df_num, df_den = rank[1] - rank[0], y.size - rank[1]
    if df_num <= 0 or df_den <= 0 or rss[1] <= 0:
        return float("nan"), df_num, df_den
    return (rss[0] - rss[1]) / df_num / (rss[1] / df_den), df_num, df_den


def _agreement(tests: tuple[TermTest, ...]) -> Check:
    p = {(t.term, t.method): t.p for t in tests}
    terms = [t.term for t in tests if t.method == "strata"]
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
            "At 5 % the seed-level test and the model's disagree on "
            + "; ".join(differing)
            + ". The seed-level test is the headline."
        )
    else:
        sentence = f"At 5 % the seed-level test and the model's tests agree on {counted(len(terms), 'term')}."
    return Check(name="agreement", flag=bool(differing), values=values, sentence=sentence)


def _sphericity(tests: tuple[TermTest, ...]) -> Check:
    several = [t for t in tests if t.method == "strata" and t.df_num > 1]
    values: dict[str, float | int | str | None] = {}
    changed = []
    for test in several:
        values[f"{test.term} epsilon"] = test.epsilon
        values[f"{test.term} p_gg"] = test.p_gg
        if test.p_gg is not None and (test.p_gg < ALPHA) != (test.p < ALPHA):
            changed.append(f"{test.term} ({p_text(test.p)}, corrected {p_text(test.p_gg)})")
    if not several:
        sentence = "Every term has one degree of freedom: sphericity is no assumption here."
    elif changed:
        sentence = (
            "With Greenhouse-Geisser's correction the seed-level test changes its answer at 5 % for "
            + "; ".join(changed)
            + "."
        )
    else:
        sentence = "Greenhouse-Geisser's correction changes no answer at 5 %."
    return Check(name="sphericity", flag=bool(changed), values=values, sentence=sentence)


def _cell_variance(model: InteractionModel) -> Check:
    """Largest to smallest cell variance (p by simulation of normal data) and Brown-Forsythe; cells of >= 3 runs."""
    groups = [model.y[model.cells == c] for c in np.unique(model.cells)]
    sizes = np.array([g.size for g in groups])
    groups, sizes = [g for g in groups if g.size >= 3], sizes[sizes >= 3]
    if len(groups) < 2:
        return Check(
            name="cell_variance",
            flag=False,
            values={"n_cells": len(groups)},
            sentence="Too few runs per cell to compare variances.",
        )
    variances = np.array([g.var(ddof=1) for g in groups])
    ratio = float(variances.max() / variances.min()) if variances.min() > 0 else float("inf")
    draws = np.random.default_rng(0).chisquare(sizes - 1, size=(_RATIO_DRAWS, sizes.size)) / (sizes - 1)
    p_ratio = float((1 + np.sum(draws.max(axis=1) / draws.min(axis=1) >= ratio)) / (_RATIO_DRAWS + 1))
    spread = [np.abs(g - np.median(g)) for g in groups]
    flat = np.concatenate(spread)
    between = float(np.sum(sizes * (np.array([s.mean() for s in spread]) - flat.mean()) ** 2))
    within = float(sum(np.sum((s - s.mean()) ** 2) for s in spread))
    df_num, df_den = sizes.size - 1, int(sizes.sum()) - sizes.size
    f = between / df_num / (within / df_den) if within > 0 else float("nan")
    p = f_p_value(f, df_num, df_den)
    flag = bool(p_ratio < ALPHA or p < ALPHA)
    sentence = (
        f"The largest cell variance is {ratio:.3g} times the smallest (normal data with equal variances give as much "
        f"with {p_text(p_ratio)}; "
        f"Brown-Forsythe F({df_num}, {df_den}) = {f:.2f}, {p_text(p)}; {sizes.size} cells)."
    )
    if flag:
        sentence += (
            " The model's standard errors are averages over unequal cells: "
            "trust its single contrasts less than the seed-level tests."
        )
    values = {
        "ratio": ratio,
        "p_ratio": p_ratio,
        "f": f,
        "df_num": df_num,
        "df_den": df_den,
        "p": p,
        "n_cells": int(sizes.size),
    }
    return Check(name="cell_variance", flag=flag, values=values, sentence=sentence)


def _singular(model: InteractionModel) -> Check:
    zero = [g.name for g, r in zip(model.fit.groupings, model.fit.ratios, strict=True) if r < SINGULAR_RATIO]
    sentence = (
        f"The estimated variance of {' and '.join(zero)} is zero: a legal answer with few seeds, no proof that seeds "
        "do not matter. Satterthwaite df then ignore it, Kenward-Roger df and the seed-level test do not."
        if zero
        else "No variance is estimated as zero."
    )
    return Check(name="singular", flag=bool(zero), values={"n_zero": len(zero)}, sentence=sentence)


def _is_numeric_lr(model: InteractionModel) -> bool:
    factor = model.factor("lr")
    return factor is not None and len(factor.labels) < len(factor.levels) - 1


def _lack_of_fit(model: InteractionModel) -> Check:
    """Test what lr as a factor explains beyond the numeric coding, at the seed level and in the mixed model."""
    factors = [categorical("lr", list(f.levels)) if f.name == "lr" else f for f in model.design.factors]
    full = full_factorial(factors)
    basis, _ = np.linalg.qr(model.design.grid)
    outside = np.eye(full.grid.shape[0]) - basis @ basis.T
    values_, vectors = np.linalg.eigh(outside)
    rows = vectors[:, values_ > 0.5].T @ full.grid
    x = full.grid[model.cells]
    values: dict[str, float | int | str | None] = {"df_num": rows.shape[0]}
    test = SeedStrata(model.y, x, model.seeds).test(rows)
    f, df_num, df_den = kenward_roger(fit_mixed(model.y, x, model.groupings)).term(rows)
    p_model = f_p_value(f, df_num, df_den)
    values |= {"f": test.f, "df_den": test.df_den, "p": test.p, "f_kenward_roger": f, "p_kenward_roger": p_model}
    flag = bool(test.p < ALPHA or p_model < ALPHA)
    verdict = "does not describe the means" if flag else "is not contradicted"
    sentence = (
        f"The coding of lr as a curve in log10(lr) {verdict} (lack of fit: "
        f"seed-level F({test.df_num:.0f}, {test.df_den:.3g}) = "
        f"{test.f:.2f}, {p_text(test.p)}; Kenward-Roger {p_text(p_model)})." + (" Use lr as a factor." if flag else "")
    )
    return Check(name="lack_of_fit", flag=flag, values=values, sentence=sentence)
