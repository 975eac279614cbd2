"""Runs kept as flat rows (tables, MLflow) -> heatdrift records: a run is one row, or one row per epoch.

Everything is read and checked before the first record is written; ``flat_record.py`` makes the record of a run.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.errors import HeatdriftError, RecordError, StoreError
from heatdrift.records import Duplicates, RunRecord
from heatdrift.store.folder import cell_folder, decode_record
from heatdrift.store.importers.columns import IDENTITY, METRICS
from heatdrift.store.importers.duplicates import Arrival, Rule, arrival, settle, write_settled
from heatdrift.store.importers.flat_record import flat_record
from heatdrift.store.importers.one_per_epoch import EpochTwiceError, epochs_twice, one_per_epoch
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Reading
from heatdrift.store.importers.values import real_of, whole_of
from heatdrift.store.scan import Problem

_EPOCH: Final = re.compile(r"`\$\.epochs\[(?P<at>\d+)\](?:\.(?P<field>\w+))?")  # as validation names a place


class FlatRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run as its source has it: its place there, and its rows, each with its own place where it has one."""

    label: str
    rows: tuple[Mapping[str, object], ...]
    places: tuple[str, ...] = ()

    def place(self, number: int) -> str:
        """Return where a row is, counted from 0."""
        return self.places[number] if self.places else self.label


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
        read = _Reader(run, reading, study=study, origin=origin, rule=duplicates)
        try:
            record = read()
            folder = cell_folder(store_folder, study, record.cell_id)
            record = decode_record(msgspec.json.encode(record), folder / "record.json")
        except StoreError:
            raise
        except RecordError as error:
            problems.append(Problem(path=source, reason=f"{read.place(error.problem)}: {error.problem}"))
            continue
        except EpochTwiceError as error:
            twice.append(f"{run.label}: {error}")
            continue
        except RowError as error:
            problems.append(Problem(path=source, reason=f"{error.place}: {error}"))
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


class RowError(ValueError):
    """A row of a run cannot be read; `place` says which."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(words)
        self.place = place


class _Reader:
    """Makes the record of one run, as often as it is called: tables are large, records of all rows larger."""

    def __init__(self, run: FlatRun, reading: Reading, *, study: str, origin: str, rule: Rule) -> None:
        self._run, self._reading, self._study, self._origin, self._rule = run, reading, study, origin, rule

    def __call__(self) -> RunRecord:
        rows, n_twice = one_per_epoch([self._row(number) for number in range(len(self._run.rows))], self._rule)
        self._refuse_gaps(rows)
        record = flat_record(rows, study=self._study, origin=self._origin)
        if n_twice < 2 or self._rule == "refuse":
            return record
        return msgspec.structs.replace(record, duplicates=Duplicates(rows=n_twice, rule=self._rule))

    def place(self, problem: str) -> str:
        """Return where in the source a problem of the record lies: at a row of the epoch that it names, or the run."""
        found = _EPOCH.search(problem)
        if found is None or not self._run.places:
            return self._run.label
        ours = [self._row(number) for number in range(len(self._run.rows))]
        numbers = [whole_of(row, "epoch") for row in ours]
        epochs = sorted({number for number in numbers if number is not None})
        if int(found["at"]) >= len(epochs):
            return self._run.label
        rows = [i for i, number in enumerate(numbers) if number == epochs[int(found["at"])]]
        return self._run.place(next((i for i in rows if found["field"] in ours[i]), rows[0]))

    def _row(self, number: int) -> dict[str, object]:
        """Return a row in our columns, its numbers checked here, where it is known which row it is."""
        try:
            ours = self._reading(self._run.rows[number])
            for name in METRICS:
                real_of(ours, name)
        except (HeatdriftError, ValueError) as error:
            raise RowError(self._run.place(number), str(error)) from None
        return ours

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
