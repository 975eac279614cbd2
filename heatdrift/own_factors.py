"""Settings of an imported table under names of its own (rank, augmentation): the column `factors` of runs, taken apart.

No question but the model of any factors names them, so the others neither average over them nor compare across them
without a sentence.
"""

import json
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


def levels_text(levels: Mapping[str, tuple[str, ...]]) -> str:
    """Return `rank (4, 16) and augmentation (none, randaug)`."""
    return listed([f"{name} ({', '.join(found)})" for name, found in levels.items()])


def pooled_caveat(runs: pl.DataFrame) -> tuple[str, ...]:
    """Say which own factors vary within a cell of a page (backbone, data set, method, learning rate), if any do."""
    within = [name for name in varying(runs) if _varies_within(runs, name, (*_KEYS, "backbone"))]
    if not within:
        return ()
    return (
        f"Cells of figures and tables hold runs that differ in {levels_text({n: varying(runs)[n] for n in within})}: "
        "their means and spreads are over seeds and over these, except under Factors of these runs.",
    )


def _varies_within(runs: pl.DataFrame, name: str, keys: Sequence[str]) -> bool:
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
