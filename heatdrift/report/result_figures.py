"""Figures of what was tested: contrasts with their intervals, and a correlation with its groups and its pooled line."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from heatdrift.report import result_charts, wording
from heatdrift.report.blocks import Block, Figure, LegendEntry, Note, Table, text_table
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import method_legend
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.study_data import StudyData, has_values
from heatdrift.report.summaries import line_ends, padded_extent
from heatdrift.report.theme import method_title
from heatdrift.results import Association, Contrast, CorrelationResult, InteractionResult

POOLED_WARNING = "pooled over groups"
MODEL = "model"
SEEDS = "seed level, this row's own spread"


def pair_label(row: Contrast) -> str:
    """Return `LoRA r=8 − Full FT`."""
    return f"{method_title(row.method_a)} {wording.MINUS} {method_title(row.method_b)}"


def contrast_label(row: Contrast) -> str:
    """Return `LoRA r=8 − Full FT, 1e-5`."""
    return f"{pair_label(row)}, {'all learning rates' if row.lr is None else wording.learning_rate(row.lr)}"


def contrast_figure(result: InteractionResult, data: StudyData, figure_id: str) -> tuple[Block, ...]:
    """Return the contrasts of an interaction model with their intervals, one panel per data set.

    Beside the model's interval stands, where the result has it, the one of each contrast against its own spread over
    seeds: where they differ, the model's variance is not that of the cell.
    """
    name = data.metric_title(result.metric)
    pairs = {(c.method_a, c.method_b) for c in result.contrasts}
    pair = pair_label(result.contrasts[0]) if len(pairs) == 1 else ""
    only = data.places[0] if len(data.places) == 1 else "all data sets"
    kinds = (MODEL, SEEDS) if result.robust_contrasts else (MODEL,)
    listed = [(MODEL, c) for c in result.contrasts] + [(SEEDS, c) for c in result.robust_contrasts]
    rows = pl.DataFrame(
        [
            {
                "panel": c.dataset or only,
                "row": wording.learning_rate(c.lr) if pair else contrast_label(c),
                "kind": kind,
                "estimate": c.estimate,
                "ci_low": c.ci_low,
                "ci_high": c.ci_high,
                "n": result.n_runs,
                "df": c.df,
                "p_holm": c.p_holm,
            }
            for kind, c in listed
        ],
        infer_schema_length=None,
    )
    if rows.is_empty():
        return (Note(text="The model has no contrasts of two methods.", tone="missing"),)
    level = level_words(result.conf_level)
    axis = (pair or "difference of methods", name, f"({result.unit}), {level}")
    forest = Forest(
        rows=rows,
        axes=dict.fromkeys(rows["panel"].unique().to_list(), axis),
        kinds=kinds,
        beside=len(kinds) > 1,
        n_means="runs in the model",
        extras={"df": "df", "p_holm": "p (Holm)"},
        shared=True,
    )
    title = f"Difference of {name} between methods"
    seed_level = " The table has the seed-level test of each row too." if result.robust_contrasts else ""
    figure = forest_figure(
        forest, data, figure_id,
        title=f"{title} at each learning rate",
        caption=f"Contrasts of the model with {level}s that are not adjusted for the number of rows; the table gives "
        f"p-values with and without Holm's adjustment over all rows.{seed_level}",
        alternative=f"{title} with intervals, one row per learning rate, one panel per data set.",
        table=contrast_table(result, result.contrasts, f"Contrasts of {name}"),
    )  # fmt: skip
    return (figure or Note(text="The contrasts of this model have no estimate.", tone="missing"),)


def contrast_table(result: InteractionResult, contrasts: Sequence[Contrast], caption: str) -> Table:
    """Return differences of methods from a model, one row each, beside their seed-level twins where there are any."""
    twins = {(c.dataset, c.lr, c.method_a, c.method_b): c for c in result.robust_contrasts}
    beside = [twins.get((c.dataset, c.lr, c.method_a, c.method_b)) for c in contrasts]
    rows: list[tuple[str, ...]] = [
        (
            c.dataset or wording.NOT_MEASURED, contrast_label(c), wording.number(c.estimate), wording.number(c.se),
            wording.interval(c.ci_low, c.ci_high), wording.degrees(c.df), wording.number(c.t), wording.p_value(c.p),
            wording.p_value(c.p_holm), c.df_method.replace("_", "-"),
        )
        for c in contrasts
    ]  # fmt: skip
    level = wording.percent(result.conf_level)
    heads: tuple[str, ...] = (
        "data set",
        "contrast",
        f"estimate ({result.unit})",
        "SE",
        f"{level} interval",
        "df",
        "t",
        "p",
        "p (Holm)",
        "df by",
    )
    if any(beside):
        heads += (f"seed-level {level} interval", "seed-level df", "seed-level p (Holm)")
        rows = [(*row, *_seed_level(twin)) for row, twin in zip(rows, beside, strict=True)]
    return text_table(caption, heads, rows, text_columns=2)


def _seed_level(twin: Contrast | None) -> tuple[str, str, str]:
    """Return interval, df and p of the contrast tested against its own spread over seeds."""
    if twin is None:
        return (wording.NOT_MEASURED,) * 3
    return wording.interval(twin.ci_low, twin.ci_high), wording.degrees(twin.df), wording.p_value(twin.p_holm)


def means_table(result: InteractionResult, name: str) -> Table:
    """Return the model's marginal mean of every cell, folded."""
    rows = [
        (
            m.dataset or wording.NOT_MEASURED,
            wording.NOT_MEASURED if m.method is None else method_title(m.method),
            wording.learning_rate(m.lr),
            wording.number(m.mean),
            wording.number(m.se),
            wording.interval(m.ci_low, m.ci_high),
            wording.degrees(m.df),
        )
        for m in result.marginal_means
    ]
    level = wording.percent(result.conf_level)
    heads = ("data set", "method", "learning rate", f"mean ({result.unit})", "SE", f"{level} interval", "df")
    table = text_table(f"Marginal means of {name}", heads, rows, text_columns=3)
    return replace(table, folded=True)


def correlation_figure(result: CorrelationResult, data: StudyData, figure_id: str) -> tuple[Block, ...]:
    """Return y against x with a line per group and the pooled line, one panel per place, and their table."""
    title = f"{wording.capital(data.metric_title(result.y))} against {data.metric_title(result.x)}"
    table = association_table(result, data)
    absent = [m for m in (result.x, result.y) if not has_values(data.runs, m)]
    if absent:
        names = wording.listed([data.axis_title(m) for m in absent])
        return (
            Note(text=f"No scatter of {title}. Not measured: {names}.", tone="missing"),
            table,
        )
    pairs = data.runs.drop_nulls([result.x, result.y])
    if pairs.is_empty():
        return (Note(text=f"No scatter of {title}: no run has both values.", tone="missing"), table)
    places = sorted(pairs["place"].unique().to_list())
    name = f"{figure_id}-lines"
    data.datasets[name] = _lines(result, data)
    a = result.pooled
    pooled = f"pooled, r = {wording.number(a.pearson, 2)}, n = {a.n}"
    panels = []
    for i, place in enumerate(places, start=1):
        chart = result_charts.correlation(
            data.frame,
            place=place,
            others=[other for other in places if other != place],
            x=result.x,
            y=result.y,
            titles=(data.axis_title(result.x), data.axis_title(result.y)),
            domains=(padded_extent(pairs[result.x]), padded_extent(pairs[result.y])),
            pooled=pooled,
            rising=not a.pearson < 0,
            lines=name,
            points="runs",
        )
        panels.append(draw_panel(f"{figure_id}-{i}", place, chart, data.datasets))
    lines = (
        LegendEntry(
            label=f"pooled line over all groups (r = {wording.number(a.pearson, 2)})",
            colour="var(--ink)",
            look="dashed",
        ),
        *(
            (LegendEntry(label="runs of the other panels", colour="var(--ghost)", look="swatch"),)
            if len(panels) > 1
            else ()
        ),
    )
    figure = Figure(
        figure_id=figure_id,
        title=title,
        caption=("Each point is one run" if data.single_runs else "Each point is one cell, the mean of its seeds")
        + " at the selected epoch. Solid lines are least squares within a group (data set and method); the dashed "
        "line is least squares over all runs and mixes differences between groups with what happens inside them.",
        alternative=f"Scatter of {title}: {_spoken(result)}.",
        panels=tuple(panels),
        legend=(*method_legend(data), *lines),
        table=table,
        columns=2,
    )
    return (figure,)


def _lines(result: CorrelationResult, data: StudyData) -> pl.DataFrame:
    """Two ends of the least-squares line of each group and of all runs together."""
    runs = data.runs
    parts = []
    for (place, method), group in runs.group_by("place", "method", maintain_order=True):
        ends = line_ends(group[result.x], group[result.y])
        if ends is not None:
            parts.append(ends.with_columns(kind=pl.lit("group"), place=pl.lit(str(place)), method=pl.lit(str(method))))
    ends = line_ends(runs[result.x], runs[result.y])
    if ends is not None:
        parts.append(ends.with_columns(kind=pl.lit("pooled"), place=pl.lit(""), method=pl.lit("")))
    schema = {"x": pl.Float64, "y": pl.Float64, "kind": pl.String, "place": pl.String, "method": pl.String}
    lines = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    return lines.with_columns(end=pl.int_range(pl.len()) % 2)


def _spoken(result: CorrelationResult) -> str:
    """Return the coefficients as one sentence without its full stop."""
    pooled = f"pooled r = {wording.number(result.pooled.pearson, 2)} over {wording.counted(result.pooled.n, 'run')}"
    groups = [f"within {group_label(name)} {wording.number(a.pearson, 2)}" for name, a in result.by_group.items()]
    return "; ".join([pooled, *groups])


def association_table(result: CorrelationResult, data: StudyData) -> Table:
    """Return the association pooled, within data set, within group, repeated-measures and partial, one row each."""
    rows = [_association("all runs", POOLED_WARNING, result.pooled)]
    rows += [_association(name, "within data set", a) for name, a in result.by_dataset.items()]
    rows += [_association(group_label(name), "within group", a) for name, a in result.by_group.items()]
    if result.rmcorr is not None:
        rows.append(_association("all runs", "repeated measures", result.rmcorr))
    if result.partial is not None:
        rows.append(_association("all runs", "partial, given learning rate", result.partial))
    level = wording.percent(result.pooled.conf_level)
    resampled = f", B = {result.bootstrap:,}, seed {result.bootstrap_seed}"
    caption = (
        f"{wording.capital(data.metric_title(result.x))} and {data.metric_title(result.y)}. "
        f"Intervals: {result.pooled.ci_method}{'' if 'B =' in result.pooled.ci_method else resampled}. "
        f"p of all runs: {result.pooled.permutation}. "
        f"{wording.counted(result.n_dropped, 'run')} left out for want of a value."
    )
    heads = ("runs", "what", "n", "cells", "Pearson r", f"{level} interval", "Spearman ρ", "p (permutation)")
    return text_table(caption, heads, rows, text_columns=2)


def _association(name: str, what: str, a: Association) -> tuple[str, ...]:
    values = (wording.number(a.pearson, 2), wording.interval(a.ci_low, a.ci_high), wording.number(a.spearman, 2))
    return (name, what, str(a.n), str(a.n_cells), *values, wording.p_value(a.p_permutation))


def group_label(name: str) -> str:
    """Return `eurosat · Full FT` for the group `eurosat/full_ft`."""
    dataset, _, method = name.rpartition("/")
    return f"{dataset} · {method_title(method)}" if dataset else name
