"""Blocks of words that sections of results share: their sentences, what they left out, why there is none."""

from collections.abc import Sequence

from heatdrift.report.blocks import Block, Note, Sentences
from heatdrift.report.inputs import ReportInput


def sentences(found: Sequence[str]) -> list[Block]:
    """Return what a result says, as a list; nothing where it says nothing."""
    return [Sentences(title="In words", texts=tuple(found))] if found else []


def result_notes(left_out: Sequence[str]) -> list[Block]:
    """Return what a result left out."""
    if not left_out:
        return []
    return [Note(text=f"Left out: {'; '.join(left_out)}.", tone="missing")]


def missing_notes(inp: ReportInput, section: str, otherwise: str, shown: Sequence[Block]) -> list[Block]:
    """Return why something of a section could not be computed; `otherwise` where nothing is shown and no reason known."""  # noqa: E501
    reasons = [Note(text=f"Not computed. {text}", tone="missing") for text in inp.unavailable.get(section, ())]
    return list(reasons) if reasons or shown else [Note(text=otherwise, tone="missing")]
