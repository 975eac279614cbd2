"""What the study found, with the caveats beside it, and what it has not measured."""

import polars as pl

from heatdrift.report import wording
from heatdrift.report.blocks import Block, Finding, Note, Section, frame_table
from heatdrift.report.caveats import singular_caveats, study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_figures import group_label, metric_title


def findings(inp: ReportInput) -> Section:
    """Return what the results say, in their own sentences, and beside each the checks that were flagged."""
    blocks: list[Block] = []
    for result in inp.interactions:
        caveats = [check.sentence for check in result.checks if check.flag and check.name != "singular"]
        caveats += singular_caveats(result)
        if result.left_out:
            caveats.append(f"Left out of the model: {wording.listed(list(result.left_out))}.")
        if result.n_dropped:
            caveats.append(f"{wording.counted(result.n_dropped, 'run')} left out for want of a value.")
        title = wording.capital(metric_title(result.metric))
        blocks.append(
            Finding(title=title, sentences=result.findings or ("The model gives no finding.",), caveats=tuple(caveats))
        )
    for association in inp.correlations:
        caveats = []
        if association.sign_reversal:
            within = ", ".join(
                f"{group_label(name)} {wording.number(a.pearson, 2)}" for name, a in association.by_group.items()
            )
            pooled = wording.number(association.pooled.pearson, 2)
            caveats.append(f"The sign differs between groups: pooled r = {pooled}; within groups: {within}.")
        if association.left_out:
            caveats.append(f"Left out of the correlation: {wording.listed(list(association.left_out))}.")
        title = f"{wording.capital(metric_title(association.y))} against {metric_title(association.x)}"
        blocks.append(
            Finding(
                title=title,
                sentences=association.findings or ("The correlation gives no finding.",),
                caveats=tuple(caveats),
            )
        )
    if not blocks:
        blocks.append(
            Note(text="No model and no correlation was computed for this study, so nothing is claimed.", tone="missing")
        )
    blocks += [Note(text=text, tone="caveat") for text in study_caveats(inp)]
    return Section(section_id="findings", title="Findings", blocks=tuple(blocks))


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
    return Section(section_id="missing", title="Missing and failed cells", blocks=tuple(blocks))
