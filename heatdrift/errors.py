"""Errors a user can correct: what happened, where, and the next command.

``cli/main.py`` catches :class:`HeatdriftError` once, prints ``error:`` and ``try:`` to stderr and exits 2; anything
else is a bug of ours and keeps its traceback. A run that diverged is a *status* in its record, not an exception.
"""

import difflib
import math
from collections.abc import Iterable
from pathlib import Path


class HeatdriftError(Exception):
    """Base of every error that the user can correct.

    Parameters
    ----------
    message : what happened and where, one sentence or two.
    hint : the next command or edit that corrects it.

    Examples
    --------
    >>> import heatdrift
    >>> try:
    ...     heatdrift.load_study("minni")
    ... except heatdrift.HeatdriftError as error:
    ...     print(error, "|", error.hint)  # doctest: +ELLIPSIS
    unknown study 'minni' | did you mean 'mini'? known: backbone16, demo, ...
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StudyError(HeatdriftError):
    """A study file says something that cannot be planned."""


class DataError(HeatdriftError):
    """Images or labels are missing, damaged or not what the manifest promises."""


class DuplicateRunsError(DataError):
    """Several runs of one cell and seed have different results, and nobody said which of them counts."""


class ModelError(HeatdriftError):
    """A backbone cannot be built or its weights do not fit."""


class ProbeError(HeatdriftError):
    """A measurement was given something that it cannot measure."""


class TrainError(HeatdriftError):
    """A cell could not be trained for a reason that the user can correct."""


class RecordError(HeatdriftError):
    """A record on disk is damaged, or of a newer format than this heatdrift reads."""

    def __init__(self, path: Path, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem}", hint=hint)
        self.path = path
        self.problem = problem


class StoreError(HeatdriftError):
    """The database cannot be opened, read or written."""


class NotAStoreError(StoreError):
    """The file is damaged, no DuckDB database, or one that something else made."""


class QueryError(StoreError):
    """SQL that DuckDB refuses, or that would write."""


class UnknownNameError(HeatdriftError):
    """A name (metric, study, data set, method, key) that does not exist; the nearest known one is offered.

    `nearest` is for names that are numbers, whose distance is not that of their spelling.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str | None = None, nearest: str | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(sorted(known, key=_by_size))
        self.nearest = nearest or nearest_name(name, self.known)
        place = f" in {where}" if where else ""
        hint = f"did you mean {self.nearest!r}? " if self.nearest else ""
        super().__init__(f"unknown {kind} {name!r}{place}", hint=f"{hint}known: {', '.join(self.known) or 'none'}")


class StatsError(HeatdriftError):
    """The runs at hand cannot answer the question."""


class LargeDesignError(StatsError):
    """A model has more coefficients than can be tested in sensible time; a numeric learning rate makes it smaller."""


class ReportError(HeatdriftError):
    """A report cannot be rendered."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short: Python's, an accelerator's, or the one of torch's allocator."""
    text = str(error).lower()
    named = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return named or "out of memory" in text or "can't allocate memory" in text


def _by_size(name: str) -> tuple[float, str]:
    """Order numbers by their size, before names in alphabetical order."""
    try:
        return float(name), name
    except ValueError:
        return math.inf, name


def nearest_lr(value: float, known: Iterable[float]) -> str | None:
    """Return the learning rate at the least distance in log(lr): as text 0.001 resembles 0.1 more than 5e-05."""
    positive = [lr for lr in known if lr > 0.0]
    if value <= 0.0 or not positive:
        return None
    return str(min(positive, key=lambda lr: abs(math.log(lr / value))))


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or None when nothing is near."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None
