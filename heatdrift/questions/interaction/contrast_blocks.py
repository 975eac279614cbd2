"""Figures and tables of an interaction model: contrasts of methods with their intervals, and marginal means."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from heatdrift import wording
from heatdrift.questions.interaction.result import Contrast, InteractionResult
from heatdrift.report.blocks import Block, Note, Table
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

SEEDS = "seed level, this row's own spread"
MODEL = "model, one variance for all rows"


def pair_label(row: Contrast) -> str:
    """Return `LoRA r=8 − Full FT`."""
    return wording.method_difference(row.method_a, row.method_b)


def contrast_label(row: Contrast) -> str:
    """Return `LoRA r=8 − Full FT, 1e-5`."""
    return f"{pair_label(row)}, {'all learning rates' if row.lr is None else wording.learning_rate(row.lr)}"


def contrast_figure(result: InteractionResult, data: StudyData, figure_id: str) -> tuple[Block, ...]:
    """Return the contrasts of an interaction model with their intervals, one panel per data set.

    First each contrast against its own spread over seeds: variances of cells differ a hundredfold and more in real
    studies, and an interval from one pooled variance then misses its level by far (docs/calibration.md). The model's
    interval is the second reading: where they differ, the model's variance is not that of the cell.
    """
    name = data.metric_title(result.metric)
    pairs = {(c.method_a, c.method_b) for c in result.contrasts}
    pair = pair_label(result.contrasts[0]) if len(pairs) == 1 else ""
    only = data.places[0] if len(data.places) == 1 else "all data sets"
    kinds = (SEEDS, MODEL) if result.robust_contrasts else (MODEL,)
    listed = [(SEEDS, c) for c in result.robust_contrasts] + [(MODEL, c) for c in result.contrasts]
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
    axis = (pair or "difference of methods", name, f"({wording.difference_unit(result.unit)}), {level}")
    forest = Forest(
        rows=rows,
        axes=dict.fromkeys(rows["panel"].unique().to_list(), axis),
        kinds=kinds,
        side_by_side=len(kinds) > 1,
        n_means="runs in the model",
        extras={"df": "df", "p_holm": "p (Holm)"},
        shared=True,
        label_limit=170 if pair else 260,
    )
    title = f"Difference of {name} between methods"
    seed_level = (
        f"Differences with the {level} of each row's own spread over seeds and, second, the model's, which pools the "
        "variances of all cells."
        if result.robust_contrasts
        else f"Contrasts of the model with {level}s."
    )
    figure = forest_figure(
        forest, data, figure_id,
        title=f"{title} at each learning rate",
        caption=f"{seed_level} No interval is adjusted for the number of rows; the table has p-values adjusted by "
        "Holm's method over all rows.",
        alternative=f"{title} with intervals, one row per learning rate, one panel per data set.",
        table=contrast_table(result, result.contrasts, f"Contrasts of {name}"),
    )  # fmt: skip
    return (figure or Note(text="The contrasts of this model have no estimate.", tone="missing"),)


def contrast_table(result: InteractionResult, contrasts: Sequence[Contrast], caption: str) -> Table:
    """Return differences of methods from a model, one row each, with their seed-level twins where there are any.

    p-values adjusted over the rows of this table are in a column that says over how many; one row needs none.
    """
    twins = {(c.dataset, c.lr, c.method_a, c.method_b): c for c in result.robust_contrasts}
    own = [twins.get((c.dataset, c.lr, c.method_a, c.method_b)) for c in contrasts]
    level, unit = wording.percent(result.conf_level), wording.difference_unit(result.unit)
    heads: tuple[str, ...] = ("data set", "contrast", f"estimate ({unit})")
    rows: list[tuple[str, ...]] = [
        (c.dataset or "all", contrast_label(c), wording.number(c.estimate)) for c in contrasts
    ]
    if any(own):
        family = wording.holm_head(twin.p for twin in own if twin is not None)
        heads += (f"seed-level {level} interval", "seed-level df", f"seed-level {family}")
        rows = [(*row, *_seed_level(twin)) for row, twin in zip(rows, own, strict=True)]
    model = "model's " if any(own) else ""
    heads += (
        f"{model}SE", f"{model}{level} interval", f"{model}df", "method of df", f"{model}t", f"{model}p",
        f"{model}{wording.holm_head(c.p for c in contrasts)}",
    )  # fmt: skip
    rows = [
        (
            *row, wording.number(c.se), wording.interval(c.ci_low, c.ci_high), wording.degrees(c.df),
            c.df_method.replace("_", "-"), wording.number(c.t), wording.p_value(c.p), wording.p_value(c.p_holm),
        )
        for row, c in zip(rows, contrasts, strict=True)
    ]  # fmt: skip
    if len(contrasts) == 1:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    shown = [c.p_holm if twin is None else twin.p_holm for c, twin in zip(contrasts, own, strict=True)]
    return text_table(caption, heads, rows, text_columns=2, command=model_command(result), p=shown)


def model_command(result: InteractionResult) -> str:
    """Return the command that prints this model whole."""
    coding = "" if result.lr_as == "factor" else f" --lr-as {result.lr_as}"
    return f"heatdrift stats interaction --metric {result.metric}{coding} --format json"


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
            wording.NOT_MEASURED if m.method is None else wording.method_title(m.method),
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
    table = text_table(f"Marginal means of {name}", heads, rows, text_columns=3, command=model_command(result))
    return replace(table, folded=True)
