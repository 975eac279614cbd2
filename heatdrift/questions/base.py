"""What all results share."""

from collections.abc import Mapping

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all results."""


class Check(Result, frozen=True, kw_only=True):
    """One assumption or sensitivity check: what was asked, the numbers, and a sentence for people.

    ``flag`` is True where the reader must know before believing the headline.
    """

    name: str
    flag: bool
    values: Mapping[str, float | int | str | None]
    sentence: str
