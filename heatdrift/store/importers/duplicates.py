"""Several runs of one cell and seed in one import, or one that the store has with other results: which of them counts.

Two finished runs of a cell (the seed is part of it) are the same if they measured the same; then they are one run. If
they differ, nothing is chosen unless the user names a rule, and what was chosen is kept with the record, so that every
result that uses it can say so. A failed run is no result: it stays an attempt beside the finished one, as in training.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.errors import DuplicateRunsError, RecordError
from heatdrift.records import FINISHED, DuplicateRule, Duplicates, RunRecord
from heatdrift.store.folder import Written, current_record
from heatdrift.store.importers.difference import difference
from heatdrift.store.importers.mean_record import described, mean_record
from heatdrift.store.importers.outcome import ImportReport
from heatdrift.store.importers.writing import RecordWriter, results_of
from heatdrift.store.rows import result_sha256
from heatdrift.wording import counted, listed

Rule = DuplicateRule
_CHOICES: Final = (
    "--factor COLUMN where a setting that is no column of ours tells them apart; --duplicates first, last or mean "
    "takes one of them, and every result that uses it says so; or correct the source"
)
_STORED: Final = (
    "--duplicates last takes the new results (the old ones stay as attempts), --duplicates first keeps those of the "
    "store; or import under another --study"
)
_RECIPE: Final = (
    "--duplicates last takes what this source says of the recipe, --duplicates first keeps what the store has; neither "
    "changes a result"
)
_ALIKE: Final = "the results are the same)"
_SHOWN: Final = 3


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One run as it came: its place in the source, how to make its record again, and the hash of what it measured.

    ``result`` is None for a run that failed. ``continues``: hashes of earlier attempts that came with it.
    """

    label: str
    record: Callable[[], RunRecord]
    result: str | None
    continues: frozenset[str] = frozenset()


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the arrivals of one cell.

    Attributes
    ----------
    write : those whose records are written, in their order; the failed ones are among them.
    duplicates : set where `write` holds one of several results; with rule mean the finished ones are averaged.
    said : the same in words, empty where there was one result.
    n_same : arrivals that repeated another one.
    kept : whether the store keeps its own, other results.
    """

    write: tuple[Arrival, ...]
    duplicates: Duplicates | None = None
    said: str = ""
    n_same: int = 0
    kept: bool = False


def arrival(label: str, record: RunRecord, again: Callable[[], RunRecord], *earlier: RunRecord) -> Arrival:
    """Return the arrival of `record`, which `again` makes anew when it is written; `earlier` are its older attempts."""
    continues = frozenset(result_sha256(r) for r in earlier if r.status in FINISHED)
    return Arrival(
        label=label,
        record=again,
        result=result_sha256(record) if record.status in FINISHED else None,
        continues=continues,
    )


def settle(arrived: Mapping[Path, Sequence[Arrival]], rule: Rule, *, source: Path) -> dict[Path, Settled]:
    """Decide for every cell folder of the store what is written; nothing is written here.

    Raises
    ------
    DuplicateRunsError
        `rule` is "refuse" and a cell has several results, in the source or together with the store; or "mean" and they
        cannot be averaged.
    """
    settled, twice, stored = dict[Path, Settled](), list[str](), list[str]()
    measured_alike = True
    for folder, arrivals in arrived.items():
        found = _of_cell(arrivals, rule)
        if found.duplicates is not None and rule == "refuse":
            twice.append(_in_words(arrivals))
            continue
        if (clash := _other_result(folder, arrivals, found)) is not None:
            if rule == "first":
                failed = tuple(a for a in found.write if a.result is None)
                found = msgspec.structs.replace(found, write=failed, kept=True)
            elif rule != "last":
                stored.append(clash)
                measured_alike &= clash.endswith(_ALIKE)
        settled[folder] = found
    if twice:
        raise DuplicateRunsError(
            f"{source} holds {counted(len(twice), 'run')} several times with different results: {_first(twice)}; "
            "nothing was imported",
            hint=_CHOICES,
        )
    if stored:
        why = "and cannot be averaged with what the store has" if rule == "mean" else "with other results"
        why = "with another recipe" if measured_alike else why
        verb = "is" if len(stored) == 1 else "are"
        raise DuplicateRunsError(
            f"{counted(len(stored), 'run')} of {source} {verb} in the store already {why}: {_first(stored)}; "
            "nothing was imported",
            hint=_RECIPE if measured_alike else _STORED,
        )
    return settled


def write_settled(
    settled: Mapping[Path, Settled],
    store_folder: Path,
    after: Callable[[Arrival, Written], object] = lambda _arrival, _written: None,
    *,
    dry_run: bool = False,
) -> ImportReport:
    """Write what was settled, all or nothing, and count it; `after` is called with every record that is new.

    With `dry_run` nothing is written, and the counts are of what would be.

    Raises
    ------
    StoreError
        The store folder cannot be written.
    """
    added = unchanged = doubled = repeats = kept = 0
    said = []
    with RecordWriter(store_folder, dry_run=dry_run) as writer:
        for found in settled.values():
            doubled += found.n_same
            kept += found.kept
            words = found.said
            for one in _records(found):
                record = _record_of(found, one)
                written, repeated = writer.write(record)
                added += written.new
                unchanged += not written.new
                repeats += repeated
                if written.new and not dry_run:
                    after(one, written)
                if record.duplicates and not words:
                    words = f"{one.label} ({described(record.cell)}; epochs given several times): "
                    words += f"the {record.duplicates.rule} was taken"
            said += [words] if words and not found.kept else []
    return ImportReport(
        added=added,
        unchanged=unchanged,
        doubled=doubled,
        repeated=repeats,
        kept=kept,
        duplicates=tuple(said),
        written=not dry_run,
    )


def _record_of(found: Settled, chosen: Arrival) -> RunRecord:
    """Return the record of one of `found.write`: its own, or with rule mean that of all of them."""
    record = chosen.record()
    if found.duplicates is None or chosen.result is None:
        return record
    if found.duplicates.rule == "mean":
        record = mean_record([a.record() for a in found.write if a.result is not None])
    return msgspec.structs.replace(record, duplicates=found.duplicates)


def _records(found: Settled) -> tuple[Arrival, ...]:
    """Return the arrivals that become a record each: with rule mean the finished ones are one."""
    if found.duplicates is None or found.duplicates.rule != "mean":
        return found.write
    finished = [a for a in found.write if a.result is not None]
    return (*(a for a in found.write if a.result is None), finished[0])


def _of_cell(arrivals: Sequence[Arrival], rule: Rule) -> Settled:
    """Settle the arrivals of one cell among themselves."""
    different: dict[str, Arrival] = {}
    failed, n_finished = [], 0
    for one in arrivals:
        if one.result is None:
            failed.append(one)
        else:
            n_finished += 1
            different.setdefault(one.result, one)
    finished = list(different.values())
    n_same = n_finished - len(finished)
    if len(finished) < 2:
        return Settled(write=(*failed, *finished), n_same=n_same)
    words = _in_words(arrivals)
    if rule == "refuse":
        return Settled(write=(), duplicates=Duplicates(rows=n_finished, rule="first"), said=words)
    # the last row counts with rule last, also where an earlier one measured the same
    last = next(a for a in reversed(arrivals) if a.result is not None)
    every = [a for a in arrivals if a.result is not None]
    chosen = {"first": [finished[0]], "last": [last], "mean": every}[rule]
    return Settled(
        write=(*failed, *chosen),
        duplicates=Duplicates(rows=n_finished, rule=rule),
        said=f"{words}: the {rule} was taken",
    )


def _other_result(folder: Path, arrivals: Sequence[Arrival], found: Settled) -> str | None:
    """Say which finished run of the store has other results than what would be written; None where none has."""
    finished = [a for a in found.write if a.result is not None]
    if not finished or not folder.is_dir():
        return None
    try:
        current = current_record(folder)
    except RecordError:
        return None  # damaged beyond reading: there is nothing to contradict
    if current is None or current.status not in FINISHED:
        return None
    new = _record_of(found, finished[0])
    if not current.further:  # kept before further columns were, or a source with fewer of them: no other result
        new = msgspec.structs.replace(new, further=msgspec.UNSET)
    here = result_sha256(current)
    if result_sha256(new) in {here, *results_of(folder)} or any(here in a.continues for a in arrivals):
        return None
    alike = f"; {_ALIKE}" if _measured(current) == _measured(new) else ")"
    return f"{finished[0].label} ({described(new.cell)}; there {difference([current, new])}{alike}"


def _measured(record: RunRecord) -> object:
    """Return what a record holds of measurements, whatever it says of epochs and recipe."""
    epochs = [msgspec.structs.replace(one, epoch=0) for one in record.epochs]
    return epochs, record.test_acc_pct, record.transfer, record.robustness, record.status


def _in_words(arrivals: Sequence[Arrival]) -> str:
    finished = [a for a in arrivals if a.result is not None]
    records = [a.record() for a in finished[:_SHOWN]]
    labels = [a.label for a in finished[:_SHOWN]] + [f"{len(finished) - _SHOWN} more"] * (len(finished) > _SHOWN)
    return f"{listed(labels)} ({described(records[0].cell)}; {difference(records)})"


def _first(cells: Sequence[str]) -> str:
    return "; ".join(cells[:_SHOWN]) + (f"; and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else "")
