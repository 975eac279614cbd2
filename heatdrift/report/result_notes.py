"""Blocks of words that sections of results share: their sentences, what they left out, why there is none."""

from collections.abc import Sequence

from heatdrift.report.blocks import Block, Note, Pointer
from heatdrift.report.inputs import ReportInput
from heatdrift.wording import counted


def in_words(found: Sequence[str], target: str) -> list[Block]:
    """Return where on the page the sentences `found` stand with their caveats; nothing where there are none.

    They stand there only: a sentence read without the caveats beside it is how mistakes travel.
    """
    if not found:
        return []
    text = f"In words, with what speaks against it: {counted(len(found), 'sentence')} under Findings"
    return [Pointer(text=text, target=f"finding-{target}")]


def result_notes(left_out: Sequence[str]) -> list[Block]:
    """Return what a result left out."""
    if not left_out:
        return []
    return [Note(text=f"Left out: {'; '.join(left_out)}.", tone="plain")]


def missing_notes(inp: ReportInput, section: str, otherwise: str, shown: Sequence[Block]) -> list[Block]:
    """Return why something of a section could not be computed; `otherwise` where nothing is shown and no reason known."""  # noqa: E501
    reasons = [Note(text=f"Not computed. {text}", tone="missing") for text in inp.unavailable.get(section, ())]
    return list(reasons) if reasons or shown else [Note(text=otherwise, tone="missing")]
