"""A study in one small picture: retention, or accuracy, against the learning rate, a line per method and data set.

A page carries the numbers of its picture, not a drawing: an index draws them, and markup of a page that somebody sent
never gets into it.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import polars as pl

from heatdrift import wording
from heatdrift.report.study_data import BASE, StudyData
from heatdrift.report.theme import PALETTE, SHAPE_PATHS

MAX_LINES: Final = 8
MAX_POINTS: Final = 12  # of a line
WIDTH: Final = 320
HEIGHT: Final = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 24  # room for the words at the axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its method, its data set, its look, and (learning rate, value) from the lowest rate to the highest."""

    method: str
    place: str
    colour: str
    shape: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPicture:
    """What is drawn: `title` says of what the values are, `level` is the pretrained model's, None where it has none."""

    title: str
    level: float | None
    lines: tuple[Line, ...]

    @property
    def words(self) -> str:
        """The picture in words."""
        ends = [
            f"{line.method} on {line.place} {wording.number(line.points[0][1])} at "
            f"{wording.learning_rate(line.points[0][0])} to {wording.number(line.points[-1][1])} at "
            f"{wording.learning_rate(line.points[-1][0])}"
            for line in self.lines
        ]
        return f"{self.caption}: {'; '.join(ends)}."

    @property
    def caption(self) -> str:
        """What is drawn, in a line."""
        several = len({line.place for line in self.lines}) > 1
        return f"{self.title} against learning rate{', a line per data set' if several else ''}"

    @property
    def methods(self) -> tuple[Line, ...]:
        """One line of each method, for a legend."""
        return tuple({line.method: line for line in reversed(self.lines)}.values())[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture in the pixels of its frame: paths of the lines, places of the marks, words at the axes."""

    paths: tuple[tuple[str, str], ...]  # colour, path
    marks: tuple[tuple[str, str, float, float], ...]  # colour, path of the shape, x, y
    level_y: float | None
    texts: tuple[tuple[str, float, float, str], ...]  # text, x, y, anchor


def small_picture(data: StudyData) -> SmallPicture | None:
    """Return the picture of a study: the last of `data.performance` that was measured; None where none was."""
    for metric in reversed(data.performance):
        means = data.tables["means"].filter((pl.col("metric") == metric) & pl.col("mean").is_not_null())
        lines = []
        for place in data.places:
            for style in data.frame.styles:
                own = means.filter((pl.col("place") == place) & (pl.col("method") == style.name)).sort("lr")
                points = own.select("lr", "mean").head(MAX_POINTS).rows()
                if points:
                    colour = style.variable.removeprefix("var(--").removesuffix(")")
                    rounded = tuple((float(lr), float(f"{value:.4g}")) for lr, value in points)
                    lines.append(
                        Line(method=style.title, place=place, colour=colour, shape=style.shape, points=rounded)
                    )
        if lines:
            return SmallPicture(
                title=wording.capital(data.axis_title(metric)), level=BASE.get(metric), lines=tuple(lines[:MAX_LINES])
            )
    return None


def read_picture(value: object) -> SmallPicture | None:
    """Return the picture that a page carries; None where there is none, or it is not what this module makes."""
    try:
        picture = msgspec.convert(value, SmallPicture | None)
    except msgspec.ValidationError:
        return None
    if picture is None or not 0 < len(picture.lines) <= MAX_LINES:
        return None
    for line in picture.lines:
        numbers = [number for point in line.points for number in point]
        rising = all(a[0] < b[0] for a, b in pairwise(line.points))
        known = line.colour in PALETTE and line.shape in SHAPE_PATHS
        fits = 0 < len(line.points) <= MAX_POINTS and all(map(math.isfinite, numbers)) and line.points[0][0] > 0
        if not (known and fits and rising):
            return None
    return picture if picture.level is None or math.isfinite(picture.level) else None


def drawing(picture: SmallPicture) -> Drawing:
    """Return where everything of a picture is, on a logarithmic axis of learning rates."""
    xs = [math.log10(lr) for line in picture.lines for lr, _ in line.points]
    ys = [value for line in picture.lines for _, value in line.points]
    ys += [] if picture.level is None else [picture.level]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)

    def x(lr: float) -> float:
        share = (math.log10(lr) - left) / (right - left) if right > left else 0.5
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)

    paths, marks = [], []
    for line in picture.lines:
        at = [(x(lr), y(value)) for lr, value in line.points]
        paths.append((f"var(--{line.colour})", "M" + "L".join(f"{a:g},{b:g}" for a, b in at)))
        marks += [(f"var(--{line.colour})", SHAPE_PATHS[line.shape], a, b) for a, b in at]
    values = {y(value): wording.number(value) for value in (low, high)}
    rates = {x(lr): wording.learning_rate(lr) for lr in (10**left, 10**right)}
    texts = [(text, _LEFT - 10.0, at + 4, "end") for at, text in values.items()]
    texts += [
        (
            text,
            at,
            HEIGHT - 4.0,
            "end" if at > WIDTH / 2 and len(rates) > 1 else "middle" if len(rates) < 2 else "start",
        )
        for at, text in rates.items()
    ]
    level_y = None if picture.level is None else y(picture.level)
    return Drawing(paths=tuple(paths), marks=tuple(marks), level_y=level_y, texts=tuple(texts))
