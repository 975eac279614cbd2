"""Settings that a source has besides ours, such as rank or augmentation: factors of its runs, kept by their own names.

A number is a setting only by its name (a rank is one, an F1 is a result); a text of few levels too, because a column
may as well hold remarks. ``--factor COLUMN`` says it of any column. Of known names those count that vary.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from heatdrift.controls import has_control
from heatdrift.errors import DataError, UnknownNameError
from heatdrift.store.importers.columns import IDENTITY
from heatdrift.store.importers.values import is_missing, is_text, key_numbers, number_from, trimmed
from heatdrift.store.validate import LONGEST_NAME

FACTOR: Final = "factor."  # before the name of a factor in a row of ours
TELLS: Final = "tells."  # the same, for a factor that tells runs of one key apart
MOST_LEVELS: Final = 30
_BEFORE: Final = r"(config[./]|params[./]|hparams?[./]|hp[._]|(q?lora|dora|peft|adapter)_)?"
_NUMBERS: Final = r"(r|rank|alpha|dropout|patch(_size)?|(image|img)_size|resolution|(n_|num_)?shots?|label_smoothing"
_NUMBERS_TOO: Final = r"|mixup|cutmix|ema(_decay)?|momentum|(train|data)_fraction|prompt_length)"
_TEXTS: Final = (
    r"(aug(ment(ation)?s?)?|data_?aug(mentation)?|optimi[sz]er|(lr_)?sched(ule|uler)?|target_modules|init(iali[sz]ation)?"
    r"|frozen|prompt|pretrain(ing|ed)|pretrained_on|regulari[sz](er|ation)|sampler|pooling|head(_type)?|loss_(fn|type)"
    r"|variant|recipe|precision_type)"
)
_NUMBER_NAME: Final = re.compile(_BEFORE + _NUMBERS + _NUMBERS_TOO, re.IGNORECASE)
_TEXT_NAME: Final = re.compile(_BEFORE + _TEXTS, re.IGNORECASE)


def own_factors(rows: Sequence[Mapping[str, object]], names: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Return those of `names` that are factors: those `asked` for, and those of known names that vary.

    Raises
    ------
    UnknownNameError
        A name in `asked` is no column among `names`. DataError: its values cannot be names of levels.
    """
    for name in asked:
        if name not in names:
            raise UnknownNameError("column", name, names, where="--factor")
    found = []
    for name in names:
        levels = {level_of(row.get(name)) for row in rows} - {None}
        if name in asked:
            _refuse(name, levels)
            found.append(name)
            continue
        numbers = all(_is_number(level) for level in levels)
        known = _NUMBER_NAME.fullmatch(name) or (not numbers and _TEXT_NAME.fullmatch(name))
        if known and 2 <= len(levels) <= MOST_LEVELS and not any(map(has_control, map(str, levels))):
            found.append(name)
    return tuple(found)


def level_of(value: object) -> str | None:
    """Return a value as the name of a level; 8, 8.0 and "8" are one level; the word none is one, a gap is not."""
    if isinstance(value, str) and trimmed(value).casefold() == "none":
        return "none"  # no augmentation is a setting like others
    if is_missing(value) or not is_text(value):
        return None
    text = trimmed(str(value))
    return f"{number_from(text):.12g}" if _is_number(text) else text


def telling(rows: Iterable[Mapping[str, object]], factors: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Return the factors that tell runs apart: those asked for, and those that differ within a key and epoch.

    Parameters
    ----------
    rows : in our columns, with the levels of `factors` under FACTOR.
    """
    seen: dict[tuple[object, ...], dict[str, str | None]] = {}
    found = set(asked)
    for row in rows:
        if any(name not in row for name in IDENTITY):
            continue
        try:
            numbers = key_numbers(row)
        except ValueError:
            continue  # reported with its row
        key = (*(str(row.get(n)) for n in ("backbone", "dataset", "method", "protocol", "epoch")), *numbers)
        levels = {name: None if (level := row.get(FACTOR + name)) is None else str(level) for name in factors}
        first = seen.setdefault(key, levels)
        found |= {name for name in factors if levels[name] != first[name]}
    return tuple(name for name in factors if name in found)


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and number_from(value) == number_from(value)
    except ValueError:
        return False


def _refuse(name: str, levels: set[str | None]) -> None:
    why = ""
    if not levels:
        why = "has no value in any row"
    elif len(name) > LONGEST_NAME or has_control(name) or any(has_control(str(level)) for level in levels):
        why = "has a name or values that are too long or hold control characters"
    elif len(levels) > MOST_LEVELS:
        why = f"has {len(levels)} levels, more than the {MOST_LEVELS} of a factor"
    if why:
        raise DataError(f"column {name!r} {why}, so it is no factor", hint="leave --factor out, or clean the column")
