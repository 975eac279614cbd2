"""The formula of a model when none is given: every factor that varies, by itself, and seeds as random intercepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from heatdrift.accuracy import accuracy_metric, finished
from heatdrift.errors import StatsError
from heatdrift.own_factors import factor_columns, with_own_factors
from heatdrift.wording import listed

# What may differ between the runs of a study besides its own factors; a question about methods pools none of these.
_OURS: Final = ("dataset", "method", "lr", "backbone", "protocol", "precision", "eval_precision", "select_on")
_GROUPS: Final = ("seed", "dataset", "backbone")  # the first that has several levels is the random intercept

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """A formula and what it is about.

    Attributes
    ----------
    frame : finished runs that have the response, with a column per own factor.
    formula, response, group : in lme4's words; the response, and the column of the random intercept.
    factors : columns of the fixed part -> their levels.
    own : the names among them that are the table's own.
    why : in words, for people.
    left_out : factors that vary and are not in the formula, and why.
    """

    frame: pl.DataFrame
    formula: str
    response: str
    group: str
    factors: dict[str, tuple[str, ...]]
    own: tuple[str, ...]
    why: str
    left_out: tuple[str, ...]


def default_model(runs: pl.DataFrame, metric: str | None = None) -> DefaultModel:
    """Return the additive model of all factors that vary among the finished runs.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study.
    metric : the response; None = the accuracy that these runs have.

    Raises
    ------
    StatsError
        Nothing varies, or nothing groups the rows.
    """
    response = accuracy_metric(runs)[0] if metric is None else metric
    names = list(factor_columns(runs).columns)
    frame = with_own_factors(finished(runs))
    own = [name if name in frame.columns and name not in runs.columns else f"factor.{name}" for name in names]
    if response not in frame.columns:
        raise StatsError(f"the runs have no column {response}", hint="name a column of the view runs")
    used = frame.filter(pl.col(response).is_not_null())
    varies = {name: _levels(used, name) for name in (*_OURS, *own) if name in used.columns}
    varies = {name: levels for name, levels in varies.items() if len(levels) > 1}
    group = next((name for name in _GROUPS if name in used.columns and 1 < used[name].n_unique() < used.height), None)
    if group is None:
        raise StatsError(
            "the runs are of one seed, data set and backbone, so that no grouping says how far a repetition differs",
            hint='runs of several seeds; or a formula with a grouping of your own: --formula "y ~ a + (1 | group)"',
        )
    varies.pop(group, None)
    kept, left_out = _estimable(used, varies, own)
    if not kept:
        raise StatsError("no factor varies among the finished runs", hint="heatdrift sql 'summarize runs'")
    fixed = " + ".join(_term(used, name) for name in kept)
    added = f"the accuracy of these runs, {response}," if metric is None else response
    why = (
        f"{added} by every factor that varies ({listed(kept)}), each by itself, with {group} as random intercept: "
        "an interaction is asked for with a formula, because few tables have rows enough for all of them"
    )
    return DefaultModel(
        frame=frame,
        formula=f"{_quoted(response)} ~ {fixed} + (1 | {group})",
        response=response,
        group=group,
        factors={name: varies[name] for name in kept},
        own=tuple(name for name in kept if name in own),
        why=why,
        left_out=left_out,
    )


def _levels(frame: pl.DataFrame, name: str) -> tuple[str, ...]:
    return tuple(map(str, frame[name].drop_nulls().unique().sort().to_list()))


def _term(frame: pl.DataFrame, name: str) -> str:
    return f"C({_quoted(name)})" if frame[name].dtype.is_numeric() else _quoted(name)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f'Q("{name}")'


def _estimable(
    frame: pl.DataFrame, varies: dict[str, tuple[str, ...]], own: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Leave out factors that the others determine: own ones first, those with fewer levels first among them."""
    kept = list(varies)
    said: list[str] = []
    dummies = {name: frame[name].cast(pl.String).to_dummies().to_numpy().astype(float)[:, 1:] for name in kept}
    ones = np.ones((frame.height, 1))

    def rank(names: Sequence[str]) -> int:
        return int(np.linalg.matrix_rank(np.hstack([ones, *(dummies[name] for name in names)])))

    while True:
        whole = rank(kept)
        lost = [name for name in kept if rank([n for n in kept if n != name]) == whole]
        if not lost:
            return kept, tuple(said)
        gone = min(lost, key=lambda name: (name not in own, len(varies[name])))
        kept.remove(gone)
        said.append(f"{gone} ({', '.join(varies[gone])}): determined by {listed(kept)} in these runs")
