"""Figures of what was measured: dose-response, layer heatmaps, trajectories; or a note that says what is missing."""

from collections.abc import Sequence

import polars as pl

from heatdrift import wording
from heatdrift.accuracy import ACCURACIES
from heatdrift.report import charts
from heatdrift.report.blocks import Block, Figure, LegendEntry, Note, Panel
from heatdrift.report.drawing import draw_panel
from heatdrift.report.study_data import BASE, FLOOR, HEATMAP, TRAJECTORIES, StudyData, has_values
from heatdrift.report.summaries import padded_domain
from heatdrift.report.tables import frame_table
from heatdrift.report.theme import PALETTE, SHAPE_PATHS

MAX_GROUPS = 10  # panels of the layer heatmaps
INTERVAL_HEADS = {"n": "n (seeds)", "mean": "mean", "low": "from", "high": "to"}
CELL_HEADS = {"place": "data set", "method": "method", "lr": "learning rate"}


def method_legend(data: StudyData) -> tuple[LegendEntry, ...]:
    """Return one entry per method: its colour and its shape."""
    return tuple(LegendEntry.of(s) for s in data.frame.styles)


def not_measured(data: StudyData, metrics: list[str]) -> Note:
    """Return the note that these metrics have no value in any finished run."""
    names = wording.listed([data.axis_title(m) for m in metrics])
    return Note(text=f"Not measured in any finished run of this study, so not drawn: {names}.", tone="missing")


def dose_response(
    data: StudyData, figure_id: str, title: str, metrics: tuple[str, ...], caption: str, *, height: int = charts.HEIGHT
) -> tuple[Block, ...]:
    """Return the small multiples of `metrics` (rows) by place (columns), and a note on those that were not measured."""
    means = data.datasets["means"]
    missing = [m for m in metrics if not has_values(data.runs, m)]
    panels: list[Panel] = []
    cut_any = False
    for metric in (m for m in metrics if m not in missing):
        base = BASE.get(metric)
        rows = means.filter(pl.col("metric") == metric)
        for place in sorted(rows["place"].unique().to_list()):
            # Data sets are not equally hard: on one axis the accuracies of a hard one would be a flat line.
            own = metric in ACCURACIES
            chance = data.chance_level(metric, place)
            low, high, cut = padded_domain(
                _with_singles(rows, data, metric, place if own else None), point="mean", low="low", high="high",
                inside=_levels(data, metric, [place] if own else data.places), floor=FLOOR.get(metric),
            )  # fmt: skip
            cut_any |= cut
            chart = charts.dose_response(
                data.frame, place=place, metric=metric, title=data.axis_title(metric), domain=(low, high), base=base,
                chance=chance, points=data.single_runs, height=height,
            )  # fmt: skip
            panel_id = f"{figure_id}-{len(panels) + 1}"
            panels.append(draw_panel(panel_id, _panel_title(data, place), chart, data.datasets, metric=metric))
    notes = (not_measured(data, missing),) if missing else ()
    if not panels:
        return notes
    legend = [*method_legend(data)]
    if data.single_runs:
        legend.append(
            LegendEntry(label="single seeds", colour="var(--muted)", path=SHAPE_PATHS["circle"], look="faint")
        )
    if any(m in BASE for m in metrics):
        legend.append(LegendEntry(label="pretrained model", colour="var(--base)", look="dashed"))
    caption += _accuracy_words(data, [m for m in metrics if m not in missing], legend)
    if not data.single_runs:
        caption += f" Single runs are not drawn: there are {data.runs.height:,}; the intervals use all of them."
    if cut_any:
        caption += " Intervals that leave a panel are cut at its edge; the table has their ends."
    if data.n_zero_lr:
        caption += f" {wording.counted(data.n_zero_lr, 'run')} with learning rate 0 has no place on a logarithmic axis."
    caption = " ".join([caption, *data.not_drawn])
    table = data.tables["means"].filter(pl.col("metric").is_in(list(metrics)))
    table = table.with_columns(metric=pl.col("metric").replace_strict({m: data.axis_title(m) for m in metrics}))
    heads = {"metric": "metric", **CELL_HEADS, **INTERVAL_HEADS}
    shown = [data.axis_title(m) for m in metrics if m not in missing]
    figure = Figure(
        figure_id=figure_id,
        title=title,
        caption=_only_place(data) + caption,
        alternative=f"{title}: {wording.listed(shown)} against learning rate for {wording.listed(list(data.places))}; "
        f"one line per method ({wording.listed([s.title for s in data.frame.styles])}). "
        "The values are in the table below.",
        panels=tuple(panels),
        legend=tuple(legend),
        table=frame_table(
            table.sort("metric", "place", "method", "lr"),
            f"{title}: means over seeds",
            heads=heads,
            limit=data.table_rows,
        ),
        columns=len(data.drawn) if len(data.drawn) in (2, 3) else 3,
    )
    return (figure, *notes)


def _levels(data: StudyData, metric: str, places: Sequence[str]) -> list[float]:
    """Return the levels that an axis of these places must hold: the base's, and chance wherever it is known."""
    levels = [BASE.get(metric), *(data.chance_level(metric, place) for place in places)]
    return [level for level in levels if level is not None]


def _accuracy_words(data: StudyData, metrics: Sequence[str], legend: list[LegendEntry]) -> str:
    """Return what a caption says about the axes of accuracies and about chance, whose line is added to the legend."""
    if any(data.chance_level(metric, place) is not None for metric in metrics for place in data.places):
        legend.append(LegendEntry(label="chance", colour="var(--muted)", look="dashes"))
    text = ""
    if any(metric in ACCURACIES for metric in metrics) and len(data.drawn) > 1:
        text = " Each data set has an accuracy axis of its own."
    kept = [level for metric in metrics for level in data.retention_at_chance.get(metric, {}).values()]
    if kept:
        low, high = wording.at_equal_decimals([min(kept), max(kept)])
        span = low if low == high else f"{low} to {high}"
        text += f" A model that only guesses has a retention of {span} %."
    return text


def _only_place(data: StudyData) -> str:
    """Return the words that name the data set once, in the caption, where there is one only."""
    return f"Data set: {data.places[0]}. " if len(data.places) == 1 else ""


def _panel_title(data: StudyData, place: str) -> str:
    """Return the heading of a panel; none where all panels would have the same one."""
    return place if len(data.places) > 1 else ""


def _with_singles(rows: pl.DataFrame, data: StudyData, metric: str, place: str | None) -> pl.DataFrame:
    """Add the single runs to the means, so that an axis holds both; those of one place where the axis is its own."""
    runs = data.runs if data.single_runs else data.runs.clear()
    if place is not None:
        rows, runs = rows.filter(pl.col("place") == place), runs.filter(pl.col("place") == place)
    singles = runs.select(mean=metric).drop_nulls()
    return pl.concat([rows.select("mean", "low", "high"), singles], how="diagonal")


def layer_heatmaps(data: StudyData, figure_id: str) -> tuple[Block, ...]:
    """Return one heatmap of the drift of attention entropy per group: blocks down, learning rates across."""
    layers = data.datasets["layers"]
    if layers.is_empty():
        return (
            Note(text=f"No drift of attention {HEATMAP} per block was recorded at the selected epoch.", tone="missing"),
        )
    largest = float(layers["delta_pct"].abs().to_numpy().max())
    limit = largest or 1.0
    groups = layers.select("place", "method").unique().sort("place", "method").rows()
    order = [s.name for s in data.frame.styles]
    groups.sort(key=lambda group: (group[0], order.index(group[1])))
    n_groups = data.tables["layers"].select("place", "method").unique().height
    groups = groups[:MAX_GROUPS]
    left_out = [f"Drawn: {len(groups)} of {n_groups} groups."] if len(groups) < n_groups else []
    panels = tuple(
        draw_panel(
            f"{figure_id}-{i}",
            f"{place} · {wording.method_title(method)}",
            charts.layer_heatmap(place=place, method=method, n_layers=layers["layer"].n_unique(), limit=limit),
            data.datasets,
        )
        for i, (place, method) in enumerate(groups, start=1)
    )
    legend = scale_legend(limit, "%")
    heads = {**CELL_HEADS, "layer": "block", "n": "n (seeds)", "delta_pct": "Δ entropy (% of base)"}
    figure = Figure(
        figure_id=figure_id,
        title="Where in the network attention changes",
        caption="Change of attention entropy per block at the selected epoch, mean over seeds, in % of the pretrained "
        "model's entropy in that block. The scale is centred at no change and the same in all panels."
        + "".join(f" {text}" for text in left_out),
        alternative="Heatmaps of the change of attention entropy, blocks down, learning rates across, one per group; "
        f"the largest change is {wording.number(largest)} % of base. The values are in the table below.",
        panels=panels,
        legend=legend,
        table=frame_table(
            data.tables["layers"],
            "Change of attention entropy per block, mean over seeds",
            heads=heads,
            limit=data.table_rows,
        ),
        columns=2 if len(groups) in (2, 4) else 3,
    )
    return (figure,)


def scale_legend(limit: float, unit: str) -> tuple[LegendEntry, ...]:
    """Return the nine steps of the diverging scale from -`limit` to `limit` with their ends in `unit`."""
    names = [name for name in PALETTE if name.startswith("div-")]
    step = 2 * limit / len(names)
    return tuple(
        LegendEntry(
            label=f"{wording.number(-limit + i * step, 2)} to {wording.number(-limit + (i + 1) * step, 2)} {unit}",
            colour=f"var(--{name})",
            look="swatch",
        )
        for i, name in enumerate(names)
    )


def trajectories(data: StudyData, figure_id: str) -> tuple[Block, ...]:
    """Return the course of validation accuracy, entropy drift and tracked retention over epochs, by place."""
    means = data.datasets["trajectories"]
    shown = [m for m in TRAJECTORIES if not means.filter(pl.col("metric") == m).is_empty()]
    missing = [m for m in TRAJECTORIES if m not in shown]
    notes = (not_measured(data, missing),) if missing else ()
    if not shown:
        return notes
    panels: list[Panel] = []
    for metric in shown:
        measured = means.filter(pl.col("metric") == metric)
        base = BASE.get(metric)
        for place in sorted(measured["place"].unique().to_list()):
            own = metric in ACCURACIES
            chance = data.chance_level(metric, place)
            rows = measured.filter(pl.col("place") == place) if own else measured
            low, high, _ = padded_domain(
                rows, point="mean", low="mean", high="mean", floor=FLOOR.get(metric),
                inside=_levels(data, metric, [place] if own else data.places),
            )  # fmt: skip
            chart = charts.trajectory(
                data.frame,
                place=place,
                metric=metric,
                title=data.axis_title(metric),
                domain=(low, high),
                base=base,
                chance=chance,
            )
            panels.append(draw_panel(f"{figure_id}-{len(panels) + 1}", _panel_title(data, place), chart, data.datasets))
    lrs = [wording.learning_rate(lr) for lr in data.frame.lrs]
    looks = zip(lrs, charts.line_weights(len(lrs)), charts.line_opacities(len(lrs)), strict=True)
    weights = [
        LegendEntry(label=label, colour="var(--ink)", look="line", width=width, opacity=opacity)
        for label, width, opacity in looks
    ]
    keys = [*method_legend(data), *weights]
    axes = _accuracy_words(data, shown, keys)
    heads = {"metric": "metric", **CELL_HEADS, "epoch": "epoch", **INTERVAL_HEADS}
    some = data.datasets["trajectories"]["lr"].n_unique() < len(data.frame.lrs)
    left_out = [*data.not_drawn, *(["Some learning rates have no line."] if some else [])]
    titles = {m: data.axis_title(m) for m in TRAJECTORIES}
    table = data.tables["trajectories"].with_columns(metric=pl.col("metric").replace_strict(titles))
    figure = Figure(
        figure_id=figure_id,
        title="How drift and forgetting unfold",
        caption=f"{_only_place(data)}After each epoch, mean over seeds; the higher the learning rate, the bolder the "
        "line. Intervals are in the tooltips and the table." + axes + "".join(f" {text}" for text in left_out),
        alternative=f"{wording.listed([data.axis_title(m) for m in shown])} against epoch, one line per cell. "
        "The values are in the table below.",
        panels=tuple(panels),
        legend=tuple(keys),
        table=frame_table(
            table.sort("metric", "place", "method", "lr", "epoch"),
            "Course over epochs",
            heads=heads,
            limit=data.table_rows,
        ),
        columns=len(data.drawn) if len(data.drawn) in (2, 3) else 3,
    )
    return (figure, *notes)
