"""METHOD@ALPHA: what a method trained, drawn back towards the base: W0 + alpha (W - W0), as WiSE-FT does.

Such a method trains nothing of its own: its cell takes the weights of its parent's, the cell that differs in the method
alone, at the parent's selected epoch. Adapters are merged first, so LoRA is scaled by alpha.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.methods.registry import family_of
from heatdrift.methods.stored import Method

SIGN = "@"


def parent_name(name: str) -> str:
    """`full_ft` of `full_ft@0.5`; a method that is no such one is its own."""
    return name.partition(SIGN)[0]


def alpha_of(name: str) -> float | None:
    """Alpha that a name says, None where it says none or something that is no number."""
    try:
        return float(name.partition(SIGN)[2]) if SIGN in name else None
    except ValueError:
        return None


def parent_method(method: Method) -> Method:
    """The method that trains."""
    return msgspec.structs.replace(method, name=parent_name(method.name), alpha=UNSET)


def planned_method(name: str, methods: Mapping[str, Method], where: str | None = None) -> Method:
    """The method that the grid of the study `where` names: one of `methods`, or one of them at an alpha.

    Raises
    ------
    UnknownNameError : there is no such method.
    StudyError : alpha is no number from 0 to 1, or is not written shortest; the method leaves the tower as it is.
    """
    parent = parent_name(name)
    if parent not in methods:
        raise UnknownNameError("method", parent, methods, where=f"[grid] of {where}" if where else None)
    if parent == name:
        return methods[name]
    alpha, said = alpha_of(name), f"{where}: method {name!r}" if where else f"method {name!r}"
    if alpha is None or not 0 <= alpha <= 1:
        problem = f"{said}: alpha must be a number from 0 (base) to 1 ({parent})"
        raise StudyError(problem, hint=f'method = ["{parent}", "{parent}{SIGN}0.5"]')
    if name != f"{parent}{SIGN}{alpha:g}":  # the name is part of a cell's id: one model must not have two
        raise StudyError(f"{said} is written {parent}{SIGN}{alpha:g}", hint="no zeros that say nothing")
    if not family_of(methods[parent]).changes_encoder:
        raise StudyError(f"{said}: {parent} leaves the tower as it is", hint=f'method = ["{parent}"]')
    return msgspec.structs.replace(methods[parent], name=name, alpha=alpha)


def between_words(words: str, alpha: float) -> str:
    """Title of a method at an alpha, from the title of its parent."""
    return f"{words}, interpolated at {alpha:g}"
