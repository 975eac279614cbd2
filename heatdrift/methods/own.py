"""Methods that a study file defines: ``[methods.NAME]`` with the kind of a family and the family's parameters."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

import msgspec

from heatdrift.errors import HeatdriftError, StudyError, nearest_name
from heatdrift.methods.base import Family
from heatdrift.methods.registry import FAMILIES, METHODS
from heatdrift.methods.stored import Method

Table = Mapping[str, Any]
_OWN_KEYS: Final = ("kind", "title")  # of every family; a title is no part of a cell's identity
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")


def study_methods(tables: Mapping[str, Table], where: str = "this study") -> dict[str, Method]:
    """Methods that a study may name: the built-in ones and those of its ``[methods.NAME]`` tables.

    Raises
    ------
    StudyError : a name that is taken or cannot be used in a query, an unknown kind or key, a wrong value; the message
        says where, the hint names the nearest that there is.
    """
    return METHODS | {name: own_family(name, table, where).stored(name) for name, table in tables.items()}


def own_family(name: str, table: Table, where: str) -> Family:
    """Decode one table strictly; errors as in :func:`study_methods`."""
    place = f"{where}: [methods.{name}]"
    if name in METHODS:
        raise StudyError(f"{place} is the name of a built-in method", hint="choose another name")
    if not _NAME.fullmatch(name):
        raise StudyError(f"{place} is no name for a method", hint="use letters, digits and _ - .")
    kind = table.get("kind")
    if kind not in FAMILIES:
        problem = f"{place} has no kind" if kind is None else f"{place} unknown kind {kind!r}"
        raise StudyError(problem, hint=_known("kinds", str(kind), FAMILIES))
    family = FAMILIES[kind]
    keys = (*_OWN_KEYS, *(field.name for field in fields(family)))
    for key in table:
        if key not in keys:
            raise StudyError(f"{place} unknown key {key!r}", hint=_known(f"keys of {kind}", key, keys))
    if not isinstance(table.get("title", "-"), str) or not table.get("title", "-").strip():
        raise StudyError(f"{place} title must be words", hint='title = "LoRA on the late blocks", or leave it out')
    try:
        return msgspec.convert({key: value for key, value in table.items() if key not in _OWN_KEYS}, family)
    except msgspec.ValidationError as error:
        raise StudyError(f"{place} {error}", hint="write numbers without quotes, lists in [ ]") from None
    except HeatdriftError as error:
        raise StudyError(f"{place} {error.message}", hint=error.hint) from None


def own_titles(tables: Mapping[str, Table]) -> dict[str, str]:
    """Titles that a study's tables give, by method."""
    return {name: str(table["title"]) for name, table in tables.items() if "title" in table}


def _known(what: str, name: str, known: Iterable[str]) -> str:
    nearest = nearest_name(name, known := tuple(known))
    meant = f"did you mean {nearest!r}? " if nearest else ""
    return f"{meant}known {what}: {', '.join(known)}"
