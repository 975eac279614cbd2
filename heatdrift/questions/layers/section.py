"""Where in the network methods differ: blocks with intervals, head x block maps, marked where tests support it."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import altair as alt
import polars as pl

from heatdrift import wording
from heatdrift.metrics import PROBE
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.layers import QUESTION
from heatdrift.questions.layers.result import LayerRow, LayersResult
from heatdrift.report.blocks import Block, Figure, Finding, LegendEntry, Note, Table
from heatdrift.report.charts import layered, rows_of, top_title
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import scale_legend
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import has_words, in_words, result_notes
from heatdrift.report.study_data import DIGITS, StudyData
from heatdrift.report.tables import text_table
from heatdrift.report.theme import COLOUR, DIVERGING, SHAPE_PATHS

COMMAND: Final = QUESTION.command
SUPPORTED: Final = "supported at false discovery rate 5 %"
OPEN: Final = "not supported"
HEAD_ROWS: Final = "fig-heads-rows"
MAX_MAPS: Final = 4  # panels of one metric
MAX_TILES: Final = 300  # heads of all panels of one metric; two maps of 12 x 12 heads
SHOWN_TABLE: Final = 60  # rows of the table of heads, smallest adjusted p first


def blocks(answers: Sequence[LayersResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return tests of blocks and, where they were measured, of heads, with their tables and sentences."""
    results = [result for result in answers if result.rows]
    found: list[Block] = []
    if results:
        shown = _tested(results)
        found += _block_figure(results, shown, data)
        found += _head_figures(results, shown, data)
        found += in_words(data.family, results, "layers")
        found += result_notes(list(dict.fromkeys(text for r in results for text in r.left_out)))
    if inp.heads.is_empty():
        text = "No per-head values were recorded for this study; imported records keep none."
        found.append(Note(text=text, tone="missing"))
    return found


def headlines(answers: Sequence[LayersResult], data: StudyData) -> list[Finding]:
    """Return what the tests of all data sets say together."""
    named = Finding(
        title="Blocks and heads",
        sentences=tuple(text for result in answers for text in data.family.sentences(result)),
        descriptions=tuple(text for result in answers for text in result.descriptions),
        notes=tuple(text for result in answers for text in result.notes),
        caveats=tuple(dict.fromkeys(text for result in answers for text in result.caveats)),
        finding_id="finding-layers",
        section_id="layers",
        command=COMMAND,
    )
    return [named] if has_words(named) else []


def _tested(results: Sequence[LayersResult]) -> str:
    """The question drawn: the difference of methods, or the drift of each group where there is one method only."""
    return "method" if any(row.test == "method" for r in results for row in r.rows) else "drift"


def _panel(result: LayersResult, row: LayerRow) -> str:
    place = row.dataset or wording.listed(list(result.datasets))
    group = "" if row.test == "method" else f" · {wording.method_title(str(row.method))}"
    return f"{place}{group} · {_drift_of(row.metric)}"


def _drift_of(metric: str) -> str:
    return f"Δ {PROBE[metric].title}" if PROBE[metric].has_base else PROBE[metric].title


def _frame(results: Sequence[LayersResult], test: str, *, heads: bool) -> pl.DataFrame:
    rows = [
        {
            "panel": _panel(result, r), "metric": r.metric, "layer": r.layer, "head": r.head, "row": f"block {r.layer}",
            "kind": SUPPORTED if r.p_bh < ALPHA else OPEN, "estimate": r.estimate, "ci_low": r.ci_low,
            "ci_high": r.ci_high, "n": r.n, "p_bh": r.p_bh, "p_by": r.p_by, "unit": r.unit, "seeds": r.n_seeds,
        }
        for result in results
        for r in result.rows
        if r.test == test and (r.head is not None) == heads
    ]  # fmt: skip
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.selectors.float().fill_nan(None)) if rows else frame


def _question(results: Sequence[LayersResult], test: str) -> str:
    if test == "drift":
        return "mean drift"
    return wording.method_difference(results[0].method_a, results[0].method_b)


def _block_figure(results: Sequence[LayersResult], test: str, data: StudyData) -> list[Block]:
    frame = _frame(results, test, heads=False)
    if frame.is_empty():
        return []
    level = level_words(results[0].conf_level)
    units = dict(frame.select("panel", "unit").unique(maintain_order=True).rows())
    question = _question(results, test)
    forest = Forest(
        rows=frame,
        axes={panel: (question, f"({unit}), seed-level {level}") for panel, unit in units.items()},
        kinds=(SUPPORTED, OPEN),
        n_means="runs",
        extras={"seeds": "seeds", "p_bh": "adjusted p (BH)"},
        zero="no difference" if test == "method" else "no drift",
    )
    table = _table(frame, f"Blocks: {question}, averaged over learning rates", level, heads=False)
    figure = forest_figure(
        forest, data, "fig-blocks",
        title=f"Block by block: {question}",
        caption="Averaged over learning rates, seed-level tests; filled circles are supported after Benjamini–Hochberg "
        "over the blocks of a data set and metric (heatdrift stats layers adjusts over all data sets together, "
        "so its counts may differ). A mean over learning rates hides drifts that cancel.",
        alternative=f"{question} per block with intervals, one panel per data set and metric.",
        table=table,
    )  # fmt: skip
    return [figure or table]


def head_chart(*, panel: str, n_layers: int, limit: float, unit: str) -> alt.LayerChart:
    """Heads across, blocks down, in nine steps centred at zero; a dot where the test supports a difference.

    Reads `fig-heads-rows` (panel, layer, head, estimate, ci_low, ci_high, n, p_bh, supported). `limit` > 0 is where the
    scale ends.
    """
    rows = rows_of(HEAD_ROWS, panel=panel)
    x = alt.X("head:O", title="head (0 = first)", axis=alt.Axis(labelAngle=0, grid=False, labelOverlap="greedy"))
    y = alt.Y("layer:O", axis=top_title(["block (0 = first)"], labelOverlap="greedy", grid=False))
    scale = alt.Scale(type="quantize", domain=[-limit, limit], range=list(DIVERGING))
    tiles = rows.mark_rect(stroke=COLOUR["paper"], strokeWidth=1).encode(
        x=x,
        y=y,
        color=alt.Color("estimate:Q", scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("layer:O", title="block"),
            alt.Tooltip("head:O", title="head"),
            alt.Tooltip("estimate:Q", title=f"difference ({unit})", format="+.3~g"),
            alt.Tooltip("ci_low:Q", title="interval from", format=".3~g"),
            alt.Tooltip("ci_high:Q", title="interval to", format=".3~g"),
            alt.Tooltip("p_bh:Q", title="adjusted p (BH)", format=".3~g"),
            alt.Tooltip("n:Q", title="n (runs)"),
        ],
    )
    marks = rows.transform_filter(alt.FieldEqualPredicate(field="supported", equal=True))
    dots = marks.mark_point(
        size=70, opacity=1, shape="circle", color=COLOUR["ink"], stroke=COLOUR["paper"], strokeWidth=1.2
    )
    return layered(tiles, dots.encode(x=x, y=y), height=max(120, min(18 * n_layers, 430)))


def _head_figures(results: Sequence[LayersResult], test: str, data: StudyData) -> list[Block]:
    """Return a figure per metric, so that each has a scale of its own."""
    frame = _frame(results, test, heads=True)
    if frame.is_empty():
        return []
    shown = [p for _, panels in frame.group_by("metric", maintain_order=True) for p in _drawn(panels)]
    data.datasets[HEAD_ROWS] = (
        frame.filter(pl.col("estimate").is_not_null() & pl.col("panel").is_in(shown))
        .select(
            "panel",
            "layer",
            "head",
            "estimate",
            "ci_low",
            "ci_high",
            "n",
            "p_bh",
            supported=pl.col("kind") == SUPPORTED,
        )
        .with_columns(pl.selectors.float().round_sig_figs(DIGITS))
    )
    figures: list[Block] = []
    question, level = _question(results, test), level_words(results[0].conf_level)
    for metric in frame["metric"].unique(maintain_order=True).to_list():
        rows = frame.filter((pl.col("metric") == metric) & pl.col("estimate").is_not_null())
        if not rows.is_empty():
            draw = partial(_head_figure, rows, metric, question, level, data)
            figures += figure_or_note(f"heads, {metric}", draw, data.datasets)
    return figures


def _panels(rows: pl.DataFrame) -> list[str]:
    found: list[str] = rows["panel"].unique(maintain_order=True).to_list()
    return found


def _drawn(rows: pl.DataFrame) -> list[str]:
    """Return the panels of one metric that are drawn: as many as the page can carry, at least one."""
    every = _panels(rows)
    tiles = max(rows.height // max(len(every), 1), 1)
    return every[: max(1, min(MAX_MAPS, MAX_TILES // tiles))]


def _head_figure(rows: pl.DataFrame, metric: str, question: str, level: str, data: StudyData) -> Figure:
    every = _panels(rows)
    shown = _drawn(rows)
    limit = max(abs(value) for value in rows["estimate"].to_list()) or 1.0
    unit = rows["unit"][0]
    panels = tuple(
        draw_panel(
            f"fig-heads-{metric}-{i}",
            panel.removesuffix(f" · {_drift_of(metric)}"),
            head_chart(panel=panel, n_layers=rows["layer"].n_unique(), limit=limit, unit=unit),
            data.datasets,
        )
        for i, panel in enumerate(shown, start=1)
    )
    n_found = rows.filter(pl.col("kind") == SUPPORTED).height
    left_out = f" Drawn: {len(shown)} of {len(every)} panels." if len(shown) < len(every) else ""
    what = f"{_drift_of(metric)} ({unit}): {question}"
    return Figure(
        figure_id=f"fig-heads-{metric}",
        title=f"Head by head: {what}",
        caption="Averaged over learning rates; a dot marks heads whose seed-level test is supported after "
        f"Benjamini–Hochberg over all heads of a data set ({n_found} of {rows.height:,}). The scale is centred at 0 "
        f"and the same in all panels.{left_out}",
        alternative=f"Maps of {what}, heads across, blocks down; {n_found} of {rows.height:,} heads are marked. "
        "The values are in the table below.",
        panels=panels,
        legend=(
            *scale_legend(limit, unit),
            LegendEntry(label=SUPPORTED, colour="var(--ink)", path=SHAPE_PATHS["circle"]),
        ),
        table=_table(rows, f"Heads: {what}, averaged over learning rates", level, heads=True),
    )


def _table(frame: pl.DataFrame, caption: str, level: str, *, heads: bool) -> Table:
    left_out = ""
    if heads:
        frame = frame.sort("p_bh", "panel", "layer", "head", nulls_last=True)
        if frame.height > SHOWN_TABLE:
            left_out = (
                f"; the {SHOWN_TABLE} of {frame.height:,} with the smallest adjusted p, all with heatdrift stats layers"
            )
            frame = frame.head(SHOWN_TABLE)
    columns = ("panel", "layer", *(("head",) if heads else ()), "estimate", "unit", "ci_low", "ci_high", "p_bh", "p_by",
               "n", "seeds")  # fmt: skip
    rows = []
    for row in frame.select(columns).iter_rows(named=True):
        place = (row["panel"], str(row["layer"]), *((str(row["head"]),) if heads else ()))
        rows.append(
            (*place, wording.signed(row["estimate"]), row["unit"], wording.interval(row["ci_low"], row["ci_high"]),
             wording.p_value(row["p_bh"]), wording.p_value(row["p_by"]), str(row["n"]), str(row["seeds"]))
        )  # fmt: skip
    heads_of = ("data set and metric", "block", *(("head",) if heads else ()), "estimate", "unit", level,
                "p (Benjamini–Hochberg)", "p (Benjamini–Yekutieli)", "n (runs)", "n (seeds)")  # fmt: skip
    command = f"{COMMAND} --format json"
    return text_table(caption + left_out, heads_of, rows, command=command, p=frame["p_bh"].fill_null(1.0).to_list())
