"""Arguments of public functions against their annotations: one clear error in place of a library's traceback."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

import numpy as np

from heatdrift.errors import StatsError

_NAMES: Final[Mapping[object, str]] = {
    int: "a whole number", float: "a number", str: "a text", bool: "True or False", type(None): "None",
}  # fmt: skip


def check_arguments(function: Callable[..., Any], options: Mapping[str, object]) -> None:
    """Refuse the first of the named `options` whose value is not of the type that `function` says.

    Whole and real numbers, texts, True or False, choices, and sequences of these are looked at; other types are left
    to the function. Numbers of NumPy count.

    Raises
    ------
    StatsError
        The value is of another type.
    """
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # an annotation that only type checkers see
        return
    for name, value in options.items():
        if name in hints and not _fits(value, hints[name]):
            wanted = " or ".join(dict.fromkeys(_words(kind) for kind in _kinds(hints[name])))
            raise StatsError(
                f"{name} of {function.__name__} is {wanted}, got {repr(value)[:60]}",
                hint=f"help(heatdrift.{function.__name__})",
            )


def _kinds(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 (an annotation)
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    return any(_is(value, kind) for kind in _kinds(hint))


def _is(value: object, kind: Any) -> bool:  # noqa: ANN401
    origin = get_origin(kind)
    if kind is type(None):
        return value is None
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind in (int, float):
        number = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
        return isinstance(value, number) and not isinstance(value, bool)
    if kind is str:
        return isinstance(value, str)
    if origin is Literal:
        return any(type(value) is type(choice) for choice in get_args(kind))  # which, the function itself says
    if origin is Sequence:
        if isinstance(value, str):
            return get_args(kind) == (str,)  # the function itself says what is wrong with one text
        return isinstance(value, Sequence | np.ndarray) and all(_fits(item, get_args(kind)[0]) for item in value)
    if origin is tuple and get_args(kind)[-1] is not Ellipsis:
        parts = get_args(kind)
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(parts):
            return False
        return all(_fits(item, part) for item, part in zip(value, parts, strict=True))
    return True


def _words(kind: Any) -> str:  # noqa: ANN401
    origin = get_origin(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if origin is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if origin is Sequence:
        return f"a list, each item {_words(get_args(kind)[0])}"
    if origin is tuple:
        return f"{len(get_args(kind))} values, each {_words(get_args(kind)[0])}"
    return getattr(kind, "__name__", str(kind)).lower()
