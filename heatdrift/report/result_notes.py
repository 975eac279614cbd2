"""Blocks of words that sections of results share: their sentences, what they left out, why there is none."""

from collections.abc import Sequence
from dataclasses import replace

from heatdrift.questions.answer import Answer
from heatdrift.questions.outcomes import Family
from heatdrift.report.blocks import Block, Finding, Note, Pointer
from heatdrift.report.inputs import ReportInput
from heatdrift.wording import counted


def headline(finding: Finding, answer: Answer, family: Family) -> Finding:
    """Return `finding` with what may be said of an answer: claims that hold over the page, descriptions and notes."""
    return replace(
        finding,
        sentences=family.sentences(answer),
        descriptions=answer.descriptions,
        notes=answer.notes,
        caveats=finding.caveats or answer.caveats,
    )


def headlines_of(title: str, section: str, answers: Sequence[Answer], command: str, family: Family) -> list[Finding]:
    """Return the headline of each answer that has anything to say; the first carries the anchor of the section."""
    empty = Finding(title=title, sentences=(), section_id=section, command=command)
    found = [headline(empty, answer, family) for answer in answers]
    spoken = [finding for finding in found if has_words(finding)]
    return [replace(f, finding_id=f"finding-{section}" if i == 0 else "") for i, f in enumerate(spoken)]


def has_words(finding: Finding) -> bool:
    """Whether a headline says anything."""
    return bool(finding.sentences or finding.descriptions or finding.notes)


def in_words(family: Family, answers: Sequence[Answer], target: str) -> list[Block]:
    """Return where on the page the sentences of `answers` are with their caveats; nothing where there are none.

    They are there only: a sentence read without its caveats is how mistakes travel.
    """
    n = sum(len((*family.sentences(a), *a.descriptions, *a.notes)) for a in answers)
    if not n:
        return []
    text = f"In words, with what speaks against it: {counted(n, 'sentence')} under Also seen"
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
