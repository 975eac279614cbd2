"""Texts in CSV that a spreadsheet would run as formulas: marked with an apostrophe going out, unmarked coming in.

A cell that begins with one of ``= + - @``, a tab or a carriage return is a formula to Excel and its like, which can
call programs (CWE-1236). A text that begins with apostrophes before such a character gets one more, so that reading
takes off exactly what writing put on. Columns of numbers stay as they are; names of columns are marked like texts.

An import takes the marks off in tables of our export alone, which have the columns ``study`` and ``cell_id``: in a
table of somebody else, an apostrophe is part of the text.
"""

import re
from collections.abc import Iterable
from typing import Final

import polars as pl

_MARKED: Final = r"^('*[=+\-@\t\r])"  # any number of apostrophes before such a character


_MARKED_TEXT: Final = re.compile(_MARKED)
_OURS: Final = frozenset(("study", "cell_id"))  # columns of every table of runs that we export


def is_marked(names: Iterable[str]) -> bool:
    """Whether a CSV file with columns of these names is one of our export, whose texts are marked."""
    return set(names) >= _OURS


def csv_safe(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with an apostrophe before texts, and names of columns, that a spreadsheet would run."""
    texts = [name for name, kind in frame.schema.items() if isinstance(kind, pl.String | pl.Categorical | pl.Enum)]
    safe = frame.with_columns(pl.col(name).cast(pl.String).str.replace(_MARKED, "'$1") for name in texts)
    return safe.rename({name: _MARKED_TEXT.sub(r"'\1", name) for name in safe.columns})


def safe_sql(column: str) -> str:
    """Return an SQL expression that does the same with a text column, given as an identifier."""
    pattern = _MARKED.replace("'", "''")
    mark = "'''\\1'"
    return f"regexp_replace({column}, '{pattern}', {mark})"


def unmarked(text: str) -> str:
    """Return a text of a CSV file as it was before it was marked.

    >>> unmarked("'=1+1"), unmarked("''=1"), unmarked("'tis")
    ('=1+1', "'=1", "'tis")
    """
    return text[1:] if text.startswith("'") and text.lstrip("'")[:1] in tuple("=+-@\t\r") else text
