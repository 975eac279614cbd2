"""What an import did; the same for every format."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from heatdrift.store.scan import Problem


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the file that does not follow from the file's own measurements."""

    path: Path
    field: str
    stated: float
    derived: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one metric in a source, in the unit of the store: how many rows have one, and their range."""

    name: str
    n: int
    low: float
    high: float
    unit: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a source of flat rows (a table, MLflow) before anything was written.

    Attributes
    ----------
    rows : rows of the table, or rows that steps of MLflow runs gave.
    read_as : file type, separator, encoding; empty where there was nothing to find out.
    columns : our column -> where it is taken from, in words.
    guessed : those of `columns` that nobody named: the source's name for it was taken for ours.
    keys : what tells runs apart -> its levels.
    measured : the metrics that were found.
    factors, telling : columns of settings that are none of ours, kept as factors under their own names; those that
        tell runs apart which agree in all our keys.
    further : columns of numbers that are none of ours, kept as metrics `further.NAME`.
    ignored : columns that nothing is taken from.
    notes : sentences about what was decided or is doubtful.
    """

    rows: int
    read_as: str = ""
    columns: Mapping[str, str] = {}
    guessed: tuple[str, ...] = ()
    keys: Mapping[str, tuple[str, ...]] = {}
    measured: tuple[Measured, ...] = ()
    factors: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one import did.

    Attributes
    ----------
    added, unchanged : runs written as a new attempt or part; runs that the store folder already had.
    doubled : runs that the source held a second time; they are not among the unchanged.
    repeated : of the added, those whose cell had another attempt with other results (all are kept).
    kept : runs that the store has with other results, which it keeps (rule "first").
    duplicates : one sentence per cell that the source held several times with different results, and what was taken.
    problems : files or rows that were refused, with the reason.
    mismatches : stated values that could not be reproduced (the measurements are imported, the stated values are not).
    studies : names that the runs have in the store, in alphabetical order.
    ignored : columns of the source that no column of ours takes.
    images : runs that got results of single images.
    audit : what was found in a table or in MLflow; None for the other formats.
    notes : sentences about what was decided for the other formats.
    what : what was imported, if no runs.
    written : whether the runs were written; False for a dry run, whose counts are what would be done.
    """

    added: int
    unchanged: int
    doubled: int = 0
    repeated: int = 0
    kept: int = 0
    duplicates: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    studies: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    images: int = 0
    audit: Audit | None = None
    notes: tuple[str, ...] = ()
    what: str = "run"
    written: bool = True


Before = Callable[[ImportReport], object]  # called with what would be done, before it is


def nothing(_report: ImportReport) -> None:
    """Do nothing before an import writes."""
