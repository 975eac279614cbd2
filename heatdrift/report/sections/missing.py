"""What was planned and has no result."""

import polars as pl

from heatdrift.report.blocks import Block, Note, Section
from heatdrift.report.inputs import ReportInput
from heatdrift.report.tables import frame_table


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
