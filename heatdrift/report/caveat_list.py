"""The caveats of a page, each once: findings name them by number, one list holds them, a line each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heatdrift.report.blocks import CaveatList, Finding, Section
from heatdrift.wording import gist

SECTION: Final = "caveats"


def gathered(sections: Sequence[Section], after: str) -> tuple[Section, ...]:
    """Return the sections with the caveats of their findings in one list, a section after that named `after`.

    Equal texts are one caveat; numbers count from 1 in reading order. Without any caveat nothing changes.
    """
    about: dict[str, list[str]] = {}
    found = []
    for section in sections:
        blocks = tuple(_numbered(b, about) if isinstance(b, Finding) else b for b in section.blocks)
        found.append(replace(section, blocks=blocks))
    if not about:
        return tuple(sections)
    items = tuple((*gist(text), tuple(dict.fromkeys(titles))) for text, titles in about.items())
    listed = Section(
        section_id=SECTION,
        title="Before you believe it",
        lead="What limits the findings, each once; a finding names those that are about it by number.",
        blocks=(CaveatList(items=items),),
    )
    place = next((i for i, s in enumerate(found, start=1) if s.section_id == after), len(found))
    return (*found[:place], listed, *found[place:])


def _numbered(finding: Finding, about: dict[str, list[str]]) -> Finding:
    for text in finding.caveats:
        about.setdefault(text, []).append(finding.title)
    order = list(about)
    numbers = sorted({order.index(text) + 1 for text in finding.caveats})
    return replace(finding, caveats=(), caveat_numbers=tuple(numbers))
