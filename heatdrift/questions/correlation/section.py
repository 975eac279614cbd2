"""A correlation drawn with its groups and its pooled line, so named, and its table."""

from collections.abc import Sequence
from functools import partial

import polars as pl

from heatdrift import wording
from heatdrift.questions.correlation import scatter
from heatdrift.questions.correlation.result import Association, CorrelationResult
from heatdrift.report.blocks import Block, Figure, Finding, LegendEntry, Note, Table
from heatdrift.report.drawing import draw_panel
from heatdrift.report.figures import method_legend
from heatdrift.report.inputs import ReportInput
from heatdrift.report.one_figure import figure_or_note
from heatdrift.report.result_notes import in_words
from heatdrift.report.study_data import FLOOR, StudyData, has_values
from heatdrift.report.summaries import line_ends, padded_extent
from heatdrift.report.tables import text_table

POOLED_WARNING = "pooled over groups"
SPOKEN = 12  # groups that a text alternative names


def blocks(answers: Sequence[CorrelationResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return every correlation: the scatter with its groups, and the table of associations."""
    found: list[Block] = []
    for i, result in enumerate(answers, start=1):
        draw = partial(correlation_figure, result, data, f"fig-correlation-{i}")
        found += figure_or_note(f"{result.y} against {result.x}", draw, data.datasets)
        found += in_words(data.family, [result], f"correlation-{i}")
    return found


def headlines(answers: Sequence[CorrelationResult], data: StudyData) -> list[Finding]:
    """Return what each correlation supports, with the groups that speak against it."""
    return [_headline(result, data, i) for i, result in enumerate(answers, start=1)]


def _headline(result: CorrelationResult, data: StudyData, i: int) -> Finding:
    caveats = list(result.caveats)
    if result.sign_reversal:
        within = ", ".join(f"{group_label(name)} {wording.number(a.pearson)}" for name, a in result.by_group.items())
        if len(result.by_group) > SPOKEN:
            below = sum(a.pearson < 0 for a in result.by_group.values())
            within = f"below 0 in {below} of {len(result.by_group)}"
        pooled = wording.number(result.pooled.pearson)
        caveats.append(f"The sign differs between groups: pooled r = {pooled}; within groups: {within}.")
    if result.left_out:
        caveats.append(f"Left out of the correlation: {wording.listed(list(result.left_out))}.")
    title = f"{wording.capital(data.metric_title(result.y))} against {data.metric_title(result.x)}"
    size = f"{wording.counted(result.pooled.n, 'run')} in {wording.counted(result.pooled.n_cells, 'cell')}"
    defined = result.pooled.pearson == result.pooled.pearson  # NaN where runs are too few or do not vary
    silent = (
        "Nothing beyond the primary questions is supported" if defined else "No correlation is defined for these runs"
    )
    return Finding(
        title=title,
        sentences=data.family.sentences(result) or (f"{silent} ({size}).",),
        descriptions=result.descriptions,
        notes=result.notes,
        caveats=tuple(caveats),
        finding_id=f"finding-correlation-{i}",
        section_id="correlation",
        command=_command(result),
    )


def _command(result: CorrelationResult) -> str:
    return f"heatdrift stats correlation --x {result.x} --y {result.y}"


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
    every = sorted(pairs["place"].unique().to_list())
    places = [place for place in every if place in data.drawn] or every[:1]
    left_out = f" Drawn: {len(places)} of {len(every)} data sets." if len(places) < len(every) else ""
    name, points = f"{figure_id}-lines", f"{figure_id}-runs"
    data.datasets[name] = _lines(result, data)
    data.datasets[points] = data.points([result.x, result.y]).drop("lr_shown", "lr_beside")
    a = result.pooled
    panels = []
    for i, place in enumerate(places, start=1):
        chart = scatter.correlation(
            data.frame,
            place=place,
            others=[other for other in places if other != place],
            x=result.x,
            y=result.y,
            titles=(data.axis_title(result.x), data.axis_title(result.y)),
            domains=(
                padded_extent(pairs[result.x], floor=FLOOR.get(result.x)),
                padded_extent(pairs[result.y], floor=FLOOR.get(result.y)),
            ),
            pooled="pooled",
            rising=not a.pearson < 0,
            lines=name,
            points=points,
        )
        panels.append(draw_panel(f"{figure_id}-{i}", place, chart, data.datasets))
    lines = (
        LegendEntry(
            label=f"pooled line over all groups (r = {wording.number(a.pearson)}, n = {a.n})",
            colour="var(--ink)",
            look="dashes",
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
        "line is least squares over all runs and mixes differences between groups with what happens inside them."
        + left_out,
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
    pooled = f"pooled r = {wording.number(result.pooled.pearson)} over {wording.counted(result.pooled.n, 'run')}"
    groups = [f"within {group_label(name)} {wording.number(a.pearson)}" for name, a in result.by_group.items()]
    if len(groups) > SPOKEN:
        below = sum(a.pearson < 0 for a in result.by_group.values())
        groups = [f"within groups below 0 in {below} of {len(groups)}, in the table below"]
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
    return text_table(caption, heads, rows, text_columns=2, command=f"{_command(result)} --format json")


def _association(name: str, what: str, a: Association) -> tuple[str, ...]:
    values = (wording.number(a.pearson), wording.interval(a.ci_low, a.ci_high), wording.number(a.spearman))
    return (name, what, str(a.n), str(a.n_cells), *values, wording.p_value(a.p_permutation))


def group_label(name: str) -> str:
    """Return `eurosat · Full FT` for the group `eurosat/full_ft`."""
    dataset, _, method = name.rpartition("/")
    return f"{dataset} · {wording.method_title(method)}" if dataset else name
