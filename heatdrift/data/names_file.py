"""A user's file of class names: numbers, names of the source or WordNet ids -> words for prompts and pages.

.txt has a name a line in the order of the classes, or a number or WordNet id before each; .csv and .tsv have one
column of names, or two of which the first says whose; .json has a list, or an object. What does not fit is refused: a
list that is off by one would give every class the name of another.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.config import WHERE_DATA_LIES
from heatdrift.data.files import file_sha256
from heatdrift.data.images import LabelledImages, listed, name_index
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError

SUFFIXES: Final = (".txt", ".csv", ".tsv", ".json")
_WORDNET: Final = re.compile(r"(n\d{8})[\s:,]+(\S.*)")
_NUMBERED: Final = re.compile(r"(\d+)[\s:,]+(\S.*)")
_KEY_HEADS: Final = (
    *("id", "label", "number", "index", "class", "class_id", "code", "key", "source", "folder"),
    *("wnid", "wordnet", "wordnet_id", "synset"),
)
_NAME_HEADS: Final = ("name", "names", "class_name", "label_name", "words", "word", "text", "prompt", "description")
_HINT: Final = "docs/data.md, 'Class names', shows every form"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesFile:
    """What a file says: words by key, or in the order of the classes; one of them is empty."""

    path: Path
    by_key: Mapping[str, str]
    in_order: tuple[str, ...]


def is_names_file(key: str) -> bool:
    """Whether `class_names = key` names a file rather than a released list."""
    return key.lower().endswith(SUFFIXES)


def names_file_identity(key: str, folder: Path) -> str:
    """Content of a names file as a cell id knows it, wherever the file lies; DataError if it is not there."""
    return f"sha256:{file_sha256(folder / key)}"


def read_names_file(path: Path) -> NamesFile:
    """Read a names file.

    Raises
    ------
    DataError : it is not there, not UTF-8, empty, says a key twice, or has another form.
    """
    if not path.exists():
        raise DataError(f"there is no names file {path}", hint=f"class_names: a list or a file; {WHERE_DATA_LIES}")
    with decoding(lambda reason: DataError(f"cannot read {path} as UTF-8 text: {reason}", hint="save it as UTF-8")):
        text = read_whole(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    kind = path.suffix.lower()
    if kind == ".json":
        pairs = _json(text, path)
    elif kind == ".txt":
        pairs = _lines(text)
    else:
        with decoding(lambda reason: DataError(f"{path} is no table: {reason}", hint=_HINT)):
            pairs = _table(text, path)
    if not pairs:
        raise DataError(f"{path} holds no names", hint=_HINT)
    nameless = [str(line) for line, (_, name) in enumerate(pairs, start=1) if not name]
    if nameless:
        raise DataError(f"{path}: entry {listed(nameless)} has no name", hint=_HINT)
    if all(key is None for key, _ in pairs):
        return NamesFile(path=path, by_key={}, in_order=tuple(name for _, name in pairs))
    by_key: dict[str, str] = {}
    for key, name in pairs:
        if by_key.setdefault(str(key), name) != name:
            raise DataError(f"{path}: {key!r} is both {by_key[str(key)]!r} and {name!r}", hint="say each class once")
    return NamesFile(path=path, by_key=by_key, in_order=())


def words_from(names: NamesFile, images: LabelledImages) -> tuple[str, ...]:
    """Words of each class of `images`: by the source's own names, else by its numbers as the source or from 0.

    Raises
    ------
    DataError : a class has no words, two have the same, or a list does not fit the classes.
    """
    words = _by_key(names, images) if names.by_key else _in_order(names, images)
    if len(set(words)) != len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise DataError(
            f"{names.path} calls two classes of {images.source} {twice!r}", hint="give each a name of its own"
        )
    return words


def _by_key(names: NamesFile, images: LabelledImages) -> tuple[str, ...]:
    numbered = all(key.isdigit() for key in names.by_key)
    if images.source_names and not numbered:
        find, words = name_index(names.by_key), list(names.by_key.values())
        places = [find(name) for name in images.source_names]
        found = [None if place is None else words[place] for place in places]
        shown: Sequence[object] = images.source_names
    else:
        by_number = {int(key): word for key, word in names.by_key.items() if key.isdigit()}
        numbers = images.class_numbers
        from_one = sorted(by_number) == list(range(1, len(by_number) + 1)) and 0 in numbers
        one_based = 0 not in by_number and (images.first_number == 1 or from_one)
        found = [by_number.get(number + one_based) for number in numbers]
        shown = numbers
    missing = [repr(name) for name, word in zip(shown, found, strict=True) if word is None]
    if missing:
        problem = f"{names.path} has no words for class {listed(missing)} of {images.source}"
        raise DataError(
            problem, hint=f"its keys begin {listed(map(repr, names.by_key))}; write one line for each class"
        )
    return tuple(word for word in found if word is not None)


def _in_order(names: NamesFile, images: LabelledImages) -> tuple[str, ...]:
    find = name_index(names.in_order)
    places = [find(name) for name in images.source_names]
    if places and None not in places:
        return tuple(names.in_order[place] for place in places if place is not None)
    numbers, n = images.class_numbers, len(names.in_order)
    if max(numbers) >= n or not (images.numbers or n == len(numbers)):
        problem = f"{images.source} has {len(numbers)} classes, {names.path} has {n} names"
        raise DataError(problem, hint="give a name for each class, or a table: the source's name, words")
    in_source = name_index(images.source_names)
    for number, name in enumerate(names.in_order):
        place = in_source(name)
        if place is not None and numbers[place] != number:
            problem = f"{names.path}: name {number + 1} is {name!r}, which is class {numbers[place] + 1} of the source"
            hint = "order the names as the classes are, or give a table: the source's name, words"
            raise DataError(problem, hint=hint)
    return tuple(names.in_order[number] for number in numbers)


_Pairs = list[tuple[str | None, str]]


def _lines(text: str) -> _Pairs:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if found := _all(_WORDNET, lines):  # "n01440764 tench, Tinca tinca": the first of the synonyms
        return [(wordnet, words.partition(",")[0].strip()) for wordnet, words in found]
    found = _all(_NUMBERED, lines)
    if found and [int(number) for number, _ in found] in (list(range(len(found))), list(range(1, len(found) + 1))):
        return [(str(int(number)), words) for number, words in found]
    return [(None, line) for line in lines]


def _all(pattern: re.Pattern[str], lines: Iterable[str]) -> list[tuple[str, str]]:
    """Both groups of every line; empty where one line is otherwise."""
    matches = [pattern.fullmatch(line) for line in lines]
    return [(match[1], match[2]) for match in matches if match] if all(matches) else []


def _table(text: str, path: Path) -> _Pairs:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    rows = [row for row in rows if any(row) and not row[0].startswith("#")]
    if not rows:
        return []
    heads = [cell.lower().replace(" ", "_") for cell in rows[0]]
    headed = all(head in _KEY_HEADS + _NAME_HEADS for head in heads) or (
        len(heads) > 2 and any(head in _NAME_HEADS for head in heads)
    )
    width = len(heads)
    uneven = next((line for line, row in enumerate(rows, start=1) if len(row) != width), None)
    if uneven is not None:
        problem = f"{path}: entry {uneven} has {len(rows[uneven - 1])} columns, the first has {width}"
        raise DataError(problem, hint='put names that hold the separator into quotes: "tench, Tinca tinca"')
    if width == 1:
        return [(None, row[0]) for row in rows[headed:]]
    if not headed and width > 2:
        raise DataError(f"{path} has {width} columns without a heading", hint="head them, such as label,name")
    name = next((i for i, head in enumerate(heads) if headed and head in _NAME_HEADS), None)
    key = next((i for i, head in enumerate(heads) if headed and head in _KEY_HEADS and i != name), 0)
    if name is None:
        name = next(i for i in range(width) if i != key)
    return [(row[key], row[name]) for row in rows[headed:]]


def _json(text: str, path: Path) -> _Pairs:
    with decoding(lambda reason: DataError(f"{path} is not JSON: {reason}", hint=_HINT)):
        found = msgspec.json.decode(text)
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return [(None, name.strip()) for name in found]
    pairs: _Pairs = []
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, str):
                pairs.append((key, value.strip()))
            elif isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
                pairs.append((value[0], value[1].strip()))  # ImageNet's class index: number -> [WordNet id, words]
        if len(pairs) == len(found):
            return pairs
    raise DataError(f"{path} is neither a list of names nor an object of them", hint=_HINT)
