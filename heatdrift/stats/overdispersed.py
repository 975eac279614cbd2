"""Logistic regression of counts with overdispersion (quasi-binomial), by iterated weighted least squares.

McCullagh and Nelder, Generalized Linear Models, 2nd ed. (1989), sections 2.5, 4.5 and 9.2: the dispersion is Pearson's
chi-square over the residual degrees of freedom, and Wald tests are F tests with it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from heatdrift.errors import StatsError
from heatdrift.stats.distributions import f_p_value

Floats = npt.NDArray[np.float64]
_STEPS: Final = 100
_CONVERGED: Final = 1e-10  # relative change of the deviance
_ALL_FITTED: Final = 1e-8  # of a share: where all are fitted so well, log odds run to infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class CountFit:
    """A fitted model.

    Attributes
    ----------
    coefficients : (p,) in log odds.
    covariance : (p, p), with the dispersion.
    dispersion : 1 where runs scatter as images drawn at random would make them.
    df : residual degrees of freedom.
    """

    coefficients: Floats
    covariance: Floats
    dispersion: float
    df: int

    def wald_p(self, rows: Floats) -> float:
        """Return p of the F test that `rows` (q, p) times the coefficients are 0."""
        effect = rows @ self.coefficients
        f = float(effect @ np.linalg.solve(rows @ self.covariance @ rows.T, effect)) / len(rows)
        return f_p_value(f, len(rows), self.df)


def fit_counts(right: Floats, images: Floats, design: Floats) -> CountFit:
    """Fit log odds = design @ coefficients.

    Parameters
    ----------
    right : (n,) images that are right, 0 to `images`. images : (n,) images of each run, > 0.
    design : (n, p) of full column rank, p < n.

    Raises
    ------
    StatsError : it does not converge to finite log odds.
    """
    share = right / images
    eta = special.logit((right + 0.5) / (images + 1.0))
    deviance, coefficients = np.inf, np.zeros(design.shape[1])
    for _ in range(_STEPS):
        mean = special.expit(eta)
        weight = images * mean * (1.0 - mean)
        if not np.all(weight > 0.0):
            break
        working = eta + (right - images * mean) / weight
        root = np.sqrt(weight)
        coefficients, _, rank, _ = np.linalg.lstsq(design * root[:, None], working * root, rcond=None)
        eta = design @ coefficients
        mean = special.expit(eta)
        before, deviance = deviance, _deviance(right, images, mean)
        if rank < design.shape[1] or np.allclose(mean, share, rtol=0.0, atol=_ALL_FITTED):
            break
        if abs(before - deviance) <= _CONVERGED * (abs(deviance) + 1e-8):
            weight = images * mean * (1.0 - mean)
            df = design.shape[0] - design.shape[1]
            dispersion = float(np.sum((right - images * mean) ** 2 / weight)) / df
            information = (design * weight[:, None]).T @ design
            covariance = np.linalg.inv(information) * dispersion
            return CountFit(coefficients=coefficients, covariance=covariance, dispersion=dispersion, df=df)
    raise StatsError(
        "a binomial model of the counts does not converge: some log odds are infinite",
        hint="in some group all images are right, or none",
    )


def _deviance(right: Floats, images: Floats, mean: Floats) -> float:
    wrong = images - right
    terms = special.xlogy(right, right / (images * mean)) + special.xlogy(wrong, wrong / (images * (1.0 - mean)))
    return 2.0 * float(np.sum(terms))
