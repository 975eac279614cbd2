"""The size of a page: long lists of sentences end in a count, and a page above the limit is shortened in steps.

A usual study loses nothing. Of a page that is too large something is left out step by step, in the fixed order of
STEPS, until it fits; the page says what, and where the rest is. No number is lost: tables and sentences that are cut
are printed by the commands that they name, and the store has every value. The same document gives the same page.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl
from markupsafe import Markup

from heatdrift.report.blocks import STORE, Block, Figure, Finding, Gallery, Matrix, Note, Section, Table
from heatdrift.report.document import Document, document_html
from heatdrift.report.drawing import dataset_names

PAGE_BYTES: Final = 2_500_000
FINDING_SENTENCES: Final = 40  # of one finding
SHORT_TABLE: Final = 40
SHORTEST_TABLE: Final = 10
SHORT_LIST: Final = 12
SHORT_GALLERY: Final = 4  # models
MAIN: Final = ("dose", "models", "correlation")  # sections whose charts stay longest
COMMANDS: Final = {
    "dose": "heatdrift stats dose",
    "layers": "heatdrift stats layers",
    "paired": "heatdrift stats paired",
    "correlation": "heatdrift stats correlation --x METRIC --y METRIC",
    "predictors": "heatdrift stats predictors",
    "frontier": "heatdrift stats frontier",
}
NO_TWIN: Final = Markup(
    '<p class="note">The script of this page draws this chart; the values are in the table below.</p>'
)
_FIRST: Final = " Shown: the first "
Shorten = Callable[[Section, Block], Block]


def trimmed(document: Document) -> Document:
    """Return the document with long lists of sentences cut; what is left out is counted, with the place where it is."""
    return _cut_sentences(document, FINDING_SENTENCES)


def page_html(document: Document, *, limit: int = PAGE_BYTES) -> tuple[str, tuple[str, ...]]:
    """Return the page of a document, at most `limit` bytes where that can be, and what was left out to get there."""
    text = document_html(document)
    size = len(text.encode())
    if size <= limit:
        return text, ()
    done: list[str] = []
    for words, step in STEPS:
        shorter = step(document)
        if shorter.sections == document.sections:
            continue
        document = shorter
        done.append(words)
        text = document_html(_with_note(document, done, size, limit))
        if len(text.encode()) <= limit:
            return text, tuple(done)
    done.append(f"and it still has {_megabytes(len(text.encode()))}")
    return document_html(_with_note(document, done, size, limit)), tuple(done)


def _with_note(document: Document, done: list[str], size: int, limit: int) -> Document:
    """Say at the end of the first section what the page leaves out."""
    note = Note(
        text=f"Shortened: the whole page would have {_megabytes(size)}, the limit is {_megabytes(limit)}. "
        f"On this page {'; '.join(done)}. The store has every value (heatdrift sql), heatdrift stats every result.",
        tone="missing",
    )
    first, *others = document.sections
    return replace(document, sections=(replace(first, blocks=(*first.blocks, note)), *others))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _each(document: Document, change: Shorten) -> Document:
    """Return the document with every block changed, and without rows that no chart reads any more."""
    sections = tuple(
        replace(section, blocks=tuple(change(section, block) for block in section.blocks))
        for section in document.sections
    )
    shorter = replace(document, sections=sections)
    return replace(shorter, datasets=_used(shorter)) if len(shorter.figures) < len(document.figures) else shorter


def _used(document: Document) -> Mapping[str, pl.DataFrame]:
    names: set[str] = set()
    for figure in document.figures:
        names = names.union(*(dataset_names(json.loads(panel.spec)) for panel in figure.panels))
    return {name: frame for name, frame in document.datasets.items() if name in names}


def _cut_sentences(document: Document, limit: int) -> Document:
    def rest(section_id: str) -> str:
        kind, _, metric = section_id.partition("-")
        if kind == "model":
            return f"printed by heatdrift stats interaction --metric {metric}"
        return f"printed by {COMMANDS[section_id]}" if section_id in COMMANDS else STORE

    def change(_: Section, block: Block) -> Block:
        if not isinstance(block, Finding) or len(block.sentences) <= limit:
            return block
        left_out = block.left_out + len(block.sentences) - limit
        return replace(block, sentences=block.sentences[:limit], left_out=left_out, rest=rest(block.section_id))

    return _each(document, change)


def _short(table: Table, limit: int) -> Table:
    n = len(table.rows)
    return replace(table, rows=table.rows[:limit], left_out=table.left_out + n - limit) if n > limit else table


def _tables(limit: int) -> Callable[[Document], Document]:
    def change(section: Section, block: Block) -> Block:
        match block:
            case Table():
                return _short(block, limit)
            case Matrix() if len(block.rows) > limit:
                caption = block.caption.split(_FIRST)[0]
                return replace(block, rows=block.rows[:limit], caption=f"{caption}{_FIRST}{limit} groups.")
            case Figure() | Gallery():
                return replace(block, table=_short(block.table, limit))
        return block

    return lambda document: _each(document, change)


def _untwinned(*, main: bool) -> Callable[[Document], Document]:
    """Take the static drawings away, of the main sections too if `main`."""

    def change(section: Section, block: Block) -> Block:
        if not isinstance(block, Figure) or (section.section_id in MAIN and not main):
            return block
        return replace(block, panels=tuple(replace(panel, svg=NO_TWIN) for panel in block.panels))

    return lambda document: _each(document, change)


def _galleries(document: Document) -> Document:
    return _each(
        document,
        lambda _, block: replace(block, rows=block.rows[:SHORT_GALLERY]) if isinstance(block, Gallery) else block,
    )


def _main_charts(document: Document) -> Document:
    """Leave the tables of the charts outside the main sections."""

    def change(section: Section, block: Block) -> Block:
        return block.table if isinstance(block, Figure) and section.section_id not in MAIN else block

    return _each(document, change)


STEPS: Final[tuple[tuple[str, Callable[[Document], Document]], ...]] = (
    (f"no table has more than {SHORT_TABLE} rows", _tables(SHORT_TABLE)),
    (
        "charts outside of dose-response, models and correlation need JavaScript",
        _untwinned(main=False),
    ),
    (
        f"no result has more than {SHORT_LIST} sentences",
        lambda document: _cut_sentences(document, SHORT_LIST),
    ),
    (f"the attention gallery has the first {SHORT_GALLERY} rows", _galleries),
    (f"no table has more than {SHORTEST_TABLE} rows", _tables(SHORTEST_TABLE)),
    ("all charts need JavaScript", _untwinned(main=True)),
    ("only dose-response, models and correlation have charts, the others their tables", _main_charts),
)
