"""Parametric bootstrap of a fitted mixed model: responses drawn from the fit, all refitted by REML at once.

The intervals are percentile ones, as ``confint(lmer, method = "boot")`` gives by default. They take the fit for true: a
variance estimated as zero stays zero in every draw, and a seed variance from three seeds is as uncertain as its df.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heatdrift.stats.deviance import profiled_deviance, spread_out
from heatdrift.stats.mixed_model import MixedFit, fit_many

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Refits:
    """Estimates of B refits.

    Attributes
    ----------
    beta : (B, p). variances : (B, K + 1), the residual variance last.
    """

    beta: Floats
    variances: Floats

    @property
    def icc(self) -> Floats:
        """Share of the random intercepts in the variance given the fixed effects, (B,)."""
        return np.asarray(1.0 - self.variances[:, -1] / self.variances.sum(axis=1))


def parametric_bootstrap(fit: MixedFit, *, draws: int, seed: int) -> Refits:
    """Draw `draws` responses from a REML fit and refit each; the generator is ``numpy.random.default_rng(seed)``."""
    rng = np.random.default_rng(seed)
    y = fit.x @ fit.beta + np.sqrt(fit.residual_variance) * rng.normal(size=(draws, fit.y.size))
    for grouping, variance in zip(fit.groupings, fit.variances, strict=True):
        y += np.sqrt(variance) * rng.normal(size=(draws, int(grouping.codes.max()) + 1))[:, grouping.codes]
    fits = fit_many(y, fit.x, fit.groupings)
    # b = (X'X)^-1 X'(y - Zu), u the predicted intercepts: the mixed-model equations, without an n x n matrix per draw
    moments = profiled_deviance(fit.x, fit.groupings, reml=True)
    u, _ = moments.project(y)
    predicted = (fits.ratios @ moments.member.T) * moments.weighted(fits.ratios, u)
    beta = (y - spread_out(fit.groupings, predicted.T).T) @ np.linalg.pinv(fit.x).T
    return Refits(
        beta=beta,
        variances=np.column_stack([fits.ratios * fits.residual_variance[:, None], fits.residual_variance]),
    )
