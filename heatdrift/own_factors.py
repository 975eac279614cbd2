"""Settings of an imported table under names of its own (rank, augmentation): the column `factors` of runs, taken apart.

No question but the model of any factors names them, so the others neither average over them nor compare across them
without a sentence.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.wording import listed

COLUMN: Final = "factors"
ABSENT: Final = "none"  # the level of a run that does not have the setting: a rank without an adapter
_KEYS: Final = ("dataset", "method", "lr")


def factor_columns(runs: pl.DataFrame) -> pl.DataFrame:
    """Return one column per own factor, one row per run; empty of columns where the runs have none.

    Numbers where all levels are numbers and every run has one, else text; a run without the setting has "none".
    """
    if COLUMN not in runs.columns:
        return pl.DataFrame()
    rows: list[Mapping[str, str]] = [json.loads(text) if text else {} for text in runs[COLUMN].to_list()]
    names = sorted({name for row in rows for name in row})
    return pl.DataFrame({name: _typed([row.get(name) for row in rows]) for name in names})


def _typed(levels: list[str | None]) -> pl.Series:
    if None not in levels:
        try:
            numbers = pl.Series([float(str(level)) for level in levels])
        except ValueError:
            return pl.Series(levels)
        whole = bool((numbers == numbers.round()).all()) and bool(numbers.is_finite().all())
        return numbers.cast(pl.Int64) if whole else numbers
    return pl.Series([ABSENT if level is None else level for level in levels])


def with_own_factors(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the runs with a column per own factor, by its name; ``factor.NAME`` where runs have a column of that."""
    own = factor_columns(runs)
    taken = {name: f"factor.{name}" for name in own.columns if name in runs.columns}
    return runs.hstack(own.rename(taken)) if own.width else runs


def varying(runs: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return those own factors that have several levels among the runs, with their levels in order."""
    own = factor_columns(runs)
    found = {name: own[name].unique().sort().to_list() for name in own.columns}
    return {name: tuple(map(str, levels)) for name, levels in found.items() if len(levels) > 1}


def of_levels(runs: pl.DataFrame, wanted: Sequence[str], *, where: str) -> pl.DataFrame:
    """Return the runs that have one of the wanted levels of every factor named, ``rank=4``.

    Raises
    ------
    UnknownNameError
        A factor or level that the runs do not have. StatsError: a text that is no ``NAME=LEVEL``.
    """
    own = factor_columns(runs).with_columns(pl.all().cast(pl.String))
    chosen: dict[str, list[str]] = {}
    for text in wanted:
        name, equals, level = text.rpartition("=")
        if not equals or not name:
            raise StatsError(f"{text!r} is no level of a factor", hint="--factor NAME=LEVEL, for example rank=4")
        if name not in own.columns:
            raise UnknownNameError("factor", name, own.columns, where=where)
        known = own[name].unique().sort().to_list()
        if level not in known:
            raise UnknownNameError(name, level, known, where=where)
        chosen.setdefault(name, []).append(level)
    for name, levels in chosen.items():
        kept = own[name].is_in(levels)
        runs, own = runs.filter(kept), own.filter(kept)
    return runs


def levels_text(levels: Mapping[str, Sequence[str]]) -> str:
    """Return `rank (4, 16) and augmentation (none, randaug)`."""
    return listed([f"{name} ({', '.join(found)})" for name, found in levels.items()])


def split_factors(runs: pl.DataFrame) -> tuple[str, ...]:
    """Return the own factors in which runs of one backbone, data set, method, learning rate and seed differ.

    A page keeps them apart, in panels and rows of their own, as questions refuse to pool them.
    """
    return tuple(name for name in varying(runs) if _varies_within(runs, name, (*_KEYS, "backbone", "seed")))


def apart(runs: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the own factors that keep runs apart, with their levels in order."""
    levels = varying(runs)
    return {name: levels[name] for name in split_factors(runs)}


def one_of_each(runs: pl.DataFrame) -> str:
    """Return the options that choose one backbone and one level of each factor that keeps runs apart; else "".

    Of the combinations that there are the one with most runs, of several the first in order.
    """
    names = split_factors(runs)
    backbone = ["backbone"] if "backbone" in runs.columns and runs["backbone"].n_unique() > 1 else []
    if not (names or backbone):
        return ""
    keyed = pl.concat([runs.select(backbone), factor_columns(runs).select(names)], how="horizontal")
    counted = keyed.group_by(pl.all()).len().sort(-pl.col("len").cast(pl.Int64), *keyed.columns)
    first = counted.row(0, named=True)
    options = [f"--backbone {shlex.quote(str(first['backbone']))}"] if backbone else []
    return " ".join([*options, *(f"--factor {shlex.quote(f'{name}={first[name]}')}" for name in names)])


def apart_caveat(runs: pl.DataFrame, study: str) -> tuple[str, ...]:
    """Say which backbones and own factors a page keeps apart, and how to ask all questions of one level of each."""
    options = one_of_each(runs)
    if not options:
        return ()
    levels = apart(runs)
    backbones = runs["backbone"].drop_nulls().unique().sort().to_list()
    levels = {"backbone": tuple(backbones), **levels} if len(backbones) > 1 else levels
    return (
        f"These runs differ in {levels_text(levels)}. Nothing is averaged over that: panels and rows are apart, and "
        "questions that do not name it are not answered. Factors of these runs tests all of it at once; a page of one "
        f"level of each has the answers: heatdrift report --study {shlex.quote(study)} {options}",
    )


def pooled_caveat(runs: pl.DataFrame) -> tuple[str, ...]:
    """Say which own factors vary from seed to seed within a cell of a page, if any do."""
    apart = split_factors(runs)
    keys = (*_KEYS, "backbone")
    within = [name for name in varying(runs) if name not in apart and _varies_within(runs, name, keys)]
    if not within:
        return ()
    return (
        f"Cells of figures and tables hold seeds that differ in {levels_text({n: varying(runs)[n] for n in within})}: "
        "their means and spreads are over seeds and over these, except under Factors of these runs.",
    )


def _varies_within(runs: pl.DataFrame, name: str, keys: Sequence[str]) -> bool:
    keys = [key for key in keys if key in runs.columns]
    keyed = runs.select(keys).with_columns(factor_columns(runs)[name].cast(pl.String).alias("own factor"))
    return keyed.group_by(keys).agg(n=pl.col("own factor").n_unique())["n"].max() != 1


def factor_caveats(runs: pl.DataFrame) -> tuple[str, ...]:
    """Say which own factors vary among the runs, and whether a comparison of methods or rates is one of them, too."""
    levels = varying(runs)
    if not levels:
        return ()
    mixed = [name for name in levels if _varies_within(runs, name, _KEYS)]
    within = [name for name in levels if name not in mixed]
    text = f"These runs differ in {levels_text(levels)}, which this question does not name"
    if mixed:
        text += f": means of a cell are over several levels of {listed(mixed)}"
    if within:
        text += f": a difference of methods, learning rates or data sets may be one of {listed(within)}"
    return (f"{text}. heatdrift stats model names them.",)
