"""Marginal means and their differences, as emmeans makes them: over a grid of all levels, covariates at their mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from heatdrift.errors import StatsError, UnknownNameError
from heatdrift.questions.model.design import averaged
from heatdrift.questions.model.fitted import TableModel
from heatdrift.questions.model.result import Contrast, DdfMethod, Mean
from heatdrift.stats.distributions import t_p_value
from heatdrift.stats.intervals import t_interval
from heatdrift.stats.multiplicity import holm

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One marginal mean: its spec, level, what it is at (`block=1`), and its combination of coefficients."""

    spec: str
    level: str
    at: str
    row: Floats | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One difference of marginal means; `row` is None where it cannot be estimated."""

    spec: str
    contrast: str
    at: str
    row: Floats | None


def marginal_points(model: TableModel, specs: Sequence[str]) -> list[Point]:
    """Return the means of each spec: `a`, `a:b`, or `a | b` (a within each level of b).

    Raises
    ------
    UnknownNameError
        A name in a spec that is no factor of the formula.
    """
    categories = model.design.categories
    if not specs:
        return []
    points, rows = model.design.grid()
    names = list(categories)
    found = []
    for spec in specs:
        own, by = split_spec(spec, names)
        for chosen in product(*(categories[name] for name in (*by, *own))):
            place = dict(zip((*by, *own), chosen, strict=True))
            inside = [
                row
                for point, row in zip(points, rows, strict=True)
                if all(point[names.index(name)] == level for name, level in place.items())
            ]
            found.append(
                Point(
                    spec=spec,
                    level=":".join(_level(place[name]) for name in own),
                    at=", ".join(f"{name}={_level(place[name])}" for name in by),
                    row=averaged(inside),
                )
            )
    return found


def _level(value: object) -> str:
    """Return a level as text; a whole number that a design holds as a float is written as a whole one."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def split_spec(spec: str, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the factors of a spec before and behind its bar."""
    own, _, by = spec.partition("|")
    parts = [[name for part in text.split(":") if (name := part.strip())] for text in (own, by)]
    for name in (*parts[0], *parts[1]):
        if name not in known:
            raise UnknownNameError("factor", name, known, where="this formula")
    if not parts[0]:
        raise StatsError(f"{spec!r} names no factor", hint="--means FACTOR, or --means 'FACTOR | OTHER'")
    return parts[0], parts[1]


def pairwise(points: Sequence[Point]) -> list[Comparison]:
    """All differences of means of one spec at the same place, first minus second."""
    return [
        Comparison(
            spec=a.spec,
            contrast=f"{a.level} - {b.level}",
            at=a.at,
            row=None if a.row is None or b.row is None else a.row - b.row,
        )
        for a, b in combinations(points, 2)
        if (a.spec, a.at) == (b.spec, b.at)
    ]


_PART = re.compile(r"\s*([+-]?)\s*(?:(\d+(?:\.\d+)?(?:/\d+)?)\s*\*\s*)?")


def stated(model: TableModel, text: str) -> list[Comparison]:
    """Read a contrast `FACTOR: weight*LEVEL - LEVEL`: `diet: 1/2*a + 1/2*b - c`.

    Raises
    ------
    StatsError
        It cannot be read, or its weights do not add up to 0. UnknownNameError: no such factor or level.
    """
    spec, colon, rest = text.partition(": ")
    example = "--contrast 'FACTOR: 1/2*LEVEL + 1/2*LEVEL - LEVEL'"
    if not colon:
        raise StatsError(f"{text!r} is no contrast", hint=example)
    points = marginal_points(model, [spec])
    levels = list(dict.fromkeys(point.level for point in points))
    weights = dict.fromkeys(levels, 0.0)
    left = rest.strip()
    while left:
        part = _PART.match(left)
        assert part is not None  # every group is optional
        named = left[part.end() :]
        level = next((name for name in sorted(levels, key=len, reverse=True) if named.startswith(name)), None)
        if level is None:
            raise UnknownNameError("level", named.split(" ")[0], levels, where=spec)
        top, _, bottom = (part.group(2) or "1").partition("/")
        weights[level] += (-1.0 if part.group(1) == "-" else 1.0) * float(top) / float(bottom or 1)
        left = named[len(level) :].strip()
    if not any(weights.values()):
        raise StatsError(f"{text!r} compares nothing", hint=example)
    if abs(sum(weights.values())) > 1e-9:
        raise StatsError(f"the weights of {text!r} add up to {sum(weights.values()):g}, not to 0", hint=example)
    found = []
    for at in dict.fromkeys(point.at for point in points):
        rows = [(weights[p.level], p.row) for p in points if p.at == at and weights[p.level]]
        row = None if any(r is None for _, r in rows) else np.sum([w * r for w, r in rows if r is not None], axis=0)
        found.append(Comparison(spec=text, contrast=rest.strip(), at=at, row=row))
    return found


def mean_rows(model: TableModel, points: Sequence[Point], ddf: DdfMethod, level: float) -> tuple[Mean, ...]:
    """Return the means with their intervals."""
    made = []
    for point in points:
        estimate, se, df = _value(model, point.row, ddf)
        low, high = t_interval(estimate, se, df, level)
        made.append(
            Mean(spec=point.spec, level=point.level, at=point.at, mean=estimate, se=se, df=df, ci_low=low, ci_high=high)
        )
    return tuple(made)


def contrast_rows(
    model: TableModel, comparisons: Sequence[Comparison], ddf: DdfMethod, level: float
) -> tuple[Contrast, ...]:
    """Return the differences with Wald intervals, and Holm's p over the rows of each spec."""
    made = []
    for one in comparisons:
        estimate, se, df = _value(model, one.row, ddf)
        low, high = t_interval(estimate, se, df, level)
        t = estimate / se if se > 0 else float("nan")
        made.append(
            Contrast(
                spec=one.spec,
                contrast=one.contrast,
                at=one.at,
                estimate=estimate,
                se=se,
                df=df,
                t=t,
                p=t_p_value(t, df),
                p_holm=float("nan"),
                ci_low=low,
                ci_high=high,
            )
        )
    adjusted: dict[int, float] = {}
    for spec in dict.fromkeys(one.spec for one in comparisons):
        places = [i for i, one in enumerate(made) if one.spec == spec]
        adjusted.update(zip(places, holm([made[i].p for i in places]).tolist(), strict=True))
    return tuple(replace(one, p_holm=adjusted[i]) for i, one in enumerate(made))


def _value(model: TableModel, row: Floats | None, ddf: DdfMethod) -> tuple[float, float, float]:
    nan = float("nan")
    return (nan, nan, nan) if row is None else model.inference(ddf).contrast(row)
