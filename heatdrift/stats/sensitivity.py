"""Sensitivity of an interaction analysis to single seeds and single runs."""

from typing import Final

import numpy as np

from heatdrift.results import Check
from heatdrift.stats.model import InteractionModel
from heatdrift.stats.strata import SeedStrata

ALPHA: Final = 0.05
_LARGE_RESIDUAL: Final = 4.0


def sensitivity_checks(model: InteractionModel) -> tuple[Check, ...]:
    """Leave one seed out; the largest residual."""
    return _leave_one_seed_out(model), _residuals(model)


def _leave_one_seed_out(model: InteractionModel) -> Check:
    """Seed-level test of method (else of the first term) with each seed left out in turn."""
    term = "method" if model.factor("method") else model.design.terms[0]
    rows = model.design.hypotheses[term]
    full = model.strata.test(rows)
    values: dict[str, float | int | str | None] = {"term": term, "p_all": full.p}
    if len(model.seed_names) < 3:
        sentence = "With two seeds none can be left out."
        return Check(name="leave_one_seed_out", flag=False, values=values, sentence=sentence)
    signs, ps = [], []
    for s, name in enumerate(model.seed_names):
        kept = model.seeds != s
        codes = np.unique(model.seeds[kept], return_inverse=True)[1].astype(np.intp)
        test = SeedStrata(model.y[kept], model.x[kept], codes).test(rows)
        values[f"p without seed {name}"] = test.p
        ps.append(test.p)
        signs.append(np.sign(test.estimate))
    known = [p for p in ps if not np.isnan(p)]
    turned = full.df_num == 1 and any(sign not in (0.0, np.sign(full.estimate)) for sign in signs if not np.isnan(sign))
    crossed = any((p < ALPHA) != (full.p < ALPHA) for p in known)
    if not known:
        sentence = f"Without one seed the effect of {term} cannot be tested."
    else:
        sentence = (
            f"Leaving out one seed at a time, the seed-level p of {term} lies between {min(known):.2g} and "
            f"{max(known):.2g} "
            f"(all seeds: {full.p:.2g})" + ("; the sign of the effect turns." if turned else ".")
        )
    return Check(name="leave_one_seed_out", flag=bool(turned or crossed), values=values, sentence=sentence)


def _residuals(model: InteractionModel) -> Check:
    """Largest conditional residual in residual standard deviations, and which run it belongs to."""
    fit = model.fit
    marginal = fit.y - fit.x @ fit.beta
    conditional = fit.residual_variance * np.linalg.solve(fit.covariance, marginal)
    z = conditional / np.sqrt(fit.residual_variance)
    worst = int(np.argmax(np.abs(z)))
    levels = [f.levels[model.design.level_codes(f.name)[model.cells[worst]]] for f in model.design.factors]
    place = ", ".join(f"lr {level:g}" if isinstance(level, float) else str(level) for level in levels)
    where = f"{place}, seed {model.seed_names[model.seeds[worst]]}"
    flag = bool(abs(z[worst]) > _LARGE_RESIDUAL)
    sentence = f"The largest residual is {z[worst]:+.2f} residual standard deviations ({where})."
    return Check(name="residuals", flag=flag, values={"largest": float(z[worst]), "where": where}, sentence=sentence)
