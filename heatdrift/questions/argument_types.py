"""Arguments of public functions against their annotations: one clear error in place of a library's traceback."""

import contextlib
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, TypeVar, get_args, get_origin

import msgspec
import numpy as np

from heatdrift.errors import StatsError

P = ParamSpec("P")
R = TypeVar("R")

_NAMES: Final[Mapping[object, str]] = {
    int: "a whole number", float: "a number", str: "a text", Path: "a path", bool: "True or False", type(None): "None",
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
    hints = _hints(function)
    for name, value in options.items():
        if name in hints and not _fits(value, hints[name]):
            wanted = " or ".join(dict.fromkeys(_words(kind) for kind in _kinds(hints[name])))
            raise StatsError(
                f"{name} of {function.__qualname__} is {wanted}, got {repr(value)[:60]}",
                hint=f"help(heatdrift.{function.__qualname__.removesuffix('.__init__')})",
            )


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with `check_arguments` before each call; its signature and documentation stay."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*given: P.args, **options: P.kwargs) -> R:
        check_arguments(function, signature.bind(*given, **options).arguments)
        return function(*given, **options)

    return call


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations as types, without those of names that only type checkers see."""
    found: dict[str, Any] = {}
    for name, annotation in function.__annotations__.items():
        one = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(NameError):
            found |= typing.get_type_hints(one, globalns=getattr(function, "__globals__", {}))
    return found


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
    if kind is Path:
        return isinstance(value, os.PathLike)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return isinstance(value, kind)
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
