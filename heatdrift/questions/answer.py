"""What every answer has: typed values, checks, and the protocol that commands and pages rely on."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from heatdrift.questions.claims import Claim
    from heatdrift.questions.tables import Grid

ALPHA: Final = 0.05  # level of every claim


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A typed value of an answer; its fields are its JSON keys, NaN becomes null."""


class Check(Result, frozen=True, kw_only=True):
    """One assumption or sensitivity check: what was asked, the numbers, and a sentence for people.

    ``flag`` is True where the reader must know before believing the headline.
    """

    name: str
    flag: bool
    values: Mapping[str, float | int | str | None]
    sentence: str


class Shown(Protocol):
    """What can be printed on a terminal and as CSV."""

    def shown(self) -> "Iterator[str | Grid]":
        """Lines and tables for a terminal."""

    def csv_rows(self) -> list[dict[str, object]]:
        """Rows of the main table, for CSV."""


class Answer(Shown, Protocol):
    """What all answers have, whatever was asked: a number travels with its method and with what was left out."""

    @property
    def study(self) -> str | None:
        """Name of the study."""

    @property
    def method(self) -> str:
        """How the numbers were computed."""

    @property
    def findings(self) -> tuple[str, ...]:
        """Sentences of the claims that hold after the answer's own adjustment."""

    @property
    def claims(self) -> "tuple[Claim, ...]":
        """One per test that was made, supported or not."""

    @property
    def descriptions(self) -> tuple[str, ...]:
        """Sentences that describe these runs and that no test stands behind."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Where two tests disagree, or an average hides differences of both signs."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Runs and metrics that are not in the answer, one sentence per reason."""

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader must know before believing a number."""
