"""The families of the folder ``families`` and their built-in methods, found when heatdrift is imported."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Final

import msgspec

from heatdrift.errors import HeatdriftError, UnknownNameError
from heatdrift.methods import families
from heatdrift.methods.base import BuiltIn, Family
from heatdrift.methods.stored import Method


def found_families(folder: ModuleType) -> Iterator[type[Family]]:
    """Yield the family of every module of a package, in the order of their names.

    Each module must define one class derived from :class:`Family`; what a module imports from another does not count.
    """
    for entry in pkgutil.iter_modules(folder.__path__):
        module = importlib.import_module(f"{folder.__name__}.{entry.name}")
        own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
        classes = [c for c in own if issubclass(c, Family)]
        assert len(classes) == 1, f"{module.__name__} must define one family, it defines {len(classes)}"
        yield classes[0]


FAMILIES: Final[dict[str, type[Family]]] = {family.kind: family for family in found_families(families)}
BUILT_IN: Final[dict[str, BuiltIn]] = {
    entry.name: entry
    for entry in sorted((e for family in FAMILIES.values() for e in family.built_in()), key=lambda e: e.place)
}
METHODS: Final[dict[str, Method]] = {name: entry.family.stored(name) for name, entry in BUILT_IN.items()}
METHOD_TITLES: Final[dict[str, str]] = {name: entry.family.title() for name, entry in BUILT_IN.items()}


def method(name: str) -> Method:
    """Return the built-in method `name`; UnknownNameError (naming the nearest) when there is none."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownNameError("method", name, METHODS) from None


def family_of(method: Method) -> Family:
    """The family of a method, with its parameters.

    Raises
    ------
    UnknownNameError : a record of another heatdrift names a family that this one does not have.
    """
    for family in FAMILIES.values():
        if (found := family.read(method)) is not None:
            return found
    raise UnknownNameError("kind of method", str(method.kind), FAMILIES)


def known_family(method: Method | None) -> Family | None:
    """:func:`family_of`, or None for what this heatdrift cannot read: for pages that show what others recorded."""
    try:
        return None if method is None else family_of(method)
    except (HeatdriftError, msgspec.ValidationError):
        return None
