"""The one place that prints: data to stdout as table, JSON or CSV; notes and errors to stderr."""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from heatdrift.cli.options import Format, ResultFormat
from heatdrift.wording import counted, six_digits

if TYPE_CHECKING:
    import polars as pl

    from heatdrift.questions.answer import Shown

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WIDEST_TEXT: Final = 60  # characters of a column of text; longer ones are folded
_GAP: Final = 3  # between two columns
_ROW_NUMBER: Final = 8

# A pipe has no width: give tables room there instead of folding every cell.
out = Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something that is not data."""
    err.print(harmless(typable(text)), markup=False)


def say(text: str) -> None:
    """Print a line of the answer."""
    out.print(harmless(text), markup=False)


def show_error(message: str, hint: str | None) -> None:
    """One clear paragraph: what happened and where, then the next command."""
    err.print(f"error: {harmless(typable(message))}", markup=False, style="bold red" if err.is_terminal else None)
    if hint:
        err.print(f"try:   {indented(harmless(typable(hint)), 7)}", markup=False)


def typable(text: str) -> str:
    """Return `text` with paths below the current folder relative to it, as a person would type them."""
    here = f"{Path.cwd()}{os.sep}"
    return text if here == os.sep * 2 else re.sub(rf"(?<![\w./~-]){re.escape(here)}", "", text)


def harmless(text: str) -> str:
    """Return `text` with control characters (C0 but line breaks and tabs, DEL, C1) written out in hex.

    A name from a stranger's file must not move the cursor, recolour or retitle the terminal. Bytes of an argument that
    are not UTF-8 (Python's lone surrogates) cannot be printed and are written out, too.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def indented(text: str, n: int) -> str:
    """Return `text` with all lines but the first moved `n` columns to the right."""
    return text.replace("\n", "\n" + " " * n)


def show_list(rows: Iterable[Sequence[str]]) -> None:
    """Print facts for people, one per row: short columns as they are, the last one folded into what width is left."""
    table = Table.grid(padding=(0, 2))
    for number, row in enumerate(rows):
        if not number:
            for _ in row[:-1]:
                table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
        table.add_row(*(_escaped(typable(text)) for text in row))
    out.print(table, soft_wrap=False)


def show_json(value: object) -> None:
    """Print any result as JSON; NaN becomes null."""
    try:
        text = msgspec.json.encode(value, enc_hook=_path_as_text)
    except UnicodeEncodeError:  # half of a surrogate pair, from a name of a file or from JSON, is no text
        text = msgspec.json.encode(_encodable(msgspec.to_builtins(value, enc_hook=_path_as_text)))
    encoded = msgspec.json.format(text, indent=2)
    sys.stdout.write(encoded.decode() + "\n")


def _encodable(value: object) -> object:
    """Return a value with lone surrogates in its texts written out, as the terminal shows them."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _path_as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value)}")


def show_answer(answer: "Shown", fmt: ResultFormat | Format, *, verbose: bool) -> None:
    """Print an answer: JSON whole, CSV and LaTeX its main table, else sentences, and with `verbose` the tables."""
    if fmt == ResultFormat.json:
        show_json(answer)
    elif fmt == ResultFormat.latex:
        from heatdrift.questions.latex import latex_table

        sys.stdout.write(latex_table(answer.csv_rows()))
    elif fmt == ResultFormat.csv:
        import polars as pl

        show_frame(pl.DataFrame(answer.csv_rows(), infer_schema_length=None).fill_nan(None), Format.csv)
    else:
        _show_parts(answer, verbose=verbose)


def _show_parts(answer: "Shown", *, verbose: bool) -> None:
    """Print what a person reads first, or all; how to get the rest comes last."""
    from heatdrift.questions.tables import first_read

    n_tables = 0
    for part in answer.shown() if verbose else first_read(answer.shown()):
        if isinstance(part, str):
            say(part)
            continue
        n_tables += 1
        if verbose:
            show_table(part.columns, part.rows, part.title)
    if n_tables and not verbose:
        say(f"{counted(n_tables, 'table')} and how it was computed: --verbose; every number: --format json")


def show_frame(frame: "pl.DataFrame", fmt: Format, *, safe: bool = True) -> None:
    """Print a polars frame; `safe`: texts of CSV that a spreadsheet would run are marked (``csv_safe.py``)."""
    if fmt is Format.json:
        show_json(frame.to_dicts())
    elif fmt is Format.csv:
        from heatdrift.csv_safe import csv_safe

        sys.stdout.write((csv_safe(frame) if safe else frame).write_csv())
    else:
        show_table(frame.columns, frame.rows())


def show_rows(rows: Sequence[Mapping[str, object]], fmt: Format) -> None:
    """Print a list of equal mappings."""
    import polars as pl

    if fmt is Format.json:
        show_json(rows)
    else:
        show_frame(pl.DataFrame(rows, infer_schema_length=None), fmt)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table for people: numbers to six significant digits, right-aligned; NULL as an empty field.

    A table wider than the terminal is printed in several blocks of whole columns, each row numbered in every block:
    nothing is cut, and csv or json is one option away.
    """
    filled = [list(row) for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in filled) for i in range(len(columns))]
    texts = [[_text(value) for value in row] for row in filled]
    widths = [
        min(max([len(name), *(len(row[i]) for row in texts)]), _WIDEST_TEXT) + _GAP for i, name in enumerate(columns)
    ]
    blocks = _blocks(widths, out.width)
    for number, block in enumerate(blocks):
        table = Table(
            box=box.SIMPLE_HEAD,
            title=None if number or title is None else harmless(title),
            title_justify="left",
            title_style="bold",
            pad_edge=False,
        )
        if len(blocks) > 1:
            table.add_column("row", justify="right", no_wrap=True)
        for i in block:
            justify: Literal["right", "left"] = "right" if numeric[i] else "left"
            table.add_column(_escaped(columns[i]), justify=justify, no_wrap=numeric[i], overflow="fold")
        for position, row in enumerate(texts, start=1):
            lead = [str(position)] if len(blocks) > 1 else []
            table.add_row(*lead, *(_escaped(row[i]) for i in block))
        out.print(table)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Pack columns, in order, into blocks that fit; a block has one column at least."""
    blocks: list[list[int]] = [[]]
    if sum(widths) <= room:
        return [list(range(len(widths)))]
    left = room - _ROW_NUMBER
    for i, width in enumerate(widths):
        if blocks[-1] and width > left:
            blocks.append([])
            left = room - _ROW_NUMBER
        blocks[-1].append(i)
        left -= width
    return blocks


def _escaped(text: str) -> str:
    """Text without rich's markup and without control characters."""
    return harmless(text).replace("[", "\\[")


def _text(value: object) -> str:
    if value is None:
        return ""
    return six_digits(value) if isinstance(value, float) else harmless(str(value))
