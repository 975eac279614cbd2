"""Runs of an experiment tracker -> flat rows, one per step or epoch: what all trackers have in common.

A tracker keeps settings of a run, values it logged with a step, and values of the end of the run. Steps are epochs,
unless the run logged its epoch itself. What tells runs apart is a setting: a learning rate that is logged at every step
is the schedule, not the level.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import IDENTITY, ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.guess import may_mean, with_guesses, with_status
from heatdrift.store.importers.lr_levels import stored_rates
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Choices, understand
from heatdrift.store.importers.values import refuse_broken_names
from heatdrift.wording import counted, listed, shortened

Values = dict[str, object]
Steps = Mapping[tuple[int, int], Values]  # step, and which time something was logged there -> values
_OWN: Final = ("run_id", "run_name", "source", "status")  # facts of the tracker, kept where they are ours


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a tracker.

    Attributes
    ----------
    label : what it is called in messages.
    settings : of the whole run, the tracker's own facts among them.
    final : values of the end of the run; what was logged with steps too is taken from there.
    steps : what was logged with a step.
    """

    label: str
    settings: Mapping[str, object]
    final: Mapping[str, object] = {}
    steps: Steps = {}


class StepsSeen(msgspec.Struct, kw_only=True):
    """What is said about how the runs were logged.

    Attributes
    ----------
    stepless : metrics logged several times, always without a step -> how often in the first such run.
    steps : the steps of each run of which they are the epochs.
    schedules : names of keys that were logged with steps, and left out.
    """

    stepless: dict[str, int] = {}
    steps: list[list[int]] = []
    schedules: dict[str, None] = {}

    def notes(self) -> tuple[str, ...]:
        """Return it in sentences."""
        said = []
        if self.stepless:
            names = listed([f"{name} ({times} times)" for name, times in self.stepless.items()])
            said.append(f"logged without a step: {names}; the latest value is taken as that of the end of the run")
        counts = [steps for steps in self.steps if steps[0] > 1 or any(b - a > 1 for a, b in pairwise(steps))]
        if counts:
            low, high = min(steps[0] for steps in counts), max(steps[-1] for steps in counts)
            said.append(
                f"the steps of {counted(len(counts), 'run')} go from {low} to {high} with gaps: they seem to count "
                "batches; they are stored as they are, so `epoch` and `selected_epoch` of these runs are steps"
            )
        if self.schedules:
            said.append(
                f"logged step by step, so not taken for what tells runs apart: {listed(list(self.schedules))} (the "
                "settings of the run say it)"
            )
        return tuple(said)


def rows_of(run: Tracked, columns: ColumnMap, seen: StepsSeen) -> tuple[Values, ...]:
    """Return the rows of a run in the tracker's names; `epoch` is the step where the run did not log its epoch."""
    settings = dict(run.settings)
    if not run.steps:
        return (dict(run.final) | settings,)
    logged = {name: None for values in run.steps.values() for name in values}
    passed = {name for name in logged if _is_schedule(name, run, columns)}
    seen.schedules.update(dict.fromkeys(sorted(passed)))
    own_epoch = columns.source("epoch").column in logged or any(may_mean("epoch", name) for name in logged)
    if not own_epoch:
        seen.steps.append(sorted({step for step, _ in run.steps}))
    last = max(run.steps)
    final = {name: value for name, value in run.final.items() if name not in logged}
    rows = []
    for place, values in sorted(run.steps.items()):
        kept = {name: value for name, value in values.items() if name not in passed}
        # what was logged once is known at the end, not at every epoch
        row = settings | (final if place == last else {}) | kept
        rows.append(row if own_epoch else row | {"epoch": place[0]})
    return tuple(rows)


def import_tracked(
    runs: Iterable[Tracked],
    columns: ColumnMap,
    *,
    source: str,
    origin: str,
    store_folder: Path,
    study: str,
    seen: StepsSeen | None = None,
    aside: Iterable[str] = (),
    duplicates: Rule = "refuse",
    choices: Choices = Choices(),  # noqa: B008  frozen
    dry_run: bool = False,
    before: Before = nothing,
) -> ImportReport:
    """Write the finished runs of a tracker as records of `study`; twice is once.

    Parameters
    ----------
    source, origin : where they lie, for messages; the name of the format.
    aside : columns that are neither kept nor missed where nothing is taken from them.

    Raises
    ------
    DataError
        There is no run, nothing says what a key of the runs is, or the name of a value is no text.
    DuplicateRunsError
        Runs of one cell, or values of one epoch, differ and `duplicates` is "refuse".
    """
    seen = seen or StepsSeen()
    flat = [FlatRun(label=run.label, rows=rows_of(run, columns, seen)) for run in runs]
    if not flat:
        raise DataError(f"{source} holds no run", hint="name the folder or file in which the tracker keeps its runs")
    names = tuple(dict.fromkeys(name for run in flat for row in run.rows for name in row))
    refuse_broken_names(names, source)
    columns, guessed, unclear = with_guesses(columns, names)
    columns, ends = with_status(columns, names, (row for run in flat for row in run.rows))
    lacking = [key for key in IDENTITY if columns.source(key).column not in names and key not in columns.constants]
    if lacking:
        raise DataError(
            f"{source}: no value for {', '.join(lacking)}, and nothing the runs logged is it by its name (they have: "
            f"{', '.join(map(shortened, names))})",
            hint=" ".join(f"--map {name}=NAME (or --set {name}=VALUE for all runs)" for name in lacking),
        )
    reading = understand(
        ((run.label, row) for run in flat for row in run.rows),
        columns,
        choices,
        source=source,
        guessed=(*guessed, *ends),
        notes=(*unclear, *seen.notes()),
        aside={*_OWN, *aside},
        stored_rates=lambda: stored_rates(store_folder, study),
    )
    return import_flat(
        flat,
        reading,
        source=Path(source),
        store_folder=store_folder,
        study=study,
        origin=origin,
        duplicates=duplicates,
        dry_run=dry_run,
        before=before,
    )


def by_step(points: Iterable[tuple[int, Mapping[str, object]]]) -> Steps:
    """Group what was logged by step; what a step has twice of one name is a second row of that step."""
    steps: dict[tuple[int, int], Values] = {}
    times: dict[tuple[int, str], int] = {}
    for step, values in points:
        for name, value in values.items():
            nth = times[step, name] = times.get((step, name), -1) + 1
            steps.setdefault((step, nth), {})[name] = value
    return steps


def flattened(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield settings with what lies in objects as `outer.inner`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_schedule(name: str, run: Tracked, columns: ColumnMap) -> bool:
    """Whether a logged name would be a key of the run which its settings give, or which changes from step to step."""
    key = next((key for key in IDENTITY if columns.source(key).column == name or may_mean(key, name)), None)
    if key is None:
        return False
    mapped = columns.source(key).column
    said = key in columns.constants or any(mapped == other or may_mean(key, other) for other in run.settings)
    return said or len({str(values[name]) for values in run.steps.values() if name in values}) > 1
