"""What the study found, with its caveats."""

from typing import Final

from heatdrift.questions import QUESTIONS
from heatdrift.report.blocks import Block, Note, Section
from heatdrift.report.caveats import study_caveats
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData

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
