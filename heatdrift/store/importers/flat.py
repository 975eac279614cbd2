"""Runs kept as flat rows (tables, MLflow) -> heatdrift records: a run is one row, or one row per epoch.

Everything is read and checked before the first record is written; ``flat_record.py`` makes the record of a run.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from heatdrift.errors import HeatdriftError, RecordError, StoreError
from heatdrift.records import Duplicates, RunRecord
from heatdrift.store.folder import cell_folder, decode_record
from heatdrift.store.importers.columns import IDENTITY
from heatdrift.store.importers.duplicates import Arrival, Rule, arrival, settle, write_settled
from heatdrift.store.importers.flat_record import flat_record
from heatdrift.store.importers.one_per_epoch import EpochTwiceError, epochs_twice, one_per_epoch
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Reading
from heatdrift.store.scan import Problem


class FlatRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run as its source has it: its place there, and its rows."""

    label: str
    rows: tuple[Mapping[str, object], ...]


def import_flat(
    runs: Iterable[FlatRun],
    reading: Reading,
    *,
    source: Path,
    store_folder: Path,
    study: str,
    origin: str,
    duplicates: Rule = "refuse",
    dry_run: bool = False,
    before: Before = nothing,
) -> ImportReport:
    """Write runs as records of `study`; twice is once. A run that cannot be one is reported and stops nothing.

    Everything is read and checked before the first record is written; `before` gets the report of that.

    Raises
    ------
    StoreError
        `study` cannot be a folder name, or the store folder cannot be written.
    DuplicateRunsError
        A cell has several results and `duplicates` does not say which of them counts; nothing is written then.
    """
    cell_folder(store_folder, study, "check")
    problems, twice = list[Problem](), list[str]()
    arrived: dict[Path, list[Arrival]] = {}
    for run in runs:
        try:
            read = _Reader(run, reading, study=study, origin=origin, rule=duplicates)
            record = read()
            folder = cell_folder(store_folder, study, record.cell_id)
            record = decode_record(msgspec.json.encode(record), folder / "record.json")
        except StoreError:
            raise
        except RecordError as error:
            problems.append(Problem(path=source, reason=f"{run.label}: {error.problem}"))
            continue
        except EpochTwiceError as error:
            twice.append(f"{run.label}: {error}")
            continue
        except (HeatdriftError, ValueError) as error:
            problems.append(Problem(path=source, reason=f"{run.label}: {error}"))
            continue
        arrived.setdefault(folder, []).append(arrival(run.label, record, read))
    if twice:
        raise epochs_twice(twice, source)
    settled = settle(arrived, duplicates, source=source)
    facts = {
        "problems": tuple(problems),
        "studies": (study,) if arrived else (),
        "audit": reading.audit,
        "ignored": reading.audit.ignored,
    }
    planned = msgspec.structs.replace(write_settled(settled, store_folder, dry_run=True), **facts)
    before(planned)
    return planned if dry_run else msgspec.structs.replace(write_settled(settled, store_folder), **facts)


class _Reader:
    """Makes the record of one run, as often as it is called: tables are large, records of all rows larger."""

    def __init__(self, run: FlatRun, reading: Reading, *, study: str, origin: str, rule: Rule) -> None:
        self._run, self._reading, self._study, self._origin, self._rule = run, reading, study, origin, rule

    def __call__(self) -> RunRecord:
        rows, n_twice = one_per_epoch([self._reading(row) for row in self._run.rows], self._rule)
        self._refuse_gaps(rows)
        record = flat_record(rows, study=self._study, origin=self._origin)
        if n_twice < 2 or self._rule == "refuse":
            return record
        return msgspec.structs.replace(record, duplicates=Duplicates(rows=n_twice, rule=self._rule))

    def _refuse_gaps(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Name the keys for which the source has a column, but no value."""
        said = []
        for name in IDENTITY:
            column = self._reading.columns.source(name).column
            if not any(name in row for row in rows) and column in self._run.rows[0]:
                held = str(self._run.rows[0][column] if self._run.rows[0][column] is not None else "")
                said.append(f"no value for {name} (column {column!r} holds {held!r})")
        if said:
            raise ValueError("; ".join(said))
