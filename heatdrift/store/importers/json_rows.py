"""Text of a JSON or JSON-lines file -> rows: a list of objects, an object a line, or columns as pandas writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeGuard

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.store.importers.values import refuse_broken_names

_DEEPEST: Final = 8  # levels of objects in a row; runs of trackers have three
_HINT: Final = "give a list of objects, one a run, or one object a line: numbers and texts by column name"


def json_rows(text: str, path: Path) -> tuple[Sequence[str], list[dict[str, object]], str]:
    """Return columns, rows and how the text was read; an object within a row becomes columns `outer.inner`.

    A list of objects within a run, such as its log, gives a row for each of them, with what the run has besides.

    NaN and Infinity, which Python writes though JSON has none, are read.

    Raises
    ------
    DataError
        No JSON, no table, a column whose name is no text, or nested deeper than a table can be; row and column are
        named.
    """
    stripped = text.strip()
    try:
        with decoding(lambda _: _nested(path, "it", ""), but=(ValueError,)):
            found, words = json.loads(stripped), "JSON"
    except ValueError as cause:
        found, words = _lines(stripped, path, cause), "JSON lines"
    if isinstance(found, Mapping) and not (columns := _columns(found)):
        found = [found]
    elif isinstance(found, Mapping):
        found, words = columns, "JSON by columns"
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise DataError(f"{path} is JSON, but no table", hint=_HINT)
    rows = [flat for number, row in enumerate(found, start=1) for flat in _rows(row, path, number)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    refuse_broken_names(names, str(path))
    return names, rows, words


def _lines(text: str, path: Path, first: ValueError) -> list[object]:
    rows = []
    lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            with decoding(lambda _, at=number: _nested(path, f"row {at}", ""), but=(ValueError,)):  # type: ignore[misc]
                rows.append(json.loads(line))
        except ValueError as cause:
            problem = f"line {number}: {cause}" if number > 1 else str(first)
            raise DataError(f"{path} is no JSON: {problem}", hint=_HINT) from cause
    return rows


def _columns(found: Mapping[str, object]) -> list[dict[str, object]]:
    """Return rows of column -> list, of column -> number -> value (as pandas does), or of name -> row; else nothing."""
    lists = [v for v in found.values() if isinstance(v, list)]
    if lists and len(lists) == len(found) and len({len(v) for v in lists}) == 1:
        return [dict(zip(found, row, strict=True)) for row in zip(*lists, strict=True)]
    objects = {name: v for name, v in found.items() if isinstance(v, Mapping) and v}
    if len(objects) < 2 or len(objects) < len(found):
        return []
    inner = [list(v) for v in objects.values()]
    if any(set(names) != set(inner[0]) for names in inner):
        return []
    if all(name.isdecimal() for name in inner[0]):
        return [{name: v[at] for name, v in objects.items()} for at in inner[0]]
    return [dict(v) for v in objects.values()]


def _rows(run: Mapping[str, object], path: Path, number: int) -> list[dict[str, object]]:
    """Return the rows of one run: one, or as many as its list of objects is long; the objects' names stay short."""
    flat = dict(_flat(run, path, number))
    logs = {name: value for name, value in flat.items() if _is_log(value)}
    if not logs:
        return [flat]
    if len(logs) > 1:
        raise _nested(path, f"row {number}", list(logs)[1])
    ((name, items),) = logs.items()
    whole = {column: value for column, value in flat.items() if column != name}
    rows = [dict(_flat(item, path, number)) for item in items if isinstance(item, Mapping)]
    if any(_is_log(value) for row in rows for value in row.values()):
        raise _nested(path, f"row {number}", name)
    return [
        whole | {column if column not in whole else f"{name}.{column}": value for column, value in row.items()}
        for row in rows
    ]


def _is_log(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _flat(row: Mapping[str, object], path: Path, number: int) -> list[tuple[str, object]]:
    """Return a row without objects in it; lists of plain values stay, they may be values per block."""
    done, waiting = list[tuple[str, object]](), [(name, value, 1) for name, value in reversed(list(row.items()))]
    while waiting:
        name, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise _nested(path, f"row {number}", name)
        if isinstance(value, Mapping):
            waiting += [(f"{name}.{inner}", v, depth + 1) for inner, v in reversed(list(value.items()))]
        elif isinstance(value, list) and not _is_log(value) and any(isinstance(item, list | Mapping) for item in value):
            raise _nested(path, f"row {number}", name)
        else:
            done.append((name, value))
    return done


def _nested(path: Path, where: str, column: str) -> DataError:
    shown = ".".join([*column.split(".")[:3], ".."]) if column.count(".") > 3 else column
    return DataError(
        f"{path}: {where}{f', column {shown!r},' if column else ''} is nested too deep for a table", hint=_HINT
    )
