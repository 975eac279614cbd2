"""From the selected runs to the model of one interaction analysis: factors, design, random intercepts, refusals."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import LargeDesignError, StatsError, UnknownNameError
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.questions.selection import Selection, codes
from heatdrift.stats.design import Factor, LrCoding, categorical, full_factorial, log_linear
from heatdrift.stats.deviance import Grouping

Floats = npt.NDArray[np.float64]

RANDOM_TERMS: Final = ("seed", "seed + seed:method", "seed + seed:dataset", "dataset:seed")
POLY_DEGREE: Final = 2
_ROUNDING: Final = 1e-10  # of the response's size: below it a residual is rounding
LARGEST_DESIGN: Final = 400  # coefficients: the work grows with their square, the memory of some tests with the cube


def build_model(
    selection: Selection, *, metric: str, lr_as: LrCoding, random: str, study_lrs: Sequence[float]
) -> InteractionModel:
    """Build the full factorial model of the factors that vary in `selection` (lr, method, dataset in this order).

    Raises
    ------
    StatsError
        Fewer than two seeds, nothing varies, a constant response, no variation between seeds, or too few runs.
    """
    frame = selection.frame
    y = frame[metric].to_numpy().astype(float)
    seed_names = tuple(int(s) for s in selection.levels("seed"))
    if len(seed_names) < 2:
        raise StatsError(
            f"all {y.size} usable runs have seed {seed_names[0]}: without a second seed there is no error term",
            hint="more seeds: heatdrift train --all, or of models trained elsewhere heatdrift measure --label seed=1",
        )
    if np.ptp(y) == 0.0:
        raise StatsError(
            f"{metric} is {y[0]:g} in all {y.size} runs: there is nothing to explain", hint="choose another --metric"
        )
    lrs = [float(lr) for lr in selection.levels("lr")]
    factors: list[Factor] = []
    if len(lrs) > 1:
        factors.append(_lr_factor(lrs, study_lrs, lr_as))
    factors += [categorical(name, found) for name in ("method", "dataset") if len(found := selection.levels(name)) > 1]
    if not factors:
        raise StatsError(
            "the usable runs have one learning rate, one method and one data set: there is no effect to test",
            hint="widen the selection (--dataset, --method, --lr)",
        )
    n_columns = prod(len(f.labels) + 1 for f in factors)
    if n_columns > LARGEST_DESIGN:
        raise LargeDesignError(
            f"the model would have {n_columns} coefficients, of which {LARGEST_DESIGN} can be tested in sensible time",
            hint="choose fewer data sets or methods (--dataset, --method), or use --lr-as linear",
        )
    design = full_factorial(factors)
    cells = design.cells({f.name: frame[f.name].to_list() for f in factors})
    x = design.grid[cells]
    groupings = _groupings(frame, random)
    for grouping in groupings:
        if int(grouping.codes.max()) + 1 == y.size:
            raise StatsError(
                f"each of the {y.size} runs has a {grouping.name} of its own, so no model can tell {grouping.name}s "
                "from the error",
                hint="heatdrift stats paired and heatdrift stats best compare methods whose runs share no seed",
            )
    if y.size < x.shape[1] + len(groupings) + 1:
        raise StatsError(
            f"{y.size} runs cannot estimate {x.shape[1]} coefficients and {len(groupings) + 1} variances",
            hint="train more seeds, or --lr-as linear for a smaller model",
        )
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    if left @ left <= 1e-24 * (y @ y):
        raise StatsError(
            f"{metric} does not vary between the seeds of a cell, so there is no error to test against",
            hint="choose another --metric",
        )
    _refuse_exact(metric, y, x, groupings)
    return InteractionModel(
        y=y,
        design=design,
        cells=cells,
        seeds=codes(frame, "seed"),
        seed_names=seed_names,
        lrs=tuple(lrs),
        random=" + ".join(g.name for g in groupings),
        groupings=groupings,
    )


def _lr_factor(lrs: Sequence[float], study_lrs: Sequence[float], lr_as: LrCoding) -> Factor:
    """Code the learning rates as asked; the refusal of a line or curve names the option that avoids it."""
    if lr_as == "factor":
        return categorical("lr", lrs)
    try:
        return log_linear(lrs, study_lrs, degree=1 if lr_as == "linear" else POLY_DEGREE)
    except StatsError as error:
        leave_out = ", or leave lr 0 out with --lr" if min(*lrs, *study_lrs) <= 0 else ""
        raise StatsError(error.message, hint=f"use --lr-as factor{leave_out}") from error


def _refuse_exact(metric: str, y: Floats, x: Floats, groupings: Sequence[Grouping]) -> None:
    """Refuse a response that is its fixed effects plus its random intercepts: what is left of it is rounding.

    A design that leaves nothing by itself (as many columns as runs) says nothing about the response.
    """
    whole = np.hstack([x, *(grouping.indicator for grouping in groupings)])
    fitted, _, rank, _ = np.linalg.lstsq(whole, y, rcond=None)
    left = y - whole @ fitted
    if rank < y.size and left @ left <= _ROUNDING**2 * (y @ y):
        names = " and ".join(grouping.name for grouping in groupings)
        raise StatsError(
            f"{metric} is exactly a mean of its cell plus a value of its {names} in all {y.size} runs: nothing is left "
            "that varies from run to run, so there is no error to test against",
            hint="choose another --metric, or give more digits: such numbers come from rounding or from a formula",
        )


def _groupings(frame: pl.DataFrame, random: str) -> tuple[Grouping, ...]:
    """Random intercepts named by `random`, e.g. 'seed + seed:method'."""
    normal = " + ".join(part.strip() for part in random.split("+"))
    if normal not in RANDOM_TERMS:
        raise UnknownNameError("random part", random, RANDOM_TERMS)
    groupings = []
    for name in normal.split(" + "):
        columns = name.split(":")
        for column in columns:
            if column != "seed" and frame[column].n_unique() < 2:
                raise StatsError(
                    f"random part {name}: there is one {column} only, so it cannot be distinguished from seed",
                    hint="use --random seed",
                )
        groupings.append(Grouping(name=name, codes=codes(frame, *columns)))
    return tuple(groupings)
