"""Answers as lines and tables for a terminal, and as rows of CSV."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from heatdrift.wording import family_text, gist


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: names of its columns, its rows, and a title above it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str | None = None


class Detail(str):
    """A line that is printed where everything is asked for: how the numbers were computed."""


class Caveat(str):
    """A line that limits an answer: a label, a colon, and a text whose first clause is enough where little is asked."""


def first_read(parts: Iterable[str | Grid]) -> Iterator[str | Grid]:
    """Yield what a person reads first: lines without the details, caveats cut to their first clause, and the tables."""
    for part in parts:
        if isinstance(part, Caveat):
            label, _, text = part.partition(": ")
            head, rest = gist(text)
            yield f"{label}: {head}{' ...' if rest else ''}"
        elif not isinstance(part, Detail):
            yield part


class _Opened(Protocol):
    """What an answer opens with."""

    @property
    def n_runs(self) -> int: ...
    @property
    def n_dropped(self) -> int: ...
    @property
    def datasets(self) -> tuple[str, ...]: ...
    @property
    def method(self) -> str: ...
    @property
    def findings(self) -> tuple[str, ...]: ...
    @property
    def descriptions(self) -> tuple[str, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def left_out(self) -> tuple[str, ...]: ...
    @property
    def caveats(self) -> tuple[str, ...]: ...


def opening(answer: _Opened) -> Iterator[str]:
    """Yield n, what was left out, the method and the findings."""
    yield f"{answer.n_runs} runs on {', '.join(answer.datasets)}, {answer.n_dropped} left out"
    yield from limits(answer.left_out, answer.caveats)
    yield Detail(f"method: {answer.method}")
    yield from finding_lines(answer.findings, answer.descriptions, answer.notes)


def limits(left_out: Sequence[str], caveats: Sequence[str]) -> Iterator[str]:
    """Yield what is not in the answer, and what a reader must know before believing it."""
    yield from (f"  left out: {text}" for text in left_out)
    yield from (Caveat(f"  caveat: {text}") for text in caveats)


def finding_lines(
    findings: Sequence[str], descriptions: Sequence[str] = (), notes: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the sentences of a result by what stands behind them: tests, nothing but these runs, or a warning."""
    yield "findings" if findings else "findings: none"
    yield from (f"  - {sentence}" for sentence in findings)
    for head, sentences in (("described, without a test", descriptions), ("notes", notes)):
        if sentences:
            yield head
            yield from (f"  - {sentence}" for sentence in sentences)


def grid(results: Sequence[msgspec.Struct], chosen: str = "", *, title: str) -> Grid:
    """Return a table of all fields of the results, or of the chosen ones (separated by spaces)."""
    names = chosen.split() or ([field.name for field in msgspec.structs.fields(results[0])] if results else [])
    return Grid(names, [[getattr(result, name) for name in names] for result in results], title)


def adjusted_over(column: str, p_values: Iterable[float | None], what: str) -> str:
    """Return the family of an adjusted p: `p_holm: Holm over 8 contrasts`; tests that are not defined do not count.

    A term's p_box is None where it is not a seed-level test.
    """
    n = sum(p is not None and not math.isnan(p) for p in p_values)
    return f"{column}: Holm over {n} {what}" if n > 1 else f"{column}: {'one' if n else 'no'} test, not adjusted"


def adjusted_by(column: str, rows: Sequence[msgspec.Struct], p: str, by: str) -> str:
    """Like `adjusted_over` for the tests with p-values in the field `p`, which differ in the fields `by`."""
    tested = [row for row in rows if not math.isnan(getattr(row, p))]
    levels = {name.replace("dataset", "data set"): [getattr(row, name) for row in tested] for name in by.split()}
    family = family_text(len(tested), levels).removeprefix(f"{len(tested)} ")
    return adjusted_over(column, [getattr(row, p) for row in tested], family)


def csv_rows(results: Sequence[msgspec.Struct], names: Mapping[str, str] = {}) -> list[dict[str, object]]:
    """Return all fields of the results; those in `names` under another name, or left away where that is empty."""
    rows = [msgspec.structs.asdict(result) for result in results]
    return [{names.get(k, k): v for k, v in row.items() if names.get(k, k)} for row in rows]
