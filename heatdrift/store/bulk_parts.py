"""Bulk parts: many runs in one folder of Parquet files, ``<store folder>/_parts/<sha256>/<view>.parquet``.

For runs that nobody will train here: an exported store, or a table of a million runs, where a file per run would be
absurd. A part is named by the hash of what it was made from, so bringing it in twice is bringing it in once; ingest and
rebuild load it like records. Where a cell has a record too, the record counts.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import RecordError
from heatdrift.parquet_file import refuse_bomb
from heatdrift.records import Strict
from heatdrift.store.checksum import checksum_problem, sealed, split_checksum
from heatdrift.store.connect import is_write_failure, open_store
from heatdrift.store.files import write_bytes
from heatdrift.store.read import View
from heatdrift.store.scan import Problem

PARTS: Final = "_parts"  # no study can have this name
LONG_VIEWS: Final[Mapping[View, str]] = {  # view -> table, next to the runs
    "epochs": "raw.epoch",
    "layers": "raw.layer",
    "heads": "raw.head",
    "transfer": "raw.transfer",
    "robustness": "raw.robustness",
    "further": "raw.further",
}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part: its folder and the hash of its source."""

    folder: Path
    sha256: str


class PartInfo(Strict, frozen=True, kw_only=True):
    """part.json: where the part came from, how many runs it holds, the hash of every file.

    The file ends in the checksum of all that, as a record does (``checksum.py``).
    """

    source: str
    n_runs: int
    files: Mapping[str, str]


def find_parts(store_folder: Path) -> tuple[Part, ...]:
    """Return the parts of a store folder, in order of name."""
    found = sorted((store_folder / PARTS).glob("*/runs.parquet"))
    return tuple(Part(folder=path.parent, sha256=path.parent.name) for path in found)


def load_part(connection: duckdb.DuckDBPyConnection, part: Part) -> tuple[int, Problem | None]:
    """Insert the runs of a part that the open store does not hold; return how many, and what was passed over.

    A part that cannot be read, or whose files are not those that part.json has the hashes of, is reported and inserts
    nothing.
    """
    damage = part_damage(part) or _bomb(part)
    if damage:
        return 0, Problem(path=part.folder, reason=f"not counted: {damage}")
    connection.execute("BEGIN TRANSACTION")
    try:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE incoming_run AS SELECT (SELECT coalesce(max(run_id), 0) FROM raw.run) + "
            "row_number() OVER () AS run_id, * FROM read_parquet($file) ANTI JOIN raw.run USING (study, cell_id)",
            {"file": _file(part, "runs")},
        )
        n_runs = _count(connection, "SELECT count(*) FROM incoming_run")
        n_held = _count(connection, "SELECT count(*) FROM read_parquet(?)", [_file(part, "runs")]) - n_runs
        connection.execute(
            "INSERT INTO raw.run BY NAME SELECT *, $sha256 AS record_sha256, $sha256 AS part FROM incoming_run",
            {"sha256": part.sha256},
        )
        for view, table in LONG_VIEWS.items():
            if (part.folder / f"{view}.parquet").exists():
                connection.execute(
                    f"INSERT INTO {table} BY NAME SELECT r.run_id, v.* EXCLUDE (study, cell_id) "
                    "FROM read_parquet($file) AS v JOIN incoming_run AS r USING (study, cell_id)",
                    {"file": _file(part, view)},
                )
        connection.execute("INSERT INTO raw.part VALUES (?, ?)", [part.sha256, n_runs])
        connection.execute("DROP TABLE incoming_run")
    except duckdb.Error as cause:  # for a damaged file DuckDB raises its bare base class too
        if is_write_failure(cause):
            raise
        connection.execute("ROLLBACK")
        return 0, Problem(path=part.folder, reason=f"not a readable part: {str(cause).splitlines()[0]}")
    connection.execute("COMMIT")
    if n_held:
        reason = f"{n_held} of its runs are not counted: the store has runs of the same cells"
        return n_runs, Problem(path=part.folder, reason=reason)
    return n_runs, None


def _bomb(part: Part) -> str | None:
    """Return which file of a part declares far more than its size can mean; None when none does."""
    for path in sorted(part.folder.glob("*.parquet")):
        try:
            with decoding(lambda said, path=path: RecordError(path, f"{path.name}: {said}")):  # type: ignore[misc]
                refuse_bomb(path, streamed=True)
        except RecordError as error:
            return error.problem
    return None


def count_bulk(store: Path) -> dict[str, dict[str, int]]:
    """Return study -> status -> runs that came in bulk; empty when there is no database or no part."""
    found: dict[str, dict[str, int]] = {}
    if store.exists() and find_parts(store.parent):
        query = "SELECT study, status, count(*) FROM raw.run WHERE part IS NOT NULL GROUP BY ALL"
        with open_store(store) as connection:
            for study, status, n_runs in connection.execute(query).fetchall():
                found.setdefault(study, {})[status] = n_runs
    return found


def _file(part: Part, view: View) -> str:
    return str(part.folder / f"{view}.parquet")


def _count(connection: duckdb.DuckDBPyConnection, query: str, values: list[str] | None = None) -> int:
    return int(connection.execute(query, values).fetchall()[0][0])


def part_damage(part: Part) -> str | None:
    """Return what is wrong with a part's files, by the hashes that its part.json gives them; None when nothing is."""
    try:
        stated, _ = _read_info(part)
        with decoding(lambda said: RecordError(part.folder, said)):
            found = {path.name: file_sha256(path) for path in sorted(part.folder.glob("*.parquet"))}
    except RecordError as error:
        return error.problem
    wrong = sorted({*stated.files, *found} - {n for n in stated.files if found.get(n) == stated.files[n]})
    return f"{', '.join(wrong)} changed or gone" if wrong else None


def write_info(info: PartInfo, folder: Path) -> None:
    """Write part.json with its checksum; StoreError when the folder cannot be written."""
    write_bytes(folder / "part.json", sealed(msgspec.json.encode(info)))


def is_sealed(part: Part) -> bool:
    """Whether a part's part.json carries a checksum; those of before November 2026 have none."""
    try:
        return _read_info(part)[1] is not None
    except RecordError:
        return False


def seal_part(part: Part) -> bool:
    """Give a whole part whose part.json has no checksum the one of its present bytes; return whether it had none."""
    if part_damage(part) or is_sealed(part):
        return False
    path = part.folder / "part.json"
    write_bytes(path, sealed(read_whole(path)))
    return True


def _read_info(part: Part) -> tuple[PartInfo, str | None]:
    """Return what part.json says and its checksum, if it has one; RecordError where it is damaged or was changed."""
    path = part.folder / "part.json"
    with decoding(lambda said: RecordError(path, f"part.json is damaged: {said}")):
        body, checksum = split_checksum(read_whole(path))
        info = msgspec.json.decode(body, type=PartInfo)
    if problem := checksum_problem(body, checksum):
        raise RecordError(path, f"part.json is damaged: {problem}")
    return info, checksum


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes; OSError where it cannot be read, ValueError where it is no regular file."""
    if path.exists() and not path.is_file():  # opening a FIFO would wait for its writer
        raise ValueError(f"{path.name} is not a regular file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
