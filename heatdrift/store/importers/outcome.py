"""What an import did; the same for every format."""

from pathlib import Path

import msgspec

from heatdrift.store.scan import Problem


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the file that does not follow from the file's own measurements."""

    path: Path
    field: str
    stated: float
    derived: float


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
