"""The page of `heatdrift compare`: differences of two studies over their common cells, and what they differ in."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from heatdrift import wording
from heatdrift.questions.compare.result import StudyCell, StudyComparison, StudyDifferenceRow
from heatdrift.report.blocks import Block, Finding, Note, Section, Table
from heatdrift.report.document import Document
from heatdrift.report.forest import Forest, forest_figure, level_words
from heatdrift.report.index import PageFacts
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData, prepare
from heatdrift.report.tables import text_table

FIGURE: Final = "fig-differences"
_KINDS: Final = {True: "paired by seed", False: "two independent means"}
_STATE: Final = {True: "same", False: "different", None: "not known on one side"}


def compare_document(result: StudyComparison) -> Document:
    """Return the page of a comparison of two studies; equal results give equal pages."""
    data = prepare(ReportInput(study=result.study_a))  # no runs of its own: the figure adds its rows to it
    sections = (_facts(result), _findings(result), _differences(result, data), _missing(result), _method(result))
    return Document(
        title=f"{result.study_a} against {result.study_b}",
        description=f"Differences are {result.study_a} minus {result.study_b}, over "
        f"{wording.counted(result.n_cells, 'common cell')}.",
        eyebrow="heatdrift comparison",
        sections=sections,
        datasets={name: frame for name, frame in data.datasets.items() if frame.height},
        facts=PageFacts(
            title=f"{result.study_a} against {result.study_b}",
            n_runs=result.n_runs_a + result.n_runs_b,
            kind="comparison",
        ),
    )


def _cell_label(row: StudyDifferenceRow, *, backbone: bool) -> str:
    parts = [row.dataset or "", wording.method_title(row.method or ""), wording.learning_rate(row.lr)]
    return " · ".join([*([row.backbone] if backbone and row.backbone else []), *parts])


def _findings(result: StudyComparison) -> Section:
    found = Finding(
        title="Averaged over the common cells",
        sentences=tuple(wording.capital(text) for text in result.findings),
        shown=max(1, len(result.findings)),
    )
    notes = [Note(text=f"Left out: {text}.", tone="missing") for text in result.left_out]
    return Section(section_id="findings", title="Findings", blocks=(found, *notes))


def _differences(result: StudyComparison, data: StudyData) -> Section:
    """One panel per metric, one row per common cell; the table alone where no cell has a number."""
    table = _difference_table(result)
    level = level_words(result.conf_level)
    cells = [row for row in result.rows if row.dataset is not None]
    several = len({row.backbone for row in cells}) > 1
    rows = pl.DataFrame(
        [
            {
                "panel": result.title(row.metric), "row": _cell_label(row, backbone=several),
                "kind": _KINDS[row.n_pairs == row.n_a],
                "estimate": row.difference, "ci_low": row.ci_low, "ci_high": row.ci_high, "df": row.df,
                "n": row.n_pairs if row.how == "paired" else row.n_a + row.n_b, "p_holm": row.p_holm,
            }
            for row in cells
        ],
        infer_schema_length=None,
    ).with_columns(pl.selectors.float().fill_nan(None))  # fmt: skip
    pair = f"{result.study_a} {wording.MINUS} {result.study_b}"
    axes = {
        result.title(row.metric): (pair if len(pair) < 60 else "first minus second study", f"({row.unit}), {level}")
        for row in cells
    }
    forest = Forest(
        rows=rows,
        axes=axes,
        kinds=tuple(kind for kind in _KINDS.values() if kind in rows["kind"].to_list()),
        n_means="pairs, or runs of both where not paired",
        extras={"df": "df", "p_holm": "p (Holm)"},
        label_limit=220,
    )
    figure = forest_figure(
        forest,
        data,
        FIGURE,
        title="Difference in each common cell",
        caption=f"{wording.capital(level)}s are of differences within seeds where seeds are paired, else of "
        "two means (Welch), and are not adjusted for the number of cells; the table gives p-values with Holm's "
        "adjustment.",
        alternative=f"Differences of {result.study_a} and {result.study_b} with intervals, one row per cell, one panel "
        "per metric.",
        table=table,
    )
    return Section(section_id="differences", title="Differences", blocks=(table if figure is None else figure,))


def _difference_table(result: StudyComparison) -> Table:
    rows = [
        (
            result.title(row.metric), row.dataset or "all", wording.method_title(row.method) if row.method else "all",
            wording.learning_rate(row.lr), row.how, row.used, row.unused or wording.NOT_MEASURED,
            wording.number(row.mean_a, 4), wording.number(row.mean_b, 4),
            f"{wording.number(row.difference)} {row.unit}", wording.interval(row.ci_low, row.ci_high),
            wording.degrees(row.df), wording.p_value(row.p), wording.p_value(row.p_holm),
        )
        for row in result.rows
    ]  # fmt: skip
    heads = (
        "metric", "data set", "method", "learning rate", "by", "n", "unused", f"mean of {result.study_a}",
        f"mean of {result.study_b}", "difference", f"{wording.percent(result.conf_level)} interval", "df", "p",
        f"p ({_families(result.rows)})",
    )  # fmt: skip
    return text_table(f"{result.study_a} minus {result.study_b}, cell by cell", heads, rows, text_columns=5)


def _families(rows: Sequence[StudyDifferenceRow]) -> str:
    """Return over what Holm's adjustment runs: `Holm over 64 cells, over 4 averages`."""
    tested = [row for row in rows if not math.isnan(row.p)]
    averages = sum(row.dataset is None for row in tested)
    return f"Holm over {wording.counted(len(tested) - averages, 'cell')}, over {wording.counted(averages, 'average')}"


def _facts(result: StudyComparison) -> Section:
    """Caveats, what is paired, what differs and decides results; folded: the rest that differs, and what is the same.

    It comes before any number, because it says what a number is worth.
    """
    blocks: list[Block] = [Note(text=text, tone="caveat") for text in result.caveats]
    blocks += [Note(text=row.sentence) for row in result.pairing]
    decides = [fact for fact in result.facts if fact.decides and fact.same is not True]
    others = [fact for fact in result.facts if not fact.decides and fact.same is not True]
    for caption, facts, folded in (
        ("Differs or is not known, and decides results", sorted(decides, key=lambda fact: fact.same is None), False),
        (
            "Differs or is not known, and decides nothing",
            sorted(others, key=lambda fact: fact.same is None),
            True,
        ),
        ("Is the same", [fact for fact in result.facts if fact.same], True),
    ):
        rows = [
            (
                fact.words,
                _STATE[fact.same],
                fact.a or wording.NOT_MEASURED,
                fact.b or wording.NOT_MEASURED,
            )
            for fact in facts
        ]
        if rows:
            table = text_table(caption, ("what", "verdict", result.study_a, result.study_b), rows, text_columns=4)
            blocks.append(replace(table, folded=folded))
    if not result.facts:
        blocks.append(Note(text="Neither study says anything about protocol, data or versions.", tone="missing"))
    return Section(section_id="facts", title="What is compared", blocks=tuple(blocks))


def _missing(result: StudyComparison) -> Section:
    blocks: list[Block] = []
    for name, other, cells in (
        (result.study_a, result.study_b, result.missing_a),
        (result.study_b, result.study_a, result.missing_b),
    ):
        if cells:
            blocks.append(_cells_table(f"Cells of {other} that {name} does not have", cells))
    if not blocks:
        blocks.append(Note(text="Both studies have finished runs of the same cells."))
    return Section(section_id="missing", title="Cells on one side only", blocks=tuple(blocks))


def _cells_table(caption: str, cells: Sequence[StudyCell]) -> Table:
    rows = [
        (cell.backbone or wording.NOT_MEASURED, cell.dataset, wording.method_title(cell.method),
         wording.learning_rate(cell.lr), str(cell.n_seeds))
        for cell in cells
    ]  # fmt: skip
    return text_table(caption, ("backbone", "data set", "method", "learning rate", "n (seeds)"), rows, text_columns=3)


def _method(result: StudyComparison) -> Section:
    counted = (
        f"{wording.counted(result.n_runs_a, 'run')} of {result.study_a} and "
        f"{wording.counted(result.n_runs_b, 'run')} of {result.study_b} in "
        f"{wording.counted(result.n_cells, 'common cell')}, {wording.counted(result.n_pairs, 'pair')} of one seed."
    )
    return Section(
        section_id="methods",
        title="Methods",
        blocks=(Note(text=f"{wording.capital(result.method)}."), Note(text=counted)),
    )
