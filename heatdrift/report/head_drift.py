"""How far each head's attention map moved from the base's: heads across, blocks down, one map per cell of the grid."""

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.metrics import PROBE
from heatdrift.report.blocks import Figure, LegendEntry
from heatdrift.report.charts import layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.summaries import CELL_KEY
from heatdrift.report.tables import frame_table
from heatdrift.report.theme import COLOUR

METRIC: Final = "map_js"
NAME: Final = "fig-head-drift-rows"
MAX_PANELS: Final = 4
MAX_TILES: Final = 600  # heads of all panels: four maps of 12 x 12
_STEPS: Final = ("div-5", "div-6", "div-7", "div-8", "div-9")  # the half of the scale that begins at no change


def head_means(runs: pl.DataFrame, heads: pl.DataFrame) -> pl.DataFrame:
    """Return the mean over seeds of each head's divergence from base, at each run's selected epoch.

    Returns
    -------
    place, method, lr, layer, head, n, value (bits, in [0, 1]); empty where it was not measured.
    """
    key = ["study", "cell_id", "epoch"]
    chosen = runs.select("study", "cell_id", *CELL_KEY, epoch="selected_epoch")
    own = heads.filter((pl.col("metric") == METRIC) & pl.col("value").is_not_null())
    cells = [*CELL_KEY, "layer", "head"]
    grouped = own.join(chosen, on=key, how="inner").group_by(cells, maintain_order=True)
    return grouped.agg(n=pl.len().cast(pl.Int64), value=pl.col("value").mean()).sort(cells)


def head_drift(data: StudyData, heads: pl.DataFrame) -> Figure | None:
    """Return the maps of the lowest and the highest learning rate of every method; None where nothing was measured."""
    means = head_means(data.runs, heads)
    if means.is_empty():
        return None
    every = means.select(CELL_KEY).unique(maintain_order=True).rows()
    chosen = _chosen(data, every)
    tiles = means.height // len(every)
    chosen = chosen[: max(1, min(MAX_PANELS, MAX_TILES // max(tiles, 1)))]
    drawn = pl.DataFrame(chosen, schema={name: means.schema[name] for name in CELL_KEY}, orient="row")
    rows = means.join(drawn, on=list(CELL_KEY), how="semi", maintain_order="left")
    labels = [wording.learning_rate(lr) for lr in rows["lr"].to_list()]
    data.datasets[NAME] = rows.drop("lr").with_columns(
        pl.col("value").round_sig_figs(DIGITS - 2), lr_label=pl.Series(labels, dtype=pl.String)
    )
    largest = float(max(rows["value"].to_list()))
    steps = _steps(rows["value"].to_list())
    panels = tuple(
        draw_panel(
            f"fig-head-drift-{i}",
            f"{place} · {wording.method_title(method)} · {wording.learning_rate(lr)}",
            head_drift_chart(
                place=place, method=method, lr_label=wording.learning_rate(lr), steps=steps,
                n_layers=rows["layer"].n_unique(),
            ),
            data.datasets,
        )
        for i, (place, method, lr) in enumerate(chosen, start=1)
    )  # fmt: skip
    left_out = f" Drawn: {len(chosen)} of {len(every)} cells of the grid." if len(chosen) < len(every) else ""
    by_block = means.group_by(*CELL_KEY, "layer", maintain_order=True).agg(
        n=pl.col("n").min(), mean=pl.col("value").mean(), least=pl.col("value").min(), most=pl.col("value").max()
    )
    columns = {
        "place": "data set", "method": "method", "lr": "learning rate", "layer": "block", "n": "n (seeds)",
        "mean": "mean over heads (bits)", "least": "head that moved least", "most": "head that moved most",
    }  # fmt: skip
    return Figure(
        figure_id="fig-head-drift",
        title="How far each head's attention map moved",
        caption=f"{PROBE[METRIC].title[:1].upper()}{PROBE[METRIC].title[1:]} (Jensen-Shannon, 0 = equal, 1 bit = "
        "disjoint) at the selected epoch, mean over seeds, at the lowest and the highest learning rate. One scale for "
        f"all panels, {_scale_words(steps)}.{left_out}",
        alternative="Maps of the divergence of attention maps from the base's, heads across, blocks down, one per "
        f"method and learning rate; the largest is {wording.number(largest)} bits. Each block's values are in the "
        "table below.",
        panels=panels,
        legend=_legend(steps),
        table=frame_table(by_block, "Divergence of attention maps per block", heads=columns, limit=data.table_rows),
        columns=2,
    )


def head_drift_chart(
    *, place: str, method: str, lr_label: str, steps: Sequence[float], n_layers: int
) -> alt.LayerChart:
    """Draw one map in colours that change at the `steps` between the first and the last, in bits.

    Reads `fig-head-drift-rows` (place, method, lr_label, layer, head, n, value).
    """
    names = _colours(len(steps) - 1)
    scale = alt.Scale(type="threshold", domain=list(steps[1:-1]), range=[COLOUR[name] for name in names])
    tiles = rows_of(NAME, place=place, method=method, lr_label=lr_label).mark_rect(
        stroke=COLOUR["paper"], strokeWidth=1
    )
    tiles = tiles.encode(
        x=alt.X("head:O", title="head (0 = first)", axis=alt.Axis(labelAngle=0, grid=False, labelOverlap="greedy")),
        y=alt.Y("layer:O", axis=top_title(["block (0 = first)"], labelOverlap="greedy", grid=False)),
        color=alt.Color("value:Q", scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("layer:O", title="block"),
            alt.Tooltip("head:O", title="head"),
            alt.Tooltip("value:Q", title="divergence (bits)", format=".3~g"),
            alt.Tooltip("n:Q", title="n (seeds)"),
        ],
    )
    return layered(tiles, height=max(120, min(18 * n_layers, 430)))


def _chosen(data: StudyData, every: Sequence[tuple[str, str, float]]) -> list[tuple[str, str, float]]:
    """Return the cells that are drawn: lowest and highest learning rate of each method, place by place."""
    found = []
    for place in data.drawn:
        for style in data.frame.styles:
            lrs = sorted(lr for at, method, lr in every if (at, method) == (place, style.name))
            found += [(place, style.name, lr) for lr in dict.fromkeys((*lrs[:1], *lrs[-1:]))]
    return found or list(every)


def _steps(values: Sequence[float]) -> tuple[float, ...]:
    """Return the limits of the colours: 0, quantiles that share out the heads, the largest value.

    Divergences grow by orders of magnitude with the learning rate. On a linear scale the maps of the lowest one would
    have one colour. Where values are equal there are fewer steps.
    """
    ordered = sorted(values)
    inner = [ordered[round(len(ordered) * i / len(_STEPS))] for i in range(1, len(_STEPS))]
    largest = ordered[-1]
    limits = sorted({float(f"{v:.2g}") for v in inner if 0 < v < largest})
    limits = [v for v in limits if 0 < v < largest]
    return (0.0, *limits, largest or 1.0)


def _colours(n: int) -> tuple[str, ...]:
    """Return `n` names of the scale from no change to most, as far apart as they can be."""
    last = len(_STEPS) - 1
    return tuple(_STEPS[round(i * last / (n - 1))] for i in range(n)) if n > 1 else _STEPS[:1]


def _scale_words(steps: Sequence[float]) -> str:
    if len(steps) < 3:
        return "up to the largest value drawn"
    return f"in {len(steps) - 1} steps that hold about equally many of the heads drawn: they are not equally wide"


def _legend(steps: Sequence[float]) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(
            label=f"{wording.number(low, 2)} to {wording.number(high, 2)} bits", colour=f"var(--{name})", look="swatch"
        )
        for low, high, name in zip(steps[:-1], steps[1:], _colours(len(steps) - 1), strict=True)
    )
