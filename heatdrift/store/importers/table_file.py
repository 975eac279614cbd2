"""A table as people keep it -> rows: CSV in any dialect, Parquet, JSON, JSON lines; packed with gzip or not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.store.date_range import first_far_date
from heatdrift.store.importers.csv_text import read_csv_text
from heatdrift.store.importers.json_rows import json_rows
from heatdrift.store.importers.parquet_table import read_parquet_table
from heatdrift.store.importers.text_file import read_text
from heatdrift.store.importers.values import is_missing, number_from

Rows = list[dict[str, object]]
_MOST_VALUES: Final = 50_000_000  # rows times columns that are taken one by one; more belong into a bulk part
_CAST: Final = "write dates as texts (ISO 8601) and numbers as 64-bit numbers"
_TEXTS: Final = (".csv", ".tsv", ".tab", ".txt", ".dat")
_SUFFIXES: Final = (*_TEXTS, ".parquet", ".json", ".jsonl", ".ndjson")


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds.

    Attributes
    ----------
    names : columns, in their order.
    rows : name -> value; numbers of a text file are text, so that no seed or hash becomes another number.
    read_as : dialect and encoding, in words.
    percent : columns whose values had a percent sign, which is taken off.
    """

    names: tuple[str, ...]
    rows: Rows
    read_as: str
    percent: tuple[str, ...] = ()


def read_table_file(path: Path) -> TableFile:
    """Read a table by its suffix, in upper or lower case.

    Raises
    ------
    DataError
        No such file or suffix, damaged, no table, two columns of one name, or nothing in it.
    """
    kind = _kind(path)
    if kind == ".parquet":
        found = _parquet(path)
    else:
        source = read_text(path)
        read: Callable[[str, Path], tuple[Sequence[str], Rows, str]] = read_csv_text if kind in _TEXTS else json_rows
        names, rows, words = read(source.text, path)
        read_as = ", ".join(filter(None, (words, source.read_as)))
        found = TableFile(names=tuple(names), rows=rows, read_as=read_as)
    if not found.rows:
        raise DataError(f"{path} has no rows", hint="name a table with a row for every run")
    return _numbers(found)


def _kind(path: Path) -> str:
    parts = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(parts) if suffix not in (".gz", ".gzip")), "")
    if kind not in _SUFFIXES:
        raise DataError(
            f"{path} is no table by its suffix (known: {', '.join(_SUFFIXES)}, also with .gz)",
            hint="give it the suffix of what it holds, or name another --format",
        )
    return kind


def _parquet(path: Path) -> TableFile:
    frame = read_parquet_table(path, hint="name a CSV, Parquet or JSON table", most_values=_MOST_VALUES)
    if far := first_far_date(frame):
        name, row = far
        raise DataError(f"{path}, row {row + 1}: {name!r} has a date outside the years 1 to 9999", hint=_CAST)
    with decoding(lambda said: DataError(f"{path} has a value that no table can hold: {said}", hint=_CAST)):
        return TableFile(names=tuple(frame.columns), rows=frame.rows(named=True), read_as="Parquet")


def _numbers(table: TableFile) -> TableFile:
    """Take off percent signs and turn decimal commas, in columns of texts in which all values have the same form."""
    signs, commas = list[str](), list[str]()
    elsewhere = any(_decimal_comma(_texts(table, name)) and _numbers_with_commas(table, name) for name in table.names)
    for name in table.names:
        texts = _texts(table, name)
        if not texts or any(
            not isinstance(value, str) and not is_missing(value) for value in (r.get(name) for r in table.rows)
        ):
            continue
        plain = {text: text.removesuffix("%").rstrip() for text in texts}
        changed = dict(plain) if all(text.endswith("%") for text in texts) else {text: text for text in texts}
        if _decimal_comma(set(changed.values()), elsewhere=elsewhere):
            changed = {text: number.replace(",", ".") for text, number in changed.items()}
            commas.append(name)
        if not all(map(_is_number, changed.values())):
            if name in commas:
                commas.remove(name)
            continue
        if all(text.endswith("%") for text in texts):
            signs.append(name)
        if name in signs or name in commas:
            for row in table.rows:
                if isinstance(value := row.get(name), str) and not is_missing(value):
                    row[name] = changed[value.strip()]
    said = [f"decimal commas in {', '.join(commas)}"] if commas else []
    said += [f"percent signs in {', '.join(signs)}"] if signs else []
    read_as = "; ".join(filter(None, (table.read_as, *said)))
    return msgspec.structs.replace(table, read_as=read_as, percent=tuple(signs))


def _texts(table: TableFile, name: str) -> set[str]:
    texts = {value.strip() for row in table.rows if isinstance(value := row.get(name), str)}
    return {text for text in texts if not is_missing(text)}


def _numbers_with_commas(table: TableFile, name: str) -> bool:
    return all(_is_number(text.removesuffix("%").rstrip().replace(",", ".")) for text in _texts(table, name))


def _decimal_comma(texts: set[str], *, elsewhere: bool = False) -> bool:
    """Whether commas in all these texts are decimal signs: one in a text, and no point.

    Three digits behind all of them could be thousands (1,024), unless a text begins with 0 (0,001) or another column
    of the file has decimal commas (`elsewhere`).
    """
    with_comma = [text for text in texts if "," in text]
    if not with_comma or any("." in text for text in texts) or any(text.count(",") > 1 for text in with_comma):
        return False
    parts = [text.removesuffix("%").rstrip().lstrip("+-").partition(",") for text in with_comma]
    return elsewhere or any(
        len(digits) != 3 or not digits.isdecimal() or whole in ("0", "") for whole, _, digits in parts
    )


def _is_number(text: str) -> bool:
    try:
        number_from(text)
    except ValueError:
        return False
    return True
