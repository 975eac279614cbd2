"""What a study's report holds, section by section, and its HTML page; ``document.py`` makes the page of it."""

from pathlib import Path

from heatdrift.questions.frontier.section import frontier_section
from heatdrift.questions.paired.section import paired_section
from heatdrift.questions.predictors.section import predictors_section
from heatdrift.report.blocks import Section
from heatdrift.report.budget import page_html, trimmed
from heatdrift.report.document import Document
from heatdrift.report.files import write_file
from heatdrift.report.index import PageFacts
from heatdrift.report.inputs import ReportInput
from heatdrift.report.sections import appendix, glance
from heatdrift.report.sections import findings as overview
from heatdrift.report.sections import measured as evidence
from heatdrift.report.sections.gallery import gallery
from heatdrift.report.sections.published import published_section
from heatdrift.report.study_data import StudyData, prepare


def report_document(inp: ReportInput) -> Document:
    """Return the report before it is written in a format: all formats beside each other are made from one of these."""
    data = prepare(inp)
    sections = page_sections(inp, data)  # figures add their rows to data.datasets
    document = Document(
        title=inp.study,
        description=inp.description,
        eyebrow="heatdrift report",
        sections=sections,
        datasets=data.datasets,
        facts=PageFacts(title=inp.study, finished=_last_finished(inp), n_runs=inp.done.height),
    )
    return trimmed(document)


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
    return (
        overview.findings(inp, data),
        glance.glance(inp, data),
        *evidence.measured(inp, data),
        gallery(inp),
        evidence.models(inp, data),
        paired_section(inp, data),
        evidence.correlations(inp, data),
        predictors_section(inp, data),
        frontier_section(inp, data),
        published_section(inp, data),
        overview.missing_cells(inp),
        appendix.methods(inp),
        appendix.provenance(inp),
        appendix.citation(inp),
    )
