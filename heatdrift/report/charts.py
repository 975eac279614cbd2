"""One function per kind of panel: description in, `alt.LayerChart` out, nothing read and nothing written.

A chart names its data set (`alt.NamedData`); the rows are put in by whoever shows it, once for all panels. Axis titles
carry unit and interval, tooltips carry n, a method has its colour and its shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt

from heatdrift.report.theme import COLOUR, DIVERGING, MethodStyle

WIDTH: Final = 400  # of the static drawing; in the page a panel takes the width of its column
HEIGHT: Final = 230


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all panels of a figure share: who is drawn, at which learning rates, how sure."""

    styles: tuple[MethodStyle, ...]
    lrs: tuple[float, ...]
    interval: str

    @property
    def colour(self) -> alt.Color:
        """Colour by method, without a legend of its own: the figure has one."""
        scale = alt.Scale(domain=[s.name for s in self.styles], range=[s.colour for s in self.styles])
        return alt.Color("method:N", scale=scale, legend=None)

    @property
    def shape(self) -> alt.Shape:
        """Shape by method, so that colour is never the only difference."""
        scale = alt.Scale(domain=[s.name for s in self.styles], range=[s.shape for s in self.styles])
        return alt.Shape("method:N", scale=scale, legend=None)

    def lr_axis(self, field: str) -> alt.X:
        """Logarithmic axis for `field` that is ticked at the study's learning rates and nowhere else."""
        ends = [min(self.lrs) / 1.5, max(self.lrs) * 1.5]
        axis = alt.Axis(values=list(self.lrs), format="~e", grid=False, labelOverlap="greedy")
        return alt.X(
            f"{field}:Q", title="peak learning rate (log scale)", axis=axis, scale=alt.Scale(type="log", domain=ends)
        )


def top_title(title: Sequence[str], **options: Any) -> alt.Axis:  # noqa: ANN401 - options of alt.Axis
    """Return a y axis whose title is above it, level, so that a long one with unit and interval can be read."""
    line = 15
    above = {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleLineHeight": line, "titleX": 0}
    # Vega sets the first line at titleY and the others below it; the last one must stay clear of the topmost label.
    return alt.Axis(**{**above, "title": list(title), "titleY": -14 - line * (len(title) - 1), "grid": True, **options})


def rows_of(data: str, **fields: str) -> alt.Chart:
    """Return a chart of the rows of the data set `data` whose `fields` have the given values."""
    chart = alt.Chart(alt.NamedData(name=data))
    for name, value in fields.items():
        chart = chart.transform_filter(alt.FieldEqualPredicate(field=name, equal=value))
    return chart


def layered(*layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Return the layers over each other in the size of a panel."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return alt.LayerChart(layer=list(layers), width=WIDTH, height=height, autosize=fit)


def _level_lines(base: float | None, chance: float | None, axis: alt.Axis, scale: alt.Scale) -> list[alt.Chart]:
    """Return the levels of the pretrained model and of chance, those that have a value; they share axis and scale."""
    looks: tuple[tuple[float | None, list[int], str], ...] = ((base, [2, 3], "base"), (chance, [7, 4], "muted"))
    return [
        alt.Chart(alt.sequence(1))
        .mark_rule(strokeDash=dash, strokeWidth=1.2, color=COLOUR[colour])
        .encode(y=alt.YDatum(value, type="quantitative", axis=axis, scale=scale))
        for value, dash, colour in looks
        if value is not None
    ]


def dose_response(
    frame: Frame, *, place: str, metric: str, title: str, domain: tuple[float, float], base: float | None,
    chance: float | None = None, points: bool, height: int = HEIGHT,
) -> alt.LayerChart:  # fmt: skip
    """Mean and interval of `metric` over seeds against the learning rate, one line per method, single seeds faint.

    Levels: `base` of the pretrained model, `chance` of guessing among the classes; None where there is none.

    Reads the data sets `means` (place, method, lr, lr_shown, metric, n, mean, low, high) and, with `points`, `runs`
    (place, method, lr, lr_beside, seed_label, n and the column `metric`).
    """
    small = height < HEIGHT  # no room: the caption says what lines and bars are
    y_axis = top_title([title], titleX=-28) if small else top_title([title, f"mean over seeds, {frame.interval}"])
    y_scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    means = rows_of("means", place=place, metric=metric).encode(x=frame.lr_axis("lr_shown"), color=frame.colour)
    tip = [
        alt.Tooltip("method_title:N", title="method"),
        alt.Tooltip("lr:Q", title="learning rate", format="~e"),
        alt.Tooltip("n:Q", title="n (seeds)"),
        alt.Tooltip("mean:Q", title="mean", format=".4~g"),
        alt.Tooltip("low:Q", title="interval from", format=".4~g"),
        alt.Tooltip("high:Q", title="interval to", format=".4~g"),
    ]
    y = alt.Y("mean:Q", axis=y_axis, scale=y_scale)
    layers = _level_lines(base, chance, y_axis, y_scale)
    if points:
        seed_tip = [
            *tip[:3],
            alt.Tooltip("seed_label:N", title="seed"),
            alt.Tooltip(f"{metric}:Q", title="value", format=".4~g"),
        ]
        singles = rows_of("runs", place=place).mark_point(size=24, opacity=0.5, clip=True)
        singles = singles.encode(y=alt.Y(f"{metric}:Q", axis=y_axis, scale=y_scale), tooltip=seed_tip)
        layers.append(singles.encode(x=frame.lr_axis("lr_beside"), color=frame.colour, shape=frame.shape))
    layers += [
        means.mark_line(strokeWidth=1.4, opacity=0.75, clip=True).encode(y=y),
        means.mark_rule(strokeWidth=1.6, clip=True).encode(
            y=alt.Y("low:Q", axis=y_axis, scale=y_scale), y2="high:Q", tooltip=tip
        ),
        means.mark_point(size=62, opacity=1, clip=True).encode(y=y, shape=frame.shape, tooltip=tip),
    ]
    return layered(*layers, height=height)


def layer_heatmap(*, place: str, method: str, n_layers: int, limit: float) -> alt.LayerChart:
    """Drift of attention entropy per block and learning rate, in nine steps centred at zero.

    Reads `layers` (place, method, lr_label, layer, n, delta_pct). `limit` > 0 is where the scale ends, in % of base.
    """
    scale = alt.Scale(type="quantize", domain=[-limit, limit], range=list(DIVERGING))
    tiles = rows_of("layers", place=place, method=method).mark_rect(stroke=COLOUR["paper"], strokeWidth=1)
    tiles = tiles.encode(
        x=alt.X(
            "lr_label:O",
            sort=None,
            title="peak learning rate",
            axis=alt.Axis(labelAngle=0, grid=False, labelOverlap="greedy"),
        ),
        y=alt.Y("layer:O", axis=top_title(["block (0 = first)"], labelOverlap="greedy", grid=False)),
        color=alt.Color("delta_pct:Q", scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("layer:O", title="block"),
            alt.Tooltip("lr_label:N", title="learning rate"),
            alt.Tooltip("delta_pct:Q", title="Δ entropy (% of base)", format="+.3~g"),
            alt.Tooltip("n:Q", title="n (seeds)"),
        ],
    )
    return layered(tiles, height=max(120, min(18 * n_layers, 430)))


def trajectory(
    frame: Frame, *, place: str, metric: str, title: str, domain: tuple[float, float], base: float | None,
    chance: float | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Mean of `metric` over seeds after each epoch, one line per cell: colour by method, weight by learning rate.

    Reads `trajectories` (place, method, lr, epoch, metric, n, mean, low, high).
    """
    weight = alt.StrokeWidth(
        "lr:O", legend=None, scale=alt.Scale(domain=list(frame.lrs), range=line_weights(len(frame.lrs)))
    )
    fade = alt.Opacity(
        "lr:O", legend=None, scale=alt.Scale(domain=list(frame.lrs), range=line_opacities(len(frame.lrs)))
    )
    y_axis = top_title([title, "mean over seeds"])
    y_scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    lines = rows_of("trajectories", place=place, metric=metric).encode(
        x=alt.X("epoch:Q", title="epoch (0 = base)", axis=alt.Axis(tickMinStep=1, grid=False, format="d")),
        y=alt.Y("mean:Q", axis=y_axis, scale=y_scale),
        color=frame.colour,
        opacity=fade,
        detail="lr:O",
    )
    marks = lines.mark_point(size=30).encode(
        shape=frame.shape,
        tooltip=[
            alt.Tooltip("method_title:N", title="method"),
            alt.Tooltip("lr:Q", title="learning rate", format="~e"),
            alt.Tooltip("epoch:Q", title="epoch"),
            alt.Tooltip("n:Q", title="n (seeds)"),
            alt.Tooltip("mean:Q", title="mean", format=".4~g"),
            alt.Tooltip("low:Q", title="interval from", format=".4~g"),
            alt.Tooltip("high:Q", title="interval to", format=".4~g"),
        ],
    )
    return layered(*_level_lines(base, chance, y_axis, y_scale), lines.mark_line().encode(strokeWidth=weight), marks)


def line_weights(n: int) -> list[float]:
    """Return n stroke widths, thin for the lowest learning rate, bold for the highest."""
    return [2.4] if n == 1 else [1 + 1.6 * i / (n - 1) for i in range(n)]


def line_opacities(n: int) -> list[float]:
    """Return n opacities, faint for the lowest learning rate, full for the highest."""
    return [1.0] if n == 1 else [0.4 + 0.6 * i / (n - 1) for i in range(n)]
