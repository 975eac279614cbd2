"""Parts of a page: what a paper or a talk needs of it, or one section alone; links to what is left out go with it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from heatdrift.errors import UnknownNameError
from heatdrift.report.blocks import Block, Finding, Pointer
from heatdrift.report.document import Document

FULL: Final = "full"
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {  # name -> ids of sections; none = all
    FULL: (),
    "paper": (
        "findings", "decision", "caveats", "frontier", "dose", "models", "paired", "kept", "best", "methods",
        "paragraph", "provenance", "cite",
    ),
    "talk": ("findings", "decision", "frontier", "caveats", "gallery"),
}  # fmt: skip


def check_template(template: str) -> None:
    """Refuse a template that there is not."""
    if template not in TEMPLATES:
        raise UnknownNameError("template", template, TEMPLATES)


def templated(document: Document, template: str) -> Document:
    """Return the sections of a template, in the page's order; UnknownNameError where there is no such template."""
    check_template(template)
    return document if template == FULL else only(document, TEMPLATES[template])


def one_section(document: Document, section: str) -> Document:
    """Return one section alone, by its id; UnknownNameError where the page has none of that name."""
    known = [each.section_id for each in document.sections]
    if section not in known:
        raise UnknownNameError("section", section, known, where=f"the page of {document.title}")
    return only(document, [section])


def only(document: Document, kept: Iterable[str]) -> Document:
    """Return the document with the sections `kept`; what pointed to others points nowhere."""
    wanted = set(kept)
    sections = tuple(s for s in document.sections if s.section_id in wanted)
    places = {s.section_id for s in sections}
    for section in sections:
        for block in section.all_blocks:
            places |= {str(getattr(block, name)) for name in ("finding_id", "figure_id") if hasattr(block, name)}

    def unlinked(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        found: list[Block] = []
        for block in blocks:
            if isinstance(block, Pointer) and block.target not in places:
                continue
            if isinstance(block, Finding):
                block = replace(  # noqa: PLW2901 - the same block without its links
                    block,
                    section_id=block.section_id if block.section_id in places else "",
                    caveat_numbers=block.caveat_numbers if "caveats" in places else (),
                )
            found.append(block)
        return tuple(found)

    sections = tuple(replace(s, blocks=unlinked(s.blocks), beside=unlinked(s.beside)) for s in sections)
    return replace(document, sections=sections)
