"""A document as GitHub-flavoured Markdown: findings, captions, tables, PNG files where there are any; no HTML."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from heatdrift.report.blocks import (
    Block,
    CaveatList,
    Choice,
    Facts,
    Figure,
    Finding,
    Gallery,
    Matrix,
    Note,
    Pointer,
    Section,
    Table,
)
from heatdrift.report.document import Document

_SPECIAL: Final = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINE_START: Final = re.compile(r"^(\s*)(#{1,6}\s|[-+=]|\d+[.)]\s)")
_SPACES: Final = re.compile(r"\s+")


def document_markdown(document: Document, *, pictures: Mapping[str, str] | None = None) -> str:
    """Return the whole document as Markdown; equal documents give equal text.

    Parameters
    ----------
    document : sections of plain text; whatever would be markup in it is escaped.
    pictures : figure id -> relative path of its PNG file; a figure without one has caption, alternative and table.
    """
    lines = [f"# {escaped(document.title)}", escaped(document.eyebrow)]
    if document.description:
        lines.append(escaped(document.description))
    for section in document.sections:
        lines += _section(section, pictures or {})
    return "\n\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return plain text as Markdown that shows it letter by letter, on one line."""
    line = _SPECIAL.sub(lambda found: f"\\{found[0]}", _SPACES.sub(" ", text).strip())
    return _LINE_START.sub(lambda found: f"{found[1]}{_escaped_start(found[2])}", line)


def _escaped_start(start: str) -> str:
    """Escape what would make the line a heading, a list item or a rule: its last sign, for a number."""
    return f"{start.rstrip()[:-1]}\\{start.rstrip()[-1]} " if start[0].isdigit() else f"\\{start}"


def _section(section: Section, pictures: Mapping[str, str]) -> list[str]:
    lines = [f"## {escaped(section.title)}"]
    if section.lead:
        lines.append(escaped(section.lead))
    for block in section.all_blocks:
        lines += _block(block, pictures)
    return lines


def _block(block: Block, pictures: Mapping[str, str]) -> list[str]:
    """Return the paragraphs of one block."""
    match block:
        case Note():
            word = {"caveat": "**Caveat.** ", "missing": "**Missing.** ", "plain": "", "aside": ""}[block.tone]
            return [f"{'> ' if word else ''}{word}{escaped(block.text)}"]
        case Finding():
            verdict = f": {block.verdict}" if block.verdict else ""
            lines = [f"### {escaped(block.title + verdict)}", *map(escaped, block.sentences), *_more(block.more)]
            for words, texts in (("Described, without a test:", block.descriptions), ("Notes:", block.notes)):
                lines += [f"**{words}**", _items(texts)] if texts else []
            if block.caveat_numbers:
                lines.append(f"Before you believe it: {', '.join(map(str, block.caveat_numbers))}.")
            return [*lines, "**Before you believe it:**", _items(block.caveats)] if block.caveats else lines
        case Choice():
            against = f"{block.verdict}: {block.against}" if block.verdict else block.against
            pairs = _items([f"{name}: {value} ({detail})" for name, value, detail in block.numbers])
            lines = [f"### {escaped(f'{block.place}: {block.title}')}", pairs, escaped(against)]
            return [*lines, *map(escaped, (*block.sentences, *block.details))]
        case CaveatList():
            numbered = [
                f"{i}. {escaped(f'{head} {rest}')} (about: {escaped('; '.join(titles))})"
                for i, (head, rest, titles) in enumerate(block.items, start=1)
            ]
            return ["\n".join(numbered)]
        case Pointer():
            return [f"{escaped(block.text)}."]
        case Facts():
            pairs = _items([f"{name}: {value}" for name, value in block.pairs])
            return [*([f"### {escaped(block.title)}"] if block.title else []), pairs]
        case Table():
            return _table(block)
        case Matrix():
            return _matrix(block)
        case Figure():
            picture = pictures.get(block.figure_id)
            shown = [f"![{escaped(block.alternative)}](<{picture}>)"] if picture else []
            return [f"### {escaped(block.title)}", escaped(block.caption), *shown, *_table(block.table)]
        case Gallery():
            caption = f"{block.caption} The pictures are in the HTML page."
            return [f"### {escaped(block.title)}", escaped(caption), *_table(block.table)]
    assert_never(block)


def _items(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in texts)


def _more(text: str) -> list[str]:
    return [escaped(text)] if text else []


def _table(table: Table) -> list[str]:
    ruler = ["--:" if numeric else "---" for numeric in table.numeric]
    return [f"**{escaped(table.caption + table.shown)}**", _grid(table.head, ruler, table.rows)]


def _matrix(matrix: Matrix) -> list[str]:
    rows = [
        (place, entry.label, *(f"{cell.text} ({cell.problems})" if cell.problems else cell.text for cell in cells))
        for place, entry, cells in matrix.rows
    ]
    head = ("data set", "method", *matrix.lrs)
    return [f"**{escaped(matrix.caption)}**", _grid(head, ["---"] * len(head), rows)]


def _grid(head: Sequence[str], ruler: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [map(escaped, head), ruler, *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
