"""Words for methods: built-in titles, and those of the study whose runs are being read.

Sentences and charts know a method by its name alone. What a study defines itself, its runs carry (``method_spec``): the
command that reads the runs says so once, with :func:`use_titles`, and every sentence and chart after it has the words.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from heatdrift.methods.between import alpha_of, between_words, parent_name
from heatdrift.methods.registry import METHOD_TITLES, known_family
from heatdrift.methods.stored import Method

_OWN: Final[ContextVar[Mapping[str, str]]] = ContextVar("titles of own methods", default=MappingProxyType({}))


def method_title(name: str) -> str:
    """Return the words for a method; one that nothing is known of is called by its own name."""
    alpha, parent = alpha_of(name), parent_name(name)
    words = METHOD_TITLES.get(parent) or _OWN.get().get(parent)
    if alpha is None or words is None:
        return METHOD_TITLES.get(name) or _OWN.get().get(name, name)
    return between_words(words, alpha)


def all_titles() -> dict[str, str]:
    """Name -> words of every method that has some."""
    return {**_OWN.get(), **METHOD_TITLES}


def use_titles(methods: Iterable[tuple[Method, str | None]]) -> None:
    """Call each method by its title, or where that is None by words made from its parameters, from now on.

    "From now on" ends with the context (``contextvars``) and with the next call. A name that would have two titles is
    called by itself: it means two things.
    """
    words: dict[str, set[str]] = {}
    for method, title in methods:
        if (family := known_family(method)) is not None:
            words.setdefault(parent_name(method.name), set()).add(title or family.title())
    _OWN.set({name: found.pop() for name, found in words.items() if len(found) == 1})
