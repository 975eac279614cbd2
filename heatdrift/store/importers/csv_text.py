"""Text of a CSV file, in whatever dialect, -> rows of texts; DuckDB finds the separator and reads the fields."""

import csv
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import polars as pl

from heatdrift.csv_safe import is_marked, unmarked
from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.store.importers.values import number_from
from heatdrift.store.limits import duckdb_limits

_SPOKEN: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces", ":": "colons"}
_STATED: Final = re.compile(r"sep=(.)\s*")  # Excel's own way to say it, as the first line
_SPACES: Final = re.compile(r"[ \t]+")
_OPENING: Final = re.compile(r'(?:^|[,;\t|])[ ]*"')  # of a quoted field, whatever the separator is
_CLOSING: Final = re.compile(r'(?:[^"]|"")*"(?!")')
_HINT: Final = "correct that line; nothing was imported"


def read_csv_text(text: str, path: Path) -> tuple[Sequence[str], list[dict[str, object]], str]:
    """Return columns, rows and how the text was read.

    Lines that begin with ``#`` are comments, unless they are part of a quoted field; empty lines are passed over. The
    first line that is left has the names; where it has numbers and the comment before it as many fields, the comment
    has them, as NumPy writes it.

    Raises
    ------
    DataError
        A line has more or fewer fields than the header, or two columns have one name; `path` is for messages.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stated = _STATED.fullmatch(lines[0]) if lines else None
    inside = _inside_quotes(lines, path)
    comments = [i for i, line in enumerate(lines) if line.lstrip().startswith("#") and not inside[i]]
    passed = {*comments, *([0] if stated else [])}
    kept = [i for i, line in enumerate(lines) if inside[i] or (line.strip() and i not in passed)]
    if not kept:
        raise DataError(f"{path} has no rows", hint="name a table with a header and a row for every run")
    before = [i for i in comments if i < kept[0]]
    if before and _is_header(lines[before[-1]], lines[kept[0]]):
        lines[before[-1]] = lines[before[-1]].lstrip().removeprefix("#").lstrip(" ")
        kept.insert(0, before[-1])
        comments.remove(before[-1])
    n_comments = len(comments)
    with TemporaryDirectory() as scratch:
        plain = Path(scratch) / "table.csv"
        separator = stated[1] if stated else _separator([lines[i] for i in kept], plain, path)
        if separator == " ":
            body = "\n".join(_SPACES.sub("\t", lines[i].strip()) for i in kept)
        else:
            body = "\n".join(lines[i] for i in kept)
        names = _names(body, "\t" if separator == " " else separator, path)
        plain.write_text(body + "\n", encoding="utf-8")
        frame = _frame(plain, "\t" if separator == " " else separator, names, kept, path)
    words = f"CSV, separated by {_SPOKEN.get(separator, repr(separator))}" if len(names) > 1 else "CSV of one column"
    words += f", {n_comments} comment lines passed over" if n_comments else ""
    plainly = unmarked if is_marked(names) else str
    names = [plainly(name) for name in names]
    rows = [
        {name: plainly(text) if isinstance(text, str) else text for name, text in zip(names, row, strict=True)}
        for row in frame.iter_rows()
    ]
    return names, rows, words


def _inside_quotes(lines: Sequence[str], path: Path) -> list[bool]:
    """Say of each line whether it begins within a quoted field of an earlier one; a quote opens at a field's start."""
    inside, opened, found = False, 0, list[bool]()
    for number, line in enumerate(lines, start=1):
        found.append(inside)
        if not inside and line.lstrip().startswith("#"):
            continue
        at = 0
        while at < len(line):
            if inside:
                end = _CLOSING.match(line, at)
                at, inside = (end.end(), False) if end else (len(line), True)
            elif start := _OPENING.search(line, at):
                at, inside, opened = start.end(), True, number
            else:
                break
    if inside:
        raise DataError(f"{path}, line {opened}: a quote is opened there and never closed", hint=_HINT)
    return found


def _is_header(comment: str, first: str) -> bool:
    """Whether a comment names the columns of the first line behind it: as many fields, names above numbers."""
    names = comment.lstrip().removeprefix("#")
    for mark in ("\t", ";", ",", "|", None):
        above, below = [part.strip() for part in names.split(mark)], [part.strip() for part in first.split(mark)]
        if len(below) > 1 and len(above) == len(below):
            return any(map(_is_number, below)) and not any(map(_is_number, above))
    return False


def _is_number(text: str) -> bool:
    try:
        number_from(text)
    except ValueError:
        return False
    return True


def _separator(lines: Sequence[str], plain: Path, path: Path) -> str:
    """Return what separates fields, as DuckDB's sniffer finds it; for a table drawn with spaces, a space."""
    if "\t" in lines[0]:
        return "\t"
    plain.write_text("\n".join(lines[:2000]) + "\n", encoding="utf-8")
    with decoding(lambda said: DataError(f"{path} is no table: {said}", hint=_HINT)):
        found = duckdb.execute(
            "SELECT Delimiter FROM sniff_csv(?, all_varchar = true, header = true, ignore_errors = true)", [str(plain)]
        ).fetchall()
    separator = str(found[0][0])
    if separator not in lines[0]:  # a header in which the sniffer's choice does not occur has one column, or spaces
        others = [mark for mark in (",", ";", "|") if mark in lines[0]]
        if others:
            return others[0]
        return " " if len(lines[0].split()) > 1 else separator
    return separator


def _names(body: str, separator: str, path: Path) -> list[str]:
    with decoding(lambda said: DataError(f"{path}: the header cannot be read: {said}", hint=_HINT)):
        names = [name.strip().strip("\ufeff") for name in next(csv.reader(StringIO(body), delimiter=separator))]
    names = [
        name or (f"column {i}" if i else "index") for i, name in enumerate(names)
    ]  # pandas leaves the index unnamed
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns named {twice!r}", hint="rename one of them")
    return names


def _frame(plain: Path, separator: str, names: Sequence[str], kept: Sequence[int], path: Path) -> pl.DataFrame:
    columns = {f"c{i}": "VARCHAR" for i in range(len(names))}
    try:
        query = (
            "SELECT * FROM read_csv(?, auto_detect = false, delim = ?, quote = '\"', escape = '\"', header = true, "
            "columns = ?, max_line_size = 16777216)"
        )
        with (
            decoding(lambda said: DataError(f"{path} is no table: {said}", hint=_HINT), but=(duckdb.Error,)),
            duckdb.connect(":memory:", config=duckdb_limits()) as connection,
        ):
            relation = connection.sql(query, params=[str(plain), separator, columns])
            frame: pl.DataFrame = relation.pl()
    except duckdb.Error as cause:
        raise DataError(f"{path}{_said(str(cause), kept)}", hint=_HINT) from cause
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _said(message: str, kept: Sequence[int]) -> str:
    """Say DuckDB's message with the line of the file that was given, not of the one that was read."""
    line = re.search(r"CSV Error on Line: (\d+)", message)
    expected = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    where = f", line {kept[min(int(line[1]), len(kept)) - 1] + 1}" if line else ""
    if expected:
        return f"{where} has {expected[2]} fields where the header has {expected[1]}"
    return f"{where}: {message.splitlines()[-1] if 'unquoted' in message else message.splitlines()[0]}"
