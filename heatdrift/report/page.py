"""Sections to one HTML file: no network, no server, no eval, the same input gives the same bytes.

The policy forbids everything but the two scripts of the page, by their hash, inline styles and pictures in the page.
Vega therefore evaluates its expressions in an interpreter; vega-embed brings it along (vl-convert's bundle holds both).
"""

import base64
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import jinja2
import vl_convert
from markupsafe import Markup

from heatdrift import __version__
from heatdrift.errors import ReportError
from heatdrift.report import appendix, evidence, glance, overview
from heatdrift.report.blocks import Figure, Section
from heatdrift.report.drawing import script_json
from heatdrift.report.inputs import ReportInput
from heatdrift.report.study_data import StudyData, prepare
from heatdrift.report.theme import chart_config, palette_css, themed

ASSETS: Final = Path(__file__).parent / "assets"
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ASSETS),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


def render_html(inp: ReportInput) -> str:
    """Return the whole page as one HTML document, UTF-8 when written; equal inputs give equal text."""
    data = prepare(inp)
    sections = page_sections(inp, data)
    scripts = page_scripts()
    has_charts = any(isinstance(block, Figure) for section in sections for block in section.blocks)
    return _ENVIRONMENT.get_template("page.html.j2").render(
        policy=content_policy(scripts if has_charts else ()),
        version=__version__,
        study=inp.study,
        description=inp.description,
        css=Markup(palette_css() + (ASSETS / "report.css").read_text(encoding="utf-8")),
        sections=sections,
        has_charts=has_charts,
        datasets=script_json({name: frame.to_dicts() for name, frame in data.datasets.items()}),
        chart_config=script_json(themed(chart_config())),
        scripts=[Markup(script) for script in scripts],
    )


def write_report(inp: ReportInput, path: Path) -> Path:
    """Write the page to `path` by an atomic rename and return the path; ReportError if the folder cannot be written."""
    html = render_html(inp)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise ReportError(
            f"{path} cannot be written: {error.strerror}", hint="choose another place with --out"
        ) from error
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(html)
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        raise ReportError(
            f"{path} cannot be written: {error.strerror}", hint="choose another place with --out"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def page_sections(inp: ReportInput, data: StudyData) -> tuple[Section, ...]:
    """Return the sections in reading order: what was found, what was measured, how, and what is missing."""
    return (
        overview.findings(inp),
        glance.glance(inp),
        *evidence.measured(inp, data),
        evidence.models(inp, data),
        evidence.correlations(inp, data),
        overview.missing_cells(inp),
        appendix.methods(inp),
        appendix.provenance(inp),
        appendix.citation(inp),
    )


@cache
def page_scripts() -> tuple[str, str]:
    """Return Vega, Vega-Lite, vega-embed and its interpreter as one script, and the script that draws the charts."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    scripts = (bundle, (ASSETS / "report.js").read_text(encoding="utf-8"))
    for script in scripts:
        if "</script" in script.lower() or "<!--" in script:
            raise ReportError("the Vega bundle cannot stand inside a page", hint="install another vl-convert-python")
    return scripts


def content_policy(scripts: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy under which only `scripts` run, and nothing is loaded from anywhere."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    sources = "script-src " + (hashes or "'none'")
    return (
        f"default-src 'none'; {sources}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
