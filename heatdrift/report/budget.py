"""The size of a page: at most PAGE_BYTES, by two steps that the page names.

A usual study loses nothing. Of a larger one first the long lists end early (tables, sentences, rows of matrix and
gallery), then the static drawings go, which are shown only where JavaScript is off. No number is lost: what is cut is
printed by the command that the page names, and the store has every value. The same document gives the same page.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from markupsafe import Markup

from heatdrift.report.blocks import Block, Figure, Finding, Gallery, Matrix, Note, Table
from heatdrift.report.document import Document, document_html
from heatdrift.wording import megabytes

PAGE_BYTES: Final = 2_500_000
MOST_SENTENCES: Final = 40  # of one finding on any page
SHORT_TABLE: Final = 10
SHORT_LIST: Final = 12  # sentences
SHORT_GALLERY: Final = 1  # probe images
NO_TWIN: Final = Markup(
    '<p class="note">The script of this page draws this chart; the values are in the table below.</p>'
)


def trimmed(document: Document) -> Document:
    """Return the document with long lists of sentences cut; what is left out is counted, with the place where it is."""
    return _each(document, lambda block: _fewer_sentences(block, MOST_SENTENCES))


def page_html(document: Document, *, limit: int = PAGE_BYTES) -> tuple[str, tuple[str, ...]]:
    """Return the page of a document, at most `limit` bytes where that can be, and what was left out to get there."""
    text = document_html(document)
    size = len(text.encode())
    done: list[str] = []
    for words, step in STEPS:
        if len(text.encode()) <= limit:
            break
        document = _each(document, step)
        done.append(words)
        text = document_html(_with_note(document, done, size, limit))
    if len(text.encode()) > limit:
        done.append(f"and it still has {megabytes(len(text.encode()))}")
        text = document_html(_with_note(document, done, size, limit))
    return text, tuple(done)


def _with_note(document: Document, done: list[str], size: int, limit: int) -> Document:
    """Say at the end of the first section what the page leaves out."""
    note = Note(
        text=f"Shortened: the whole page would have {megabytes(size)}, the limit is {megabytes(limit)}. "
        f"On this page {'; '.join(done)}. The store has every value (heatdrift sql), heatdrift stats every result.",
        tone="missing",
    )
    first, *others = document.sections
    return replace(document, sections=(replace(first, blocks=(*first.blocks, note)), *others))


def _each(document: Document, change: Callable[[Block], Block]) -> Document:
    sections = tuple(
        replace(s, blocks=tuple(map(change, s.blocks)), beside=tuple(map(change, s.beside))) for s in document.sections
    )
    return replace(document, sections=sections)


def _fewer_sentences(block: Block, limit: int) -> Block:
    if not isinstance(block, Finding) or len(block.sentences) <= limit:
        return block
    return replace(block, sentences=block.sentences[:limit], left_out=block.left_out + len(block.sentences) - limit)


def _short(table: Table) -> Table:
    left_out = len(table.rows) - SHORT_TABLE
    if left_out <= 0:
        return table
    return replace(table, rows=table.rows[:SHORT_TABLE], left_out=table.left_out + left_out)


def _shorter(block: Block) -> Block:
    """End long lists early."""
    match block:
        case Table():
            return _short(block)
        case Matrix() if len(block.rows) > SHORT_TABLE:
            caption = f"{block.caption} Shown: the first {SHORT_TABLE} groups."
            return replace(block, rows=block.rows[:SHORT_TABLE], caption=caption)
        case Gallery():
            views = tuple(view for view in block.views if view.image <= SHORT_GALLERY)
            photos = tuple(photo for photo in block.photos if photo[0] <= SHORT_GALLERY)
            return replace(block, views=views, photos=photos, table=_short(block.table))
        case Figure():
            return replace(block, table=_short(block.table))
    return _fewer_sentences(block, SHORT_LIST)


def _without_twins(block: Block) -> Block:
    """Take the static drawings away."""
    if not isinstance(block, Figure):
        return block
    return replace(block, panels=tuple(replace(panel, svg=NO_TWIN) for panel in block.panels))


STEPS: Final[tuple[tuple[str, Callable[[Block], Block]], ...]] = (
    (
        f"no table has more than {SHORT_TABLE} rows, no result more than {SHORT_LIST} sentences, the gallery has "
        f"{SHORT_GALLERY} image",
        _shorter,
    ),
    ("charts need JavaScript", _without_twins),
)
