"""Is a variance zero? Restricted likelihood-ratio tests with the null distribution of these very data."""

import numpy as np

from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import VarianceTest
from heatdrift.stats.distributions import chi2_p_value
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.variance_ratio import NULL_SEED, Held, spectrum


def variance_tests(model: InteractionModel) -> tuple[VarianceTest, ...]:
    """Test each random intercept against the model without it.

    ``p`` is exact for a model with one random intercept (closed form or simulated null), an approximation that holds
    the other ratio at its null estimate for two. ``p_mixture`` is the usual 50:50 mixture of 0 and chi-square(1), which
    needs many independent groups and is conservative with few.
    """
    rows = []
    for k, grouping in enumerate(model.groupings):
        others = model.groupings[:k] + model.groupings[k + 1 :]
        held, without = None, _least_squares_loglik(model)
        if others:
            smaller = fit_mixed(model.y, model.x, others)
            held, without = Held(grouping=others[0], ratio=float(smaller.ratios[0])), smaller.loglik
        rlrt = float(max(2.0 * (model.fit.loglik - without), 0.0))
        p, draws = spectrum(model.y, model.x, grouping, held).null_p(rlrt)
        rows.append(
            VarianceTest(
                group=grouping.name,
                n_groups=int(grouping.codes.max()) + 1,
                rlrt=rlrt,
                p=p,
                p_mixture=0.5 * chi2_p_value(rlrt, 1) if rlrt > 1e-9 else 1.0,
                method=_method(draws, [g.name for g in others]),
                draws=draws,
                seed=NULL_SEED if draws else None,
            )
        )
    return tuple(rows)


def _method(draws: int, others: list[str]) -> str:
    how = f"null simulated from its spectrum, {draws} draws, seed {NULL_SEED}" if draws else "closed form"
    return f"approximate, ratio of {others[0]} held at its null estimate; {how}" if others else f"exact; {how}"


def _least_squares_loglik(model: InteractionModel) -> float:
    """REML log-likelihood without any random intercept, with lme4's constants."""
    basis, triangle = np.linalg.qr(model.x)
    free = model.y - basis @ (basis.T @ model.y)
    size = model.y.size - model.x.shape[1]
    logdet = 2.0 * float(np.sum(np.log(np.abs(np.diag(triangle)))))
    spread = float(free @ free)
    return float(-0.5 * (size * (1.0 + np.log(2.0 * np.pi * spread / size)) + logdet))
