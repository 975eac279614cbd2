"""Reference points next to the study's own base: zero-shot accuracies of pretrained models from result tables."""

from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Block, Figure, LegendEntry, Note, Section
from heatdrift.report.charts import layered, rows_of
from heatdrift.report.drawing import draw_panel
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import panels_or_problem
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import frame_table
from heatdrift.report.theme import COLOUR, SHAPE_PATHS

NAME: Final = "fig-reference-rows"
OWN: Final = "base of this study"
TABLE: Final = "imported table"
_METRIC: Final = "zero_shot_pct"
_DRAWN: Final = 4  # data sets with a panel of their own
_ROW: Final = 26  # height of a model in a panel
_HEADS: Final = {
    "dataset": "data set",
    "backbone": "pretrained model",
    "metric": "measure",
    "value_pct": "value (%)",
    "whose": "from",
    "source": "file and row",
}


def reference_points(inp: ReportInput, data: StudyData) -> Section:
    """Return what other tables say of pretrained models, and on the same data sets what this study's base has."""
    rows = _rows(inp)
    drawn = rows.filter(pl.col("metric") == _METRIC)
    places = drawn.filter(pl.col("whose") == TABLE)["dataset"].unique().sort().to_list()
    ours = set(rows.filter(pl.col("whose") == OWN)["dataset"].to_list())
    shown = sorted(places, key=lambda place: place not in ours)[:_DRAWN]  # those with a base of ours first
    data.datasets[NAME] = drawn.filter(pl.col("dataset").is_in(shown))
    table = frame_table(rows, "Reference points of the imported tables", heads=_HEADS)
    blocks: list[Block] = []
    if shown:
        left_out = f" Drawn: {len(shown)} of {len(places)} data sets." if len(shown) < len(places) else ""
        panels = panels_or_problem(
            "fig-reference",
            lambda: [
                draw_panel(f"fig-reference-{i}", place, _chart(place, data.datasets[NAME]), data.datasets)
                for i, place in enumerate(shown, start=1)
            ],
            data.datasets,
        )
        blocks.append(
            Figure(
                figure_id="fig-reference",
                title="Zero-shot accuracy of pretrained models",
                caption="Values of imported tables as they state them, without intervals: they do not say how many "
                f"images are behind them.{left_out}",
                alternative=f"Dots of zero-shot accuracy in %, a row per model, for {wording.listed(shown)}. "
                "The values are in the table below.",
                panels=tuple(panels),
                legend=(
                    LegendEntry(label=TABLE, colour="var(--muted)", path=SHAPE_PATHS["circle"]),
                    LegendEntry(label=OWN, colour="var(--base)", path=SHAPE_PATHS["diamond"]),
                ),
                table=table,
            )
        )
    else:
        blocks.append(table)
    if not ours:
        note = "None of these data sets is a transfer set of this study, so its own base is not among them."
        blocks.append(Note(text=note))
    return Section(
        section_id="reference-points",
        title="Reference points",
        lead="What result tables of pretrained models say, which were imported next to the runs.",
        blocks=tuple(blocks),
    )


def _rows(inp: ReportInput) -> pl.DataFrame:
    """Return the points, and the bases of this study on transfer sets that the points have too."""
    points = inp.reference_points.with_columns(whose=pl.lit(TABLE)).select(*_HEADS)
    if inp.transfer.is_empty() or inp.done.is_empty():
        return points.sort("dataset", "metric", "backbone", "whose")
    backbones = inp.done.select("cell_id", "backbone")
    own = (
        inp.transfer.join(backbones, on="cell_id")
        .filter(pl.col("transfer_set").is_in(points["dataset"].unique().to_list()))
        .group_by(dataset="transfer_set", backbone="backbone")
        .agg(value_pct=pl.col("base_pct").mean(), n=pl.len())
        .with_columns(metric=pl.lit(_METRIC), whose=pl.lit(OWN), source=pl.format("mean over {} runs", "n"))
        .select(*_HEADS)
    )
    return pl.concat([points, own]).sort("dataset", "metric", "backbone", "whose")


def _chart(place: str, rows: pl.DataFrame) -> alt.LayerChart:
    """Dots of a data set, a row per model; reads `fig-reference-rows` (dataset, backbone, value_pct, whose, source)."""
    n_models = rows.filter(pl.col("dataset") == place)["backbone"].n_unique()
    scale = alt.Scale(domain=[0, 100])
    looks = {TABLE: ("circle", COLOUR["muted"]), OWN: ("diamond", COLOUR["base"])}
    marks = [
        rows_of(NAME, dataset=place, whose=whose)
        .mark_point(size=70, opacity=1, filled=True, shape=shape, color=colour)
        .encode(
            x=alt.X("value_pct:Q", title="zero-shot accuracy (%)", scale=scale),
            y=alt.Y("backbone:N", title=None, axis=alt.Axis(labelLimit=220)),
            tooltip=[
                alt.Tooltip("backbone:N", title="pretrained model"),
                alt.Tooltip("value_pct:Q", title="zero-shot accuracy (%)", format=".4~g"),
                alt.Tooltip("source:N", title="from"),
            ],
        )
        for whose, (shape, colour) in looks.items()
    ]
    return layered(*marks, height=max(60, _ROW * n_models))
