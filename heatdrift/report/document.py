"""Sections to one HTML document: no network, no server, no eval, the same sections give the same bytes.

The policy forbids everything but the two scripts of the page, by their hash, inline styles and pictures in the page.
Vega therefore evaluates its expressions in an interpreter; vega-embed brings it along (vl-convert's bundle holds both).
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import jinja2
import polars as pl
from markupsafe import Markup

from heatdrift import __version__
from heatdrift.config import user_cache
from heatdrift.errors import ReportError
from heatdrift.report.blocks import Figure, Section
from heatdrift.report.drawing import script_json
from heatdrift.report.index import PageFacts, facts_text
from heatdrift.report.sentences import evidence_parts, shown_and_tested, whole_rates
from heatdrift.report.theme import COLOUR, chart_config, palette_css, themed
from heatdrift.report.vega_bundle import vega_bundle

ASSETS: Final = Path(__file__).parent / "assets"
ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ASSETS),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)
ENVIRONMENT.globals["evidence_parts"] = evidence_parts  # of a sentence: what is claimed, and its numbers in brackets
ENVIRONMENT.filters["whole_rates"] = whole_rates
ENVIRONMENT.globals["shown_and_tested"] = shown_and_tested


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A page before it is written in a format.

    Attributes
    ----------
    title, description, eyebrow : plain text above the sections; `eyebrow` says what kind of page it is.
    sections : what the page holds, in reading order.
    datasets : name -> rows, what the specs of the figures name.
    facts : what an index says about the page.
    """

    title: str
    description: str
    eyebrow: str
    sections: tuple[Section, ...]
    facts: PageFacts
    datasets: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all sections, in reading order."""
        return tuple(block for section in self.sections for block in section.all_blocks if isinstance(block, Figure))


def document_html(document: Document, *, live: bool = True) -> str:
    """Return the whole page, UTF-8 when written; without `live` it has no script, and its drawings are static."""
    scripted = live and bool(document.figures)
    scripts = page_scripts() if scripted else ()
    return ENVIRONMENT.get_template("page.html.j2").render(
        policy=content_policy(scripts),
        version=__version__,
        title=document.title,
        eyebrow=document.eyebrow,
        description=document.description,
        facts=facts_text(document.facts),
        css=page_css(),
        sections=document.sections,
        scripted=scripted,
        datasets=script_json({name: frame.to_dicts() for name, frame in document.datasets.items()}),
        chart_config=script_json(themed(chart_config())),
        palette=script_json(COLOUR),
        scripts=[Markup(script) for script in scripts],
    )


def page_css() -> Markup:
    """Return the palette and the style sheet, as they are in a style element."""
    return Markup(palette_css() + (ASSETS / "report.css").read_text(encoding="utf-8"))


@cache
def page_scripts() -> tuple[str, str]:
    """Return Vega, Vega-Lite, vega-embed and its interpreter as one script, and the script that draws the charts."""
    folder = user_cache(os.environ.get("HEATDRIFT_CACHE"))
    bundle = vega_bundle(folder / "scripts" if folder else None)
    scripts = (bundle, (ASSETS / "report.js").read_text(encoding="utf-8"))
    for script in scripts:
        if "</script" in script.lower() or "<!--" in script:
            raise ReportError("the Vega bundle cannot be put inside a page", hint="install another vl-convert-python")
    return scripts


def content_policy(scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy under which only `scripts` run, and nothing is loaded from anywhere."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    sources = "script-src " + (hashes or "'none'")
    return (
        f"default-src 'none'; {sources}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
