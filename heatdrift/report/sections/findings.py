"""What the study found, with its caveats, and what it has not measured."""

from typing import Final

import polars as pl

from heatdrift.questions import QUESTIONS
from heatdrift.report.blocks import Block, Note, Section
from heatdrift.report.caveats import study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import frame_table

LEAD: Final = (
    "What these runs support after adjusting for everything that was asked, with what speaks against it next to it."
)


def findings(inp: ReportInput, data: StudyData) -> Section:
    """Return what the answers say, in their own sentences, and next to each the checks that were flagged."""
    blocks: list[Block] = []
    for question in QUESTIONS:
        if question.place is not None and question.name in inp.answers:
            blocks += question.section.headlines(inp.answers[question.name], data)
    lead = LEAD if blocks else ""
    if not blocks:
        blocks.append(
            Note(text="No model and no correlation was computed for this study, so nothing is claimed.", tone="missing")
        )
    blocks += [Note(text=text, tone="caveat") for text in study_caveats(inp)]
    return Section(section_id="findings", title="Findings", lead=lead, blocks=tuple(blocks))


def missing_cells(inp: ReportInput) -> Section:
    """Return every planned run that has no result, with its state and what is known of the reason."""
    grid = inp.grid.filter(pl.col("status").is_null() | (pl.col("status") != "done"))
    blocks: list[Block]
    if inp.grid.is_empty():
        blocks = [Note(text="Nothing was planned and nothing was run.", tone="missing")]
    elif grid.is_empty():
        known = "planned run" if inp.planned is not None else "recorded run"
        blocks = [Note(text=f"None: every {known} ({inp.grid.height:,}) has finished.")]
    else:
        heads = {
            "place": "data set",
            "method": "method",
            "lr": "learning rate",
            "seed": "seed",
            "status": "status",
            "error": "reason",
        }
        table = grid.with_columns(pl.col("seed").cast(pl.String)).sort("place", "method", "lr", "seed")
        blocks = [frame_table(table, "Planned runs without a result. Next: heatdrift train --all", heads=heads)]
    if inp.planned is None and not inp.grid.is_empty():
        blocks.append(Note(text="The plan of this study is not known, so only recorded runs can be counted."))
    return Section(
        section_id="missing",
        title="Missing and failed cells",
        lead="Planned runs that have no result, and why.",
        blocks=tuple(blocks),
    )
