"""Values as sources write them -> values of ours, or nothing: what counts as missing, numbers, lists, times."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Final

import msgspec

from heatdrift.decoding import or_none
from heatdrift.errors import DataError
from heatdrift.wording import listed

MISSING: Final = frozenset(
    ("", "nan", "null", "none", "na", "n/a", "#n/a", "#na", "<na>", "nat", "nil", "-", "--", "---")
)  # in lower case; every dash counts as "-"
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_LONGEST_NUMBER: Final = 300  # digits of a whole number; Python itself refuses 4,300
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\x00"  # no whitespace to Python, nothing to a reader


def is_missing(value: object) -> bool:
    """Whether a source's value means that there is none: NULL, NaN, an empty text, or a word for it.

    >>> [is_missing(v) for v in (None, float("nan"), " NaN ", "N/A", "–", 0, "inf", "nano")]
    [True, True, True, True, True, False, False, False]
    """
    if isinstance(value, str):
        word = trimmed(value).casefold().translate(_DASHES)
        return word in MISSING or (word[:1] in "+-" and word[1:] == "nan")
    return value is None or (isinstance(value, float) and value != value)


def trimmed(text: str) -> str:
    """Return a text without what a reader does not see at its ends, accented letters composed (NFC)."""
    earlier = None
    while text != earlier:
        earlier, text = text, text.strip().strip(_INVISIBLE)
    return unicodedata.normalize("NFC", text)


def is_text(value: object) -> bool:
    """Whether a value can be written down; half of a surrogate pair, as JSON may hold, cannot."""
    try:
        return not isinstance(value, str) or bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def refuse_broken_names(names: Iterable[str], source: str) -> None:
    """Raise DataError where the name of a column holds half of a surrogate pair: no file of ours could hold it."""
    for name in names:
        if not is_text(name):
            raise DataError(
                f"{source}: the name of the column {ascii(name)[:60]} holds half of a surrogate pair, which is no text",
                hint="correct the name in the source; nothing was imported",
            )


def number_from(value: object) -> float:
    """Return what a value writes as a number; ValueError where it is none, and for `1_0`, which only Python reads."""
    text = str(value)
    if "_" in text:
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text)


def text_of(row: Mapping[str, object], name: str) -> str | None:
    """Return a value as text; None when absent."""
    value = row.get(name)
    return None if value is None else str(value)


def real_of(row: Mapping[str, object], name: str) -> float | None:
    """Return a number; None when absent, NaN or infinite; ValueError names what is none."""
    value = row.get(name)
    try:
        number = float("nan") if value is None else number_from(value)
    except ValueError:
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a number") from None
    return number if isfinite(number) else None


def whole_of(row: Mapping[str, object], name: str) -> int | None:
    """Return a whole number, also one written as 3.0; None when absent, NaN or infinite."""
    text = text_of(row, name)
    if text is not None and text.lstrip("+-").isdecimal():
        if len(text) > _LONGEST_NUMBER:
            raise ValueError(f"{name} is {text[:40]!r}... ({len(text)} digits), not a number that can be stored")
        return int(text)
    number = real_of(row, name)
    if number is not None and number != int(number):
        raise ValueError(f"{name} is {text!r}, not a whole number")
    return None if number is None else int(number)


def key_numbers(row: Mapping[str, object]) -> tuple[float, int]:
    """Return learning rate and seed, which must be there and finite: no number may stand in for a missing one.

    Raises
    ------
    ValueError
        One of them is no number, or infinite.
    """
    lr, seed = real_of(row, "lr"), whole_of(row, "seed")
    wrong = [name for name, value in (("lr", lr), ("seed", seed)) if value is None]
    if wrong:
        raise ValueError(f"{listed([f'{name} is {str(row.get(name))[:40]!r}' for name in wrong])}, not a finite number")
    assert lr is not None
    assert seed is not None
    return lr, seed


def list_of(value: object, name: str) -> tuple[float | None, ...]:
    """Return a list of numbers, given as one or as JSON text; ValueError names what is none."""
    values = or_none(
        lambda: msgspec.convert(msgspec.json.decode(value) if isinstance(value, str) else value, tuple[object, ...])
    )
    if values is None:
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a list of numbers")
    return tuple(real_of({name: None if is_missing(v) else v}, name) for v in values)


def time_of(run: Mapping[str, object], name: str) -> str | None:
    """Return ISO 8601; a number counts milliseconds since 1970, as MLflow keeps times."""
    value = run.get(name)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
        except (OverflowError, OSError, ValueError):
            raise ValueError(f"{name} is {str(value)[:40]}, not a time in milliseconds since 1970") from None
    return None if value is None else str(value)
