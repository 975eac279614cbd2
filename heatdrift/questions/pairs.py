"""Pairs of runs that differ in method only, and the seed-level test of their mean difference."""

from typing import Final

import numpy as np
import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.selection import codes
from heatdrift.stats.cluster_robust import CellMeans
from heatdrift.stats.cluster_tests import TTests, cluster_contrast
from heatdrift.wording import counted

PAIR: Final = ("lora_r8", "full_ft")  # method_a, method_b: every difference is a - b
KEY: Final = ("dataset", "lr", "seed")


def method_pairs(frame: pl.DataFrame, metric: str, method_a: str, method_b: str) -> pl.DataFrame:
    """One row per (dataset, lr, seed) that both methods have, sorted by it, with columns a, b and d = a - b."""
    sides = [
        frame.filter(pl.col("method") == name).select(*KEY, pl.col(metric).alias(side))
        for name, side in ((method_a, "a"), (method_b, "b"))
    ]
    pairs = sides[0].join(sides[1], on=KEY, how="inner")
    return pairs.with_columns((pl.col("a") - pl.col("b")).alias("d")).sort(KEY)


def unpaired(frame: pl.DataFrame, wide: pl.DataFrame, metric: str, method_a: str, method_b: str) -> list[str]:
    """Sentences about the runs of `frame` that `wide`, the pairs made of it, does not hold."""
    compared = frame.filter(pl.col("method").is_in([method_a, method_b]))
    others = sorted(set(frame["method"].to_list()) - {method_a, method_b})
    sentences = []
    if compared.height > 2 * wide.height:
        sentences.append(f"{counted(compared.height - 2 * wide.height, 'run')} with {metric} but without a partner")
    if others:
        n = frame.height - compared.height
        sentences.append(f"{counted(n, 'run')} of other methods ({', '.join(others)})")
    return sentences


def seed_level_difference(pairs: pl.DataFrame) -> tuple[TTests | None, int]:
    """Test the mean of d at the seed level, every (dataset, lr) with equal weight.

    Returns
    -------
    The test (None when no (dataset, lr) has two seeds) and how many pairs are alone at their (dataset, lr): they have
    no spread and are left out of it.
    """
    cell = codes(pairs, "dataset", "lr")
    several = np.bincount(cell)[cell] > 1
    kept = pairs.filter(pl.Series(several))
    alone = int(np.sum(~several))
    if kept["seed"].n_unique() < 2:
        return None, alone
    fit = CellMeans(codes(kept, "dataset", "lr"), codes(kept, "seed"))
    return cluster_contrast(fit, fit.mean).t_tests(kept["d"].to_numpy()), alone


def check_pair(frame: pl.DataFrame, method_a: str, method_b: str) -> None:
    """Refuse a pair of methods that the usable runs do not hold.

    Raises
    ------
    UnknownNameError, StatsError
        A method that no usable run has; a method against itself.
    """
    if method_a == method_b:
        raise StatsError(
            f"{method_a} cannot be compared with itself", hint="for example --method-a lora_r8 --method-b full_ft"
        )
    known = sorted(set(frame["method"].to_list()))
    for name in (method_a, method_b):
        if name not in known:
            raise UnknownNameError("method", name, known, where="the usable runs")
