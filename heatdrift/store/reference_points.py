"""Reference points: results of pretrained models that are no runs, kept as ``<store folder>/_points/<sha256>.json``.

A file is what one imported table gave, named by the hash of its content: bringing it in twice is bringing it in once.
The database holds the points of the files that are there; ingest brings it up to them, a rebuild makes it from them.
"""

import hashlib
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import RecordError
from heatdrift.records import Strict
from heatdrift.store.files import write_bytes
from heatdrift.store.scan import Problem

FOLDER: Final = "_points"  # no study can have this name


class ReferencePoint(Strict, frozen=True, kw_only=True):
    """One result of a pretrained model.

    Attributes
    ----------
    backbone : MODEL/TAG, as runs name it.
    dataset : name of the data set, without the collection that it came in.
    metric : ``zero_shot_pct``, or the source's own name for another measure.
    value_pct : in percent, 0 to 100.
    source : file and row.
    """

    backbone: str
    dataset: str
    metric: str
    value_pct: float
    source: str


class PointsFile(Strict, frozen=True, kw_only=True):
    """What one table gave to one study."""

    study: str
    points: tuple[ReferencePoint, ...]


def points_path(found: PointsFile, store_folder: Path) -> Path:
    """Return where a set of points is kept."""
    return store_folder / FOLDER / f"{hashlib.sha256(msgspec.json.encode(found)).hexdigest()}.json"


def write_points(found: PointsFile, store_folder: Path) -> None:
    """Keep a set of points, whole or not at all.

    Raises
    ------
    StoreError
        The store folder cannot be written.
    """
    path = points_path(found, store_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, msgspec.json.encode(found))


def find_points(store_folder: Path) -> dict[str, Path]:
    """Return hash -> file of the sets of points in a store folder, in order of name."""
    return {path.stem: path for path in sorted((store_folder / FOLDER).glob("*.json"))}


def read_points(path: Path) -> PointsFile:
    """Read one file; RecordError where it is damaged or its content is not what its name says."""
    again = "delete it and import again"
    with decoding(lambda reason: RecordError(path, f"not a set of reference points: {reason}", hint=again)):
        data = read_whole(path)
        if hashlib.sha256(data).hexdigest() != path.stem:
            raise RecordError(path, "its content changed since it was written", hint=again)
        return msgspec.json.decode(data, type=PointsFile)


def held_points(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the hashes of the sets of points in the open store."""
    return frozenset(row[0] for row in connection.sql("SELECT DISTINCT sha256 FROM raw.reference_point").fetchall())


def load_points(connection: duckdb.DuckDBPyConnection, there: dict[str, Path]) -> list[Problem]:
    """Make the points of the open store those of the files; return what could not be read."""
    problems = []
    connection.execute("DELETE FROM raw.reference_point")
    for sha256, path in there.items():
        try:
            found = read_points(path)
        except RecordError as error:
            problems.append(Problem(path=path, reason=error.problem))
            continue
        rows = [[sha256, found.study, p.backbone, p.dataset, p.metric, p.value_pct, p.source] for p in found.points]
        connection.executemany("INSERT INTO raw.reference_point VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return problems
