"""Test accuracy under corruptions of the images, against the drift of the same runs."""

from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.report.blocks import Block, Figure, Section, Table
from heatdrift.report.charts import Frame, layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import method_legend
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.study_data import StudyData, has_values
from heatdrift.report.summaries import padded_extent
from heatdrift.report.tables import frame_table

NAME: Final = "fig-robustness-rows"
CLEAN: Final = "uncorrupted"
_DRIFTS: Final = ("delta_entropy_pct", "weight_drift")  # the first that these runs have
_PANELS: Final = 12
Span = tuple[float, float]


def robustness(inp: ReportInput, data: StudyData) -> Section:
    """Return accuracy under each corruption against drift, run by run, and means over seeds; no test is made of it."""
    rows = _rows(inp)
    drift = next((metric for metric in _DRIFTS if has_values(inp.done, metric)), None)
    table = _table(rows, drift, data)
    found: list[Block] = []
    if drift is not None:
        title = "accuracy under corruptions"
        found = figure_or_note(title, lambda: _figure(rows, drift, data, table), data.datasets)
    if not any(isinstance(block, Figure) for block in found):
        found.append(table)
    return Section(
        section_id="robustness",
        title="Accuracy under corruption",
        lead="The test images classified at the selected epoch as they are, and corrupted. A description: nothing on "
        "the page tests it. The commands of heatdrift stats do, with a corruption as the metric, such as "
        f"--metric robustness.{_corruptions(rows)[0]}.",
        blocks=tuple(found),
    )


def _rows(inp: ReportInput) -> pl.DataFrame:
    """One row per finished run and corruption, the uncorrupted test images first, with the run's drift."""
    runs = inp.done.select("cell_id", "place", "method", "lr", "seed", "test_acc_pct", *_DRIFTS)
    corrupted = inp.robustness.select("cell_id", "corruption", "acc_pct")
    clean = runs.filter(pl.col("cell_id").is_in(corrupted["cell_id"].unique().to_list())).select(
        "cell_id", corruption=pl.lit(CLEAN), acc_pct=pl.col("test_acc_pct")
    )
    return pl.concat([clean, corrupted]).join(runs.drop("test_acc_pct"), on="cell_id", how="inner")


def _corruptions(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows["corruption"].unique().sort().to_list() if name != CLEAN]


def _means(rows: pl.DataFrame, drift: str | None) -> pl.DataFrame:
    """One row per data set, method and learning rate: mean drift and mean accuracy under each corruption."""
    key = ["place", "method", "lr"]
    columns = [CLEAN, *_corruptions(rows)]
    wide = rows.pivot("corruption", index=[*key, "seed", *([drift] if drift else [])], values="acc_pct")
    wide = wide.with_columns(pl.lit(None, dtype=pl.Float64).alias(n) for n in columns if n not in wide.columns)
    averaged = [pl.col(name).mean() for name in ([drift] if drift else []) + columns]
    return wide.group_by(key).agg(pl.len().alias("n"), *averaged).sort(key)


def _table(rows: pl.DataFrame, drift: str | None, data: StudyData) -> Table:
    means = _means(rows, drift)
    heads = {"place": "data set", "method": "method", "lr": "learning rate", "n": "n (seeds)"}
    heads |= {drift: f"{data.axis_title(drift)}, mean"} if drift is not None else {}
    heads |= {name: f"{_words(name)} (%)" for name in means.columns if name not in heads}
    caption = "Test accuracy under corruptions, means over seeds"
    return frame_table(means, caption, heads=heads, limit=data.table_rows)


def _marks(rows: pl.DataFrame, drift: str, data: StudyData) -> pl.DataFrame:
    """One row per run and corruption, or per cell where there are too many runs to draw."""
    titles = {style.name: style.title for style in data.frame.styles}
    drawn = rows.filter(pl.col("acc_pct").is_not_null() & pl.col(drift).is_not_null())
    drawn = drawn.with_columns(seed_label=pl.col("seed").cast(pl.String))
    if not data.single_runs:
        key = ("place", "corruption", "method", "lr")
        label = pl.format("mean of {}", pl.len()).alias("seed_label")
        drawn = drawn.group_by(key).agg(pl.col("acc_pct", drift).mean(), label)
    drawn = drawn.with_columns(method_title=pl.col("method").replace_strict(titles, default=pl.col("method")))
    columns = ("place", "corruption", "method", "method_title", "lr", "seed_label", "acc_pct", drift)
    return drawn.select(columns).sort("place", "corruption", "method", "lr", "seed_label")


def _figure(rows: pl.DataFrame, drift: str, data: StudyData, table: Table) -> Figure:
    """Panels of data set and corruption: a mark per run."""
    drawn = _marks(rows, drift, data)
    wanted = [
        (place, corruption)
        for place in data.drawn
        for corruption in [CLEAN, *_corruptions(rows)]
        if not drawn.filter(pl.col("place") == place, pl.col("corruption") == corruption).is_empty()
    ]
    shown = wanted[:_PANELS]
    data.datasets[NAME] = drawn
    panels = []
    for number, (place, corruption) in enumerate(shown, start=1):
        own = drawn.filter(pl.col("place") == place)
        spans = (padded_extent(own[drift]), padded_extent(own["acc_pct"], floor=0.0))
        chart = _chart(data.frame, place, corruption, drift, (data.axis_title(drift), *_y_title(corruption)), spans)
        title = _words(corruption) if len(data.drawn) == 1 else f"{place}, {_words(corruption)}"
        panels.append(draw_panel(f"fig-robustness-{number}", title, chart, data.datasets))
    cut = len(wanted) > len(shown)
    left_out = f" Drawn: the first {len(shown)} of {len(wanted)}; the table has all." if cut else ""
    mark = "a run" if data.single_runs else "the mean of a cell over its seeds"
    drawn_names = list(dict.fromkeys(_words(name) for _, name in shown))
    return Figure(
        figure_id="fig-robustness",
        title="Test accuracy under corruptions against drift",
        caption=f"A mark is {mark}. All panels of a data set have the same axes, so that heights compare.{left_out}",
        alternative=f"Dots of test accuracy in % against {data.axis_title(drift)}, a panel for "
        f"{wording.listed(drawn_names)}; one colour per method. Means over seeds are in the table below.",
        panels=tuple(panels),
        legend=method_legend(data),
        table=table,
        columns=3,
    )


def _y_title(corruption: str) -> tuple[str, ...]:
    return ("test accuracy (%)", _words(corruption))


def _words(corruption: str) -> str:
    return corruption.replace("_", " ")


def _chart(
    frame: Frame,
    place: str,
    corruption: str,
    drift: str,
    titles: tuple[str, ...],
    spans: tuple[tuple[float, float], ...],
) -> alt.LayerChart:
    """Reads `fig-robustness-rows` (place, corruption, method, lr, seed_label, acc_pct and the column `drift`)."""
    x_scale, y_scale = (alt.Scale(domain=list(span), nice=True, zero=False) for span in spans)
    points = rows_of(NAME, place=place, corruption=corruption).mark_point(size=46, opacity=0.8)
    return layered(
        points.encode(
            x=alt.X(f"{drift}:Q", axis=alt.Axis(title=titles[0]), scale=x_scale),
            y=alt.Y("acc_pct:Q", axis=top_title(titles[1:]), scale=y_scale),
            color=frame.colour,
            shape=frame.shape,
            tooltip=[
                alt.Tooltip("method_title:N", title="method"),
                alt.Tooltip("lr:Q", title="learning rate", format="~e"),
                alt.Tooltip("seed_label:N", title="seed"),
                alt.Tooltip(f"{drift}:Q", title=titles[0], format=".4~g"),
                alt.Tooltip("acc_pct:Q", title="test accuracy (%)", format=".4~g"),
            ],
        )
    )
