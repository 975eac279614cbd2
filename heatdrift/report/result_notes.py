"""Blocks of words that sections of results share: their sentences, what they left out, why there is none."""

from collections.abc import Sequence
from typing import Protocol

from heatdrift.report.blocks import Block, Finding, Note, Pointer
from heatdrift.report.inputs import ReportInput
from heatdrift.wording import counted


class _Told(Protocol):
    """What a headline needs of an answer."""

    @property
    def findings(self) -> tuple[str, ...]: ...
    @property
    def caveats(self) -> tuple[str, ...]: ...


def headline(title: str, section: str, answers: Sequence[_Told], command: str) -> list[Finding]:
    """Return the sentences of each answer with its caveats, for the first section of the page."""
    return [
        Finding(title=title, sentences=answer.findings, caveats=answer.caveats, finding_id=f"finding-{section}",
                section_id=section, command=command)
        for answer in answers
        if answer.findings
    ]  # fmt: skip


def in_words(found: Sequence[str], target: str) -> list[Block]:
    """Return where on the page the sentences `found` are with their caveats; nothing where there are none.

    They are there only: a sentence read without its caveats is how mistakes travel.
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


def missing_notes(inp: ReportInput, question: str, otherwise: str, shown: Sequence[Block]) -> list[Block]:
    """Return why an answer is missing; `otherwise` where nothing is shown and no reason is known."""
    reasons = [Note(text=f"Not computed. {text}", tone="missing") for text in inp.unavailable.get(question, ())]
    return list(reasons) if reasons or shown else [Note(text=otherwise, tone="missing")]
