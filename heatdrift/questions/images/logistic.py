"""Check of a comparison on the log-odds scale: logistic regression with images, seeds and runs as random intercepts.

A run is a random intercept of its own: without it every image of a run counts as new evidence about the method, and
with three seeds a chance difference of two runs becomes a finding.
"""

from math import nan
from typing import Final

import numpy as np
import polars as pl

from heatdrift.questions.images.comparisons import Comparison
from heatdrift.questions.images.per_image import PerImage
from heatdrift.questions.images.result import LogisticRow
from heatdrift.questions.selection import codes
from heatdrift.stats.crossed_logistic import crossed_logistic
from heatdrift.stats.distributions import t_p_value

MOST_IMAGES: Final = 1000  # evenly spread over the set: seeds decide the error, and the fit takes seconds with all


def logistic_check(found: Comparison, data: PerImage) -> LogisticRow | None:
    """Fit method_a against method_b, or base, over all conditions of the comparison; None below two seeds of a method.

    The conditions of a method and seed are put together: of every image, in how many of them it was right. The base is
    one given model, without an intercept of its own.
    """
    part = data.frame[found.rows].with_columns(pl.Series("sample", found.sample))
    run, first = codes(part, "sample", "seed"), part.unique(["sample", "seed"]).sort("sample", "seed")
    of = [first.filter(pl.col("sample") == s).height for s in ((0,) if found.against_base else (0, 1))]
    if min(of) < 2:
        return None
    images = np.unique(np.linspace(0, data.n_images - 1, min(MOST_IMAGES, data.n_images)).round().astype(np.intp))
    members = np.equal(np.arange(first.height)[:, None], run).astype(np.float32)
    right = members @ data.adapted[found.rows][:, images]
    trials, second, seed = members.sum(axis=1), first["sample"].to_numpy(), codes(first, "seed")
    groupings = [seed, np.arange(first.height)]
    if found.against_base:
        base = data.bases[data.base_of[found.rows[0]]][images]
        right, trials, second = np.vstack([right, base]), np.append(trials, 1.0), np.append(second, 1)
        groupings = [np.append(seed, -1)]
    patterns, counts = np.unique(right, axis=1, return_counts=True)
    x = np.column_stack([np.ones(len(patterns)), 0.5 - second])
    fit = crossed_logistic(patterns, np.broadcast_to(trials[:, None], patterns.shape), x, groupings, counts)
    df = float(min(of) - 1)
    return LogisticRow(
        method_a=found.method_a,
        method_b=found.method_b,
        estimate=float(fit.beta[1]),
        se=float(fit.se[1]),
        df=df,
        p=t_p_value(float(fit.beta[1] / fit.se[1]), df),
        sd_image=fit.sds[0],
        sd_seed=fit.sds[1],
        sd_run=nan if found.against_base else fit.sds[2],
        n_images=images.size,
        converged=fit.converged,
    )
