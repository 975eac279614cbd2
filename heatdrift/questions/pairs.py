"""Pairs of runs that differ in method only, and the seed-level test of two methods, whatever seeds they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.selection import codes
from heatdrift.stats.cluster_robust import NO_SPREAD
from heatdrift.stats.detectable import detectable_noncentrality
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import t_interval
from heatdrift.stats.two_samples import sample_difference
from heatdrift.wording import counted

Floats = npt.NDArray[np.float64]
How = Literal["pairs", "independent", "mixed"]

PAIR: Final = ("lora_r8", "full_ft")  # method_a, method_b: every difference is a - b
KEY: Final = ("dataset", "lr", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDifference:
    """method_a - method_b over the (data set, lr) that both have, each with equal weight, tested over seeds.

    Attributes
    ----------
    how : which test: see `seed_level_difference`. own_seed_each : every run has a seed of its own.
    se, df : standard error (NaN where nothing varies) and degrees of freedom.
    n_seeds_a, n_seeds_b, n_linked : seeds of each method, and of both, among the `n_runs` runs used.
    n_alone : pairs (else runs) left out because no other is at their data set and lr.
    n_per_cell : seeds of each method in a cell (harmonic mean): the standard error falls with its root.
    per_seed : pairs only: mean difference of each seed that has all cells.
    """

    how: How
    own_seed_each: bool
    mean_a: float
    mean_b: float
    se: float
    df: float
    n_seeds_a: int
    n_seeds_b: int
    n_linked: int
    n_runs: int
    n_alone: int
    n_per_cell: float
    per_seed: Floats

    @property
    def estimate(self) -> float:
        """Mean of a minus mean of b; 0 where it is rounding."""
        return without_rounding(self.mean_a - self.mean_b, self.mean_a)

    @property
    def t(self) -> float:
        """The t statistic against 0; NaN where nothing varies."""
        return self.estimate / self.se if self.se > 0 else float("nan")

    @property
    def p(self) -> float:
        """Two-sided p against 0."""
        return t_p_value(self.t, self.df)

    @property
    def n_seeds(self) -> int:
        """Number of different seeds."""
        return self.n_seeds_a + self.n_seeds_b - self.n_linked

    @property
    def sd(self) -> float:
        """SD of one seed's difference: se x sqrt(n_per_cell)."""
        return self.se * float(np.sqrt(self.n_per_cell))

    @property
    def reason(self) -> str:
        """Which test it is and why, in words."""
        if self.how == "pairs":
            return (
                "seeds of both methods are pairs (complete data: a one-sample t on one difference per seed, df S - 1)"
            )
        if self.how == "mixed":
            return (
                "too few seeds have runs of both methods at one data set and lr to compare these alone: all seeds are "
                "used, those of both methods as pairs, the others as independent, put together as by Welch"
            )
        if self.own_seed_each:
            return (
                "every run has a seed of its own: the classical comparison of independent runs, with a variance for "
                "each method at each data set and lr (Welch)"
            )
        return "the methods share no seed: Welch's t on one mean per seed (complete data)"

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence limits of the difference."""
        return t_interval(self.estimate, self.se, self.df, level)

    def detectable(self, *, alpha: float = 0.05, target: float = 0.8) -> float:
        """Smallest difference that such seeds find with power `target`, if the standard error is what it seems."""
        return self.se * detectable_noncentrality(self.df, alpha=alpha, target=target)


def method_pairs(frame: pl.DataFrame, metric: str, method_a: str, method_b: str) -> pl.DataFrame:
    """One row per (dataset, lr, seed) that both methods have, sorted by it, with columns a, b and d = a - b."""
    sides = [
        frame.filter(pl.col("method") == name).select(*KEY, pl.col(metric).alias(side))
        for name, side in ((method_a, "a"), (method_b, "b"))
    ]
    pairs = sides[0].join(sides[1], on=KEY, how="inner")
    return pairs.with_columns((pl.col("a") - pl.col("b")).alias("d")).sort(KEY)


def common_cells(frame: pl.DataFrame, method_a: str, method_b: str) -> pl.DataFrame:
    """Runs of the two methods at the (data set, lr) that both have."""
    both = frame.filter(pl.col("method").is_in([method_a, method_b]))
    return both.filter(pl.col("method").n_unique().over("dataset", "lr") == 2)


def unused_runs(
    frame: pl.DataFrame, metric: str, test: SeedDifference | None, method_a: str, method_b: str
) -> list[str]:
    """Sentences about runs of `frame` that a comparison does not use, except those without spread."""
    compared = frame.filter(pl.col("method").is_in([method_a, method_b]))
    others = sorted(set(frame["method"].to_list()) - {method_a, method_b})
    sentences = []
    if test is None or test.how == "pairs":
        n_alone = compared.height - 2 * method_pairs(frame, metric, method_a, method_b).height
        what = "without a partner"
    else:
        n_alone = compared.height - common_cells(frame, method_a, method_b).height
        what = "at a data set and lr that the other method lacks"
    if n_alone:
        sentences.append(f"{counted(n_alone, 'run')} with {metric} but {what}")
    if others:
        n = frame.height - compared.height
        sentences.append(f"{counted(n, 'run')} of other methods ({', '.join(others)})")
    return sentences


def seed_level_difference(frame: pl.DataFrame, metric: str, method_a: str, method_b: str) -> SeedDifference | None:
    """Compare two methods at the seed level, in the way that their seeds allow.

    Every (data set, lr) that both methods have counts alike. Which test it is depends on the seeds, never on values:

    - "pairs": three or more seeds have runs of both methods in one (data set, lr), or all seeds of one method have.
      Balanced: the one-sample t of one mean difference per seed, df S - 1. Runs without a partner are left out.
    - "independent": no seed is of both methods. Welch's t on one mean per seed; where every run has a seed of its own,
      the classical comparison of independent runs, each (data set, lr) with a variance of its own.
    - "mixed": one or two seeds are of both methods and each method has others: shared ones count as pairs, the others
      as independent, put together as by Welch.

    A (data set, lr) with one pair, or with one run of a method, has no spread and is left out.

    Parameters
    ----------
    frame : usable runs (``Selection.frame``), one row per (dataset, method, lr, seed); other methods may be in it.

    Returns
    -------
    None where the methods share no (data set, lr), or each has one run only.
    """
    common = common_cells(frame, method_a, method_b)
    if common.is_empty():
        return None
    of_a, of_b = (set(common.filter(pl.col("method") == name)["seed"].to_list()) for name in (method_a, method_b))
    pairs = common.filter(pl.len().over(KEY) == 2)
    paired_seeds = set(pairs["seed"].to_list())
    several = pairs.filter(pl.len().over("dataset", "lr") > 2)
    if several["seed"].n_unique() > 1 and (len(paired_seeds) > 2 or paired_seeds in (of_a, of_b)):
        alone = (pairs.height - several.height) // 2
        return _difference("pairs", several, metric, method_a, alone)
    several = common.filter(pl.len().over("dataset", "lr", "method").min().over("dataset", "lr") > 1)
    if min(several.filter(pl.col("method") == name)["seed"].n_unique() for name in (method_a, method_b)) < 2:
        return None
    return _difference(
        "mixed" if of_a & of_b else "independent", several, metric, method_a, common.height - several.height
    )


def _difference(how: How, kept: pl.DataFrame, metric: str, method_a: str, alone: int) -> SeedDifference:
    is_b = (kept["method"] != method_a).to_numpy()
    y = kept[metric].to_numpy()
    cell = codes(kept, "dataset", "lr")
    found = sample_difference(y, is_b.astype(np.intp), cell, codes(kept, "seed"))
    seeds_a, seeds_b = (kept.filter(pl.Series(own))["seed"] for own in (~is_b, is_b))
    n_cells = int(cell.max()) + 1
    per_cell = [own.len() / n_cells for own in (seeds_a, seeds_b)]
    return SeedDifference(
        how=how,
        own_seed_each=bool(kept["seed"].n_unique() == kept.height),
        mean_a=found.mean_a,
        mean_b=found.mean_b,
        se=found.se,
        df=found.df,
        n_seeds_a=seeds_a.n_unique(),
        n_seeds_b=seeds_b.n_unique(),
        n_linked=found.n_linked,
        n_runs=kept.height,
        n_alone=alone,
        n_per_cell=2.0 / (1.0 / per_cell[0] + 1.0 / per_cell[1]) if how != "pairs" else float(found.n_linked),
        per_seed=_per_seed(kept, metric, method_a, n_cells) if how == "pairs" else np.empty(0),
    )


def _per_seed(kept: pl.DataFrame, metric: str, method_a: str, n_cells: int) -> Floats:
    """Mean difference of each seed that has all cells, ascending by seed; 0 where it is rounding."""
    sign = pl.when(pl.col("method") == method_a).then(1.0).otherwise(-1.0)
    mean = (pl.col(metric) * sign).sum() / n_cells
    whole = kept.group_by("seed").agg(mean.alias("d"), pl.len()).filter(pl.col("len") == 2 * n_cells).sort("seed")
    d = whole["d"].to_numpy()
    return np.where(np.abs(d) > NO_SPREAD * np.abs(kept[metric].to_numpy()).max(), d, 0.0)


def without_spread(metric: str, test: SeedDifference | None) -> list[str]:
    """Sentences about what the seed-level test had to leave out for want of a second seed."""
    if test is None:
        return [f"{metric}: no data set and lr has runs of two seeds to compare, so there is no seed-level test"]
    if not test.n_alone:
        return []
    noun = "pair" if test.how == "pairs" else "run"
    return [f"{counted(test.n_alone, noun)} of {metric} alone at its data set and lr: not in the seed-level test"]


def seed_caveats(tests: Sequence[SeedDifference]) -> tuple[str, ...]:
    """Say what seeds that the methods do not share cost."""
    if all(test.how == "pairs" for test in tests):
        return ()
    return (
        "The methods do not share their seeds, so what a seed adds to every run of it does not cancel: the same seeds "
        "for both methods would tell smaller differences apart.",
    )


def without_rounding(difference: float, of: float) -> float:
    """Return a difference of values of the size of `of`, 0 where rounding is all there is to it."""
    return 0.0 if abs(difference) <= NO_SPREAD * abs(of) else difference


def same_sign(frame: pl.DataFrame, metric: str, method_a: str, method_b: str) -> bool:
    """Whether the difference of the methods has one sign in every (data set, lr) that both have.

    Of runs that have a partner of their seed where there are any, else of all.
    """
    pairs = method_pairs(frame, metric, method_a, method_b)
    if pairs.is_empty():
        sign = pl.when(pl.col("method") == method_a).then(pl.col(metric))
        other = pl.when(pl.col("method") == method_b).then(pl.col(metric))
        cells = common_cells(frame, method_a, method_b).group_by("dataset", "lr")
        d = cells.agg((sign.mean() - other.mean()).alias("d"))["d"]
    else:
        d = pairs.group_by("dataset", "lr").agg(pl.col("d").mean())["d"]
    return bool((d > 0).all() or (d < 0).all())


def _refuse_one_method(known: Sequence[str]) -> None:
    """Raise StatsError where all runs have one method: nobody named the pair that they are then said to lack."""
    if len(known) == 1:
        problem = f"all usable runs have method {known[0]}: there are no two methods to compare"
        hint = "models trained elsewhere: heatdrift measure --label method=NAME; of one method: stats retention, dose"
        raise StatsError(problem, hint=hint)


def check_pair(frame: pl.DataFrame, method_a: str, method_b: str) -> None:
    """Refuse a pair of methods that the usable runs do not hold.

    Raises
    ------
    UnknownNameError, StatsError
        A method that no usable run has; a method against itself; runs of one method only.
    """
    if method_a == method_b:
        raise StatsError(
            f"{method_a} cannot be compared with itself", hint="for example --method-a lora_r8 --method-b full_ft"
        )
    known = sorted(set(frame["method"].to_list()))
    if (method_a, method_b) == PAIR:
        _refuse_one_method(known)
    for name in (method_a, method_b):
        if name not in known:
            raise UnknownNameError("method", name, known, where="the usable runs")
