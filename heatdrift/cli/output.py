"""The one place that prints: data to stdout as table, JSON or CSV; notes and errors to stderr."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from heatdrift.cli.options import Format

if TYPE_CHECKING:
    import polars as pl

# A pipe has no width: give tables room there instead of folding every cell.
out = Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something that is not data."""
    err.print(text, markup=False)


def say(text: str) -> None:
    """Print a line of the answer."""
    out.print(text, markup=False)


def show_error(message: str, hint: str | None) -> None:
    """One clear paragraph: what happened and where, then the next command."""
    err.print(f"error: {message}", markup=False, style="bold red" if err.is_terminal else None)
    if hint:
        err.print(f"try:   {hint}", markup=False)


def show_json(value: object) -> None:
    """Print any result as JSON; NaN becomes null."""
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(encoded.decode() + "\n")


def show_frame(frame: "pl.DataFrame", fmt: Format) -> None:
    """Print a polars frame."""
    if fmt is Format.json:
        show_json(frame.to_dicts())
    elif fmt is Format.csv:
        sys.stdout.write(frame.write_csv())
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
    """Print a table for people: numbers to six significant digits, right-aligned; NULL as an empty field."""
    filled = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | None) for row in filled)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in filled:
        table.add_row(*(_text(value) for value in row))
    out.print(table)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return str(value).replace("[", "\\[")
