"""What a study's report holds, section by section, and its HTML page; ``document.py`` makes the page of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from altair.utils import schemapi

from heatdrift import wording
from heatdrift.questions import QUESTIONS
from heatdrift.questions.base import Question
from heatdrift.report.blocks import Section
from heatdrift.report.budget import page_html, trimmed
from heatdrift.report.caveat_list import gathered
from heatdrift.report.document import Document
from heatdrift.report.files import write_file
from heatdrift.report.index import PageFacts
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import missing_notes
from heatdrift.report.sections import appendix
from heatdrift.report.sections.decision import decision
from heatdrift.report.sections.findings import EXPLORATORY, compared, exploratory, findings
from heatdrift.report.sections.gallery import gallery
from heatdrift.report.sections.glance import glance
from heatdrift.report.sections.measured import measured
from heatdrift.report.sections.missing import missing_cells
from heatdrift.report.sections.paragraph import paragraph
from heatdrift.report.sections.published import published_section
from heatdrift.report.sections.reference_points import reference_points
from heatdrift.report.sections.robustness import robustness
from heatdrift.report.sentences import shown_and_tested
from heatdrift.report.small_picture import small_picture
from heatdrift.report.study_data import StudyData, prepare

# Places of the sections that are no question; those of questions are declared with them (``Place.order``),
# those of what was measured returned with them.
GLANCE: Final = 10
GALLERY: Final = 50
ROBUSTNESS: Final = 103
POINTS: Final = 105
PUBLISHED: Final = 110
MISSING: Final = 120
PARAGRAPH: Final = 125
APPENDIX: Final = 130


def report_document(inp: ReportInput) -> Document:
    """Return the report before it is written in a format: all formats are made from one of these."""
    data = prepare(inp)
    with schemapi.debug_mode(arg=False):  # altair checks every part of a chart as it is made; tests check whole specs
        sections = page_sections(inp, data)  # figures add their rows to data.datasets
    document = Document(
        title=inp.study,
        description=inp.description,
        eyebrow="heatdrift report",
        sections=gathered(sections, after=EXPLORATORY),
        datasets=data.datasets,
        facts=PageFacts(
            title=inp.study,
            finished=_last_finished(inp),
            n_runs=inp.done.height,
            compared=compared(inp) if inp.grid.height else "",
            finding=_first_finding(data),
            picture=small_picture(data),
        ),
    )
    return trimmed(document)


def _first_finding(data: StudyData) -> str:
    """Return what the first primary question found, without how it was tested; empty where none was asked."""
    if not data.family.primary:
        return ""
    first = data.family.primary[0]
    shown, _ = shown_and_tested(first.sentence)
    return f"{wording.capital(first.verdict)}: {''.join(text for text, _ in shown)}"


def _last_finished(inp: ReportInput) -> str:
    """When the last run finished, to the second; empty where the runs do not say."""
    done = inp.done
    last = done["finished_at"].drop_nulls().max() if "finished_at" in done.columns else None
    return "" if last is None else str(last)[:19]


def render_html(inp: ReportInput) -> str:
    """Return the whole page as one HTML document, UTF-8 when written; equal inputs give equal text."""
    return page_html(report_document(inp))[0]


def write_report(inp: ReportInput, path: Path) -> Path:
    """Write the page to `path` by an atomic rename and return the path; ReportError if the folder cannot be written."""
    return write_file(path, render_html(inp))


def page_sections(inp: ReportInput, data: StudyData) -> tuple[Section, ...]:
    """Return the sections in reading order: what was found, what was measured, how, and what is missing."""
    placed = [*measured(inp, data), (GLANCE, glance(inp, data)), (GALLERY, gallery(inp))]
    placed += [(q.place.order, question_section(q, inp, data)) for q in QUESTIONS if q.place and _on_page(q, inp)]
    placed += [] if inp.robustness.is_empty() or inp.done.is_empty() else [(ROBUSTNESS, robustness(inp, data))]
    placed += [] if inp.reference_points.is_empty() else [(POINTS, reference_points(inp, data))]
    placed += [(PUBLISHED, published_section(inp, data)), (MISSING, missing_cells(inp))]
    placed += [(PARAGRAPH, paragraph(inp, data))]
    placed += [(APPENDIX, section(inp)) for section in (appendix.methods, appendix.provenance, appendix.citation)]
    ordered = [section for _, section in sorted(placed, key=lambda item: item[0])]
    return (findings(inp, data), decision(inp, data), exploratory(inp, data), *_joined(ordered))


def _on_page(question: Question, inp: ReportInput) -> bool:
    """Whether a question has a section here: one that most studies cannot ask has none where nobody asked it."""
    place = question.place
    return bool(place and place.otherwise) or question.name in inp.answers or question.name in inp.unavailable


def question_section(question: Question, inp: ReportInput, data: StudyData) -> Section:
    """Return the section of a question: its answers' blocks, or why there are none."""
    place = question.place
    assert place is not None  # the caller's choice: a question without a place has no section
    answers = inp.answers.get(question.name, ())
    blocks = question.section.blocks(answers, inp, data)
    shown = bool(blocks) and bool(answers)
    blocks += missing_notes(inp, question.name, place.otherwise, blocks if shown else ())
    lead = place.lead if shown else ""
    return Section(section_id=place.section, title=place.title, lead=lead, blocks=tuple(blocks))


def _joined(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Put the blocks of sections with one identifier together: figures of what was measured, then their tests."""
    joined: dict[str, Section] = {}
    for section in sections:
        first = joined.setdefault(section.section_id, section)
        if first is not section:
            blocks = (*first.blocks, *section.blocks)
            joined[section.section_id] = replace(first, lead=first.lead or section.lead, blocks=blocks)
    return tuple(joined.values())
