"""Accuracies as what they are, counts of images: a logit or log scale, and an overdispersed binomial as a check.

The linear model takes a point of accuracy to be worth the same everywhere. Near 0 and 100 % it is not: variances shrink
there, and a difference that is constant in log odds shrinks with them, which looks like an interaction.
"""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from heatdrift.accuracy import finished
from heatdrift.errors import StatsError
from heatdrift.metrics import Column
from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.interaction.result import TermTest
from heatdrift.questions.selection import FACTORS, Selection
from heatdrift.stats.overdispersed import fit_counts
from heatdrift.wording import counted, number, p_text

Floats = npt.NDArray[np.float64]
Scale = Literal["raw", "logit", "log"]

# metric that is a share of images -> column of runs that counts them
IMAGES: Final[Mapping[str, str]] = {"val_acc_pct": "n_val", "test_acc_pct": "n_test", "zero_shot_pct": "n_transfer"}
UNITS: Final[Mapping[Scale, str]] = {"logit": "log odds", "log": "log"}
_RANK: Final = 1e-8  # of the largest singular value, and of a hypothesis: below it a direction has no runs
_CANNOT: Final = (
    "An overdispersed binomial model of the counts cannot be fitted: in some cell or seed all images are right, or "
    "none."
)
# what the exponential of a difference on the scale is
RATIOS: Final[Mapping[str, str]] = {"log odds": "odds ratio", "log": "ratio"}


def on_scale(selection: Selection, column: Column, scale: Scale, images: Floats | None) -> tuple[Selection, Column]:
    """Return the runs with the metric on another scale, and the column with its words.

    Parameters
    ----------
    selection : usable runs. column : of the metric. scale : ``logit`` of a share in %, or natural ``log``.
    images : images behind each run's share, where known: the logit is then the empirical one, log((k + 1/2) / (n - k
        + 1/2)) (Haldane 1955, Anscombe 1956), which exists at 0 and 100 %, too.

    Raises
    ------
    StatsError
        A logit of what is no share of images; values that have no logarithm.
    """
    if scale == "raw":
        return selection, column
    y = selection.frame[column.name].to_numpy().astype(float)
    if scale == "logit":
        moved, title = _logit(y, column, images), f"{column.title} (log odds)"
    else:
        if y.min() <= 0:
            raise StatsError(
                f"{column.name} is 0 or less in {counted(int(np.sum(y <= 0)), 'run')} of {y.size}, and has no "
                "logarithm there",
                hint="use --scale raw",
            )
        moved, title = np.log(y), f"log of {column.title}"
    frame = selection.frame.with_columns(pl.Series(column.name, moved))
    shown = replace(column, title=title, unit=UNITS[scale])
    return Selection(frame=frame, left_out=selection.left_out, n_dropped=selection.n_dropped), shown


def _logit(y: Floats, column: Column, images: Floats | None) -> Floats:
    if column.name not in IMAGES:
        raise StatsError(
            f"{column.name} is no share of images, so it has no odds",
            hint=f"--scale log, or a metric among {', '.join(IMAGES)}",
        )
    if images is not None:
        right = y / 100.0 * images
        return np.asarray(np.log((right + 0.5) / (images - right + 0.5)))
    at_bound = (y <= 0.0) | (y >= 100.0)
    if at_bound.any():
        raise StatsError(
            f"{column.name} is 0 or 100 % in {counted(int(at_bound.sum()), 'run')} of {y.size}, where log odds are "
            f"infinite, and {IMAGES[column.name]} is not known",
            hint="use --scale raw, or import the number of images",
        )
    return np.asarray(np.log(y / (100.0 - y)))


def images_of(selection: Selection, metric: str, runs: pl.DataFrame) -> Floats | None:
    """Return the number of images behind the metric of each usable run; None where any is unknown."""
    column = IMAGES.get(metric)
    if column is None or column not in runs.columns:
        return None
    keyed = finished(runs).select(*FACTORS[:2], pl.col("lr").cast(pl.Float64), "seed", column).unique(FACTORS)
    joined = selection.frame.select(FACTORS).join(keyed, on=FACTORS, how="left", maintain_order="left")[column]
    return None if joined.null_count() or (joined <= 0).any() else joined.to_numpy().astype(float)


def binomial_check(model: InteractionModel, tests: tuple[TermTest, ...], images: Floats) -> Check:
    """Compare the tests of the linear model with those of an overdispersed binomial with seeds as fixed effects.

    Parameters
    ----------
    model : of an accuracy in %. tests : its term tests; those by Kenward-Roger are compared, which assume as the
        binomial does that a seed does not interact with anything. images : behind each accuracy.
    """
    name = "binomial"
    right = model.y / 100.0 * images
    if _all_or_none(right, images, model.cells) or _all_or_none(right, images, model.seeds):
        # there a log odds is infinite, its Wald test says p = 1 whatever the effect (Hauck and Donner 1977)
        return Check(name=name, flag=True, values={}, sentence=_CANNOT)
    basis, hypotheses = _estimable(model)
    design = np.hstack([model.x, np.eye(len(model.seed_names))[model.seeds]]) @ basis
    if design.shape[0] <= design.shape[1] or not hypotheses:
        return Check(name=name, flag=False, values={}, sentence="Too few runs for an overdispersed binomial model.")
    try:
        fit = fit_counts(right, images, design)
        found = {term: fit.wald_p(rows) for term, rows in hypotheses.items()}
    except (np.linalg.LinAlgError, StatsError):
        return Check(name=name, flag=True, values={}, sentence=_CANNOT)
    linear = {test.term: test.p for test in tests if test.method == "kenward_roger"}
    apart = [term for term, p in found.items() if (p < ALPHA) != (linear[term] < ALPHA)]
    values: dict[str, float | int | str | None] = {"dispersion": fit.dispersion}
    values |= {f"{term} p": p for term, p in found.items()}
    untested = [term for term in model.design.hypotheses if term not in hypotheses]
    left_out = f" Not compared: {', '.join(untested)}, which no seed can tell apart." if untested else ""
    spread = f"runs scatter {number(fit.dispersion)} times as much as images drawn at random would make them"
    if not apart:
        sentence = (
            f"An overdispersed binomial model of the counts ({spread}) answers as the linear model does.{left_out}"
        )
        return Check(name=name, flag=False, values=values, sentence=sentence)
    shown = ", ".join(f"{term} (binomial {p_text(found[term])}, linear {p_text(linear[term])})" for term in apart)
    sentence = (
        f"An overdispersed binomial model of the counts ({spread}) answers differently at 5 % for {shown}: whether "
        f"there is an effect depends on the scale. Compare --scale logit, and read the single differences.{left_out}"
    )
    return Check(name=name, flag=True, values=values, sentence=sentence)


def _all_or_none(right: Floats, images: Floats, groups: npt.NDArray[np.intp]) -> bool:
    """Whether in some group of runs every image is right, or none."""
    k = int(groups.max()) + 1
    hits, of = (np.bincount(groups, weights=values, minlength=k) for values in (right, images))
    used = of > 0
    return bool(np.any(hits[used] < 0.5) or np.any(of[used] - hits[used] < 0.5))


def _estimable(model: InteractionModel) -> tuple[Floats, dict[str, Floats]]:
    """Return a basis of the coefficients of design and seeds that the runs can estimate, and the terms within it.

    Returns
    -------
    (columns, rank), and per term its rows in that basis; a term that seeds as fixed effects leave no estimate of (the
    method, where methods share no seed) is not among them.
    """
    whole = np.hstack([model.x, np.eye(len(model.seed_names))[model.seeds]])
    _, size, rows = np.linalg.svd(whole, full_matrices=False)
    basis = rows[size > _RANK * size[0]].T
    found = {}
    for term, hypothesis in model.design.hypotheses.items():
        padded = np.hstack([hypothesis, np.zeros((hypothesis.shape[0], whole.shape[1] - hypothesis.shape[1]))])
        if np.allclose(padded @ basis @ basis.T, padded, atol=_RANK):
            found[term] = padded @ basis
    return basis, found
