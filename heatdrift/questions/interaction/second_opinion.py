"""The same model by statsmodels (MixedLM, and AnovaRM where it applies), next to ours: how far apart, and why.

Asked for by ``--second-opinion``; statsmodels and pandas are imported only then.
"""

import warnings
from typing import Final

import numpy as np

from heatdrift.questions.answer import Check
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.wording import number

_CLOSE: Final = 1e-4  # of a standard error, of F, of a log-likelihood: closer is the same answer

Values = dict[str, float | int | str | None]


def second_opinion(model: InteractionModel) -> tuple[Check, ...]:
    """Return one check for the mixed model and one for the seed-level tests."""
    return (_mixed(model), _repeated_measures(model))


def _mixed(model: InteractionModel) -> Check:
    """MixedLM's REML log-likelihood, estimates and variance; one random intercept only."""
    name = "second_opinion_mixedlm"
    if len(model.groupings) != 1:
        sentence = "statsmodels' MixedLM has one grouping factor: it cannot fit these crossed or nested intercepts."
        return Check(name=name, flag=False, values={}, sentence=sentence)
    from statsmodels.regression.mixed_linear_model import MixedLM

    fit = model.fit
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it warns of a boundary, which the sentence says
        theirs = MixedLM(model.y, model.x, groups=model.groupings[0].codes).fit(reml=True)
    beta = np.asarray(theirs.fe_params, dtype=float)
    se = np.sqrt(np.diag(fit.cov_beta))
    furthest = float(np.max(np.abs(beta - fit.beta) / se))
    loglik, variance = float(theirs.llf), float(np.asarray(theirs.cov_re)[0, 0])
    ahead = fit.loglik - loglik
    values: Values = {
        "loglik_ours": fit.loglik, "loglik_statsmodels": loglik,
        "variance_ours": float(fit.variances[0]), "variance_statsmodels": variance,
        "residual_ours": fit.residual_variance, "residual_statsmodels": float(theirs.scale),
        "largest_difference_in_se": furthest, "converged": "yes" if theirs.converged else "no",
    }  # fmt: skip
    flag = abs(ahead) > _CLOSE or furthest > _CLOSE
    sentence = (
        f"statsmodels' MixedLM: REML log-likelihood {number(loglik, 6)} (ours {number(fit.loglik, 6)}), variance of "
        f"{model.groupings[0].name} {number(variance)} (ours {number(float(fit.variances[0]))}), estimates within "
        f"{number(furthest)} standard errors of ours."
    )
    if flag and ahead > 0:
        why = (
            "the variance is 0, where its parametrisation has no slope"
            if fit.singular
            else "its optimiser stopped early"
        )
        sentence += f" Ours is the higher likelihood of the same criterion, so MixedLM is short of the optimum: {why}."
    elif flag:
        sentence += " Theirs is the higher likelihood: report this as a fault of heatdrift."
    return Check(name=name, flag=flag, values=values, sentence=sentence)


def _repeated_measures(model: InteractionModel) -> Check:
    """AnovaRM's F and df of each term, which are ours in balanced data."""
    name = "second_opinion_anovarm"
    if not model.balanced or any(factor.numeric for factor in model.design.factors):
        sentence = "statsmodels' AnovaRM wants balanced data and factors only: it cannot answer for these runs."
        return Check(name=name, flag=False, values={}, sentence=sentence)
    import pandas as pd
    from statsmodels.stats.anova import AnovaRM

    factors = [factor.name for factor in model.design.factors]
    columns = {f"factor_{f}": model.design.level_codes(f)[model.cells] for f in factors}
    frame = pd.DataFrame({"y": model.y, "seed": model.seeds, **columns})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        table = AnovaRM(frame, "y", "seed", within=list(columns)).fit().anova_table
    values: Values = {}
    apart = 0.0
    for label, row in table.iterrows():
        term = str(label).replace("factor_", "")
        test = model.seed_tests[term]
        f, df_num, df_den = float(row["F Value"]), float(row["Num DF"]), float(row["Den DF"])
        values |= {f"{term} f_ours": test.f, f"{term} f_statsmodels": f}
        values |= {f"{term} df_ours": test.df_den, f"{term} df_statsmodels": df_den}
        apart = max(apart, abs(f - test.f) / max(abs(f), 1e-300), abs(df_den - test.df_den), abs(df_num - test.df_num))
    sentence = f"statsmodels' AnovaRM: F and df of {len(table)} terms within {number(apart)} of our seed-level tests."
    if apart > _CLOSE:
        sentence += " In balanced data both are the repeated-measures F: report this as a fault of heatdrift."
    return Check(name=name, flag=apart > _CLOSE, values=values, sentence=sentence)
