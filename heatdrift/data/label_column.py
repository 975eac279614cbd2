"""The label column of Parquet files -> class numbers from 0 and class names.

Whole numbers are class numbers; texts are classes, in alphabetical order like class folders. What a column does not say
(which number is the first class) is asked for, never guessed.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heatdrift.data.images import check_labels, listed
from heatdrift.errors import DataError

Numbers = NDArray[np.int64]
MISSING_WORDS: Final = frozenset({"", "nan"})  # "none" is a class of real data sets

MOST_CLASSES: Final = 1_000_000  # a larger label is an id; a name for every number below it would fill the memory
_DIGITS: Final = 18  # of a text that is a number; longer ones are names

_SHOWN_NUMBERS: Final = 20  # classes that a hint spells out


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Labels and the classes that they mean.

    Attributes
    ----------
    labels : (n,) int64, in [0, number of classes).
    names : as the source writes them; empty where it has none.
    shown : `names`, else "class 0", "class 1", ...
    numbers : number of each class in the source; empty where these are 0..n-1.
    unused : classes that the source declares and has no picture of; they are no classes of the images.
    """

    labels: Numbers
    names: tuple[str, ...]
    shown: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumn:
    """The label column of one file, checked for what is missing.

    Attributes
    ----------
    values : class numbers, or one text a row.
    declared : class names that the file declares, by number.
    row_names : the class name of every row, where the file has a column of them.
    """

    values: Numbers | tuple[str, ...]
    declared: tuple[str, ...]
    row_names: Sequence[object] | None


def label_values(column: pa.ChunkedArray, name: str, where: str) -> Numbers | tuple[str, ...]:
    """Class numbers of a column of whole numbers (also as decimals or texts), or its texts.

    Raises
    ------
    DataError : a label is missing (the rows are named), or the column holds something else.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_text(kind)):
        problem = f"{where}: column {name} must hold whole numbers or texts and no NULL, it holds {kind}"
        raise DataError(problem, hint='name the column of the classes: label = "..." in the study file')
    if _is_text(kind):
        texts = [None if text is None else unicodedata.normalize("NFC", text.strip()) for text in column.to_pylist()]
        _refuse_missing([text is None or text.lower() in MISSING_WORDS for text in texts], name, where)
        if all(_is_number(str(text)) for text in texts):  # numbers that were written as texts: "10" comes after "2"
            numbers = np.array([int(str(text)) for text in texts], dtype=np.int64)
            _refuse_ids(numbers, name, where)
            return numbers
        return tuple(map(str, texts))
    values = column.to_numpy()
    _refuse_missing(np.isnan(values.astype(float)).tolist(), name, where)
    _refuse_ids(values, name, where)
    if pa.types.is_floating(kind) and not np.array_equal(values, np.trunc(values)):
        row = int(np.flatnonzero(values != np.trunc(values))[0])
        problem = f"{where}: column {name} must hold whole numbers or texts, row {row} has {values[row]}"
        raise DataError(problem, hint='name the column of the classes: label = "..." in the study file')
    return np.asarray(values, dtype=np.int64)


def _refuse_ids(values: NDArray[Any], name: str, where: str) -> None:
    far = np.flatnonzero((values > MOST_CLASSES) | (values < -MOST_CLASSES))
    if len(far):
        problem = (
            f"{where}: column {name}, row {far[0]}: {values[far[0]]} is no class number (at most {MOST_CLASSES:,})"
        )
        raise DataError(problem, hint='name the column of the classes: label = "..." in the study file')


def read_classes(columns: Sequence[LabelColumn], *, labels_from: int, where: str, chosen: bool = False) -> Classes:
    """Bring the label columns of all shards together.

    Classes that a source names and has no picture of are left out and listed in `unused`: they must not be among the
    prompts. Without names a gap in the numbers is an error, because nobody can say what is missing; it is none where
    the study has `chosen` its classes.

    Raises
    ------
    DataError : shards of different kinds or class names, a number with two names, labels out of range.
    """
    kinds = {isinstance(column.values, tuple) for column in columns}
    if len(kinds) > 1:
        raise DataError(f"{where}: some shards have text labels, others numbers", hint="give shards of one data set")
    row_names = None
    if all(column.row_names is not None for column in columns):
        row_names = [name for column in columns for name in column.row_names or ()]
    if kinds == {True}:
        texts = [text for column in columns for text in column.values]
        every, labels = np.unique(np.array(texts, dtype=object), return_inverse=True)
        labels = labels.astype(np.int64)
        written = _names_by_row(labels, row_names, where) if row_names is not None else {}
        names = tuple(written.get(i, str(text)) for i, text in enumerate(every))
        return _checked(labels, names, 0, where, chosen)
    numbers = [column.values for column in columns if not isinstance(column.values, tuple)]
    labels = np.concatenate(numbers) - labels_from
    declared = {column.declared for column in columns if column.declared}
    if len(declared) > 1:
        raise DataError(f"{where}: shards declare different class names", hint="give shards of one data set")
    names = declared.pop() if declared else ()
    if not names and row_names is not None:
        by_number = _names_by_row(labels, row_names, where)
        names = tuple(by_number.get(label, f"class {label}") for label in range(max(by_number, default=-1) + 1))
    return _checked(labels, names, labels_from, where, chosen)


def _checked(labels: Numbers, names: tuple[str, ...], labels_from: int, where: str, chosen: bool) -> Classes:  # noqa: FBT001
    """Leave named classes without a picture out, and refuse numbers that are out of range."""
    n_classes = len(names) or int(labels.max(initial=-1)) + 1
    if len(labels) and labels.max() == labels.min() == -1 - labels_from:
        raise DataError(f"{where}: all labels are -1, so this split has none", hint="use a split that has labels")
    in_range = len(labels) > 0 and labels.min() >= 0 and labels.max() < n_classes
    used = np.unique(labels) if in_range else np.arange(n_classes)
    if names and in_range and 1 < len(used) < n_classes:
        kept = tuple(names[number] for number in used)
        unused = tuple(name for number, name in enumerate(names) if number not in set(used.tolist()))
        found = np.searchsorted(used, labels).astype(np.int64)
        return Classes(labels=found, names=kept, shown=kept, numbers=tuple(used.tolist()), unused=unused)
    if chosen and in_range and not names:
        kept = tuple(f"class {number}" for number in used)
        found = np.searchsorted(used, labels).astype(np.int64)
        return Classes(labels=found, names=(), shown=kept, numbers=tuple(used.tolist()))
    shown = names or tuple(f"class {number}" for number in range(n_classes))
    try:
        check_labels(labels, len(shown), where)
    except DataError as error:
        raise DataError(error.message, hint=_numbering_hint(labels, labels_from, names) or error.hint) from None
    return Classes(labels=labels, names=names, shown=shown)


def _numbering_hint(labels: Numbers, labels_from: int, names: tuple[str, ...]) -> str | None:
    """What to say in the study file where numbers are not 0..n-1."""
    used = np.unique(labels)
    if labels_from == 0 and len(used) and used[0] == 1 and used[-1] == len(names or used):
        return "if the first class has number 1 there: labels_from = 1 in the study file"
    if 1 < len(used) <= _SHOWN_NUMBERS and used[0] >= 0 and not names:
        return f"if these are all classes there are: classes = {(used + labels_from).tolist()} in the study file"
    return None


def _names_by_row(labels: Numbers, row_names: Sequence[object], where: str) -> Mapping[int, str]:
    names: dict[int, Any] = {}
    for label, name in zip(labels.tolist(), row_names, strict=True):
        if names.setdefault(label, name) != name:
            problem = f"{where}: label {label} has two names, {names[label]!r} and {name!r}"
            raise DataError(problem, hint="correct label_name in the source")
    return {label: f"class {label}" if name is None else str(name) for label, name in names.items()}


def _refuse_missing(missing: Sequence[bool], name: str, where: str) -> None:
    rows = [str(row) for row, gone in enumerate(missing) if gone]
    if rows:
        what = f"row {rows[0]} has" if len(rows) == 1 else f"{len(rows)} rows have"
        problem = f"{where}: column {name} must have a label in every row and no NULL; {what} none"
        at = "" if len(rows) == 1 else f" (rows {listed(rows)})"
        raise DataError(problem + at, hint="correct the labels of the source, or leave these rows out")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) <= _DIGITS
