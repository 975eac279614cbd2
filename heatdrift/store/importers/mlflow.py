"""Import of MLflow runs through its own client (extra `mlflow`), so every kind of tracking URI works.

Of a run, params and tags (as ``tags.<name>``) are of the whole run; a metric gives one row per step, steps being
epochs; a metric logged once, or several times without a step, gives the value at the end of the run. Names go through
the same column map as tables. MLflow's own facts: ``run_id``, ``run_name``, ``status``, ``start_time``, ``end_time``.
"""

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.guess import with_guesses
from heatdrift.store.importers.lr_levels import stored_rates
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Choices, understand
from heatdrift.wording import counted, listed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ALIASES: Final[Mapping[str, str]] = {
    "lr": "learning_rate",
    "backbone": "model",
    "started_at": "start_time",
    "finished_at": "end_time",
    "source": "run_id",
    "commit": "tags.mlflow.source.git.commit",
}
_PAGE: Final = 1000
_OLDEST_FIRST: Final = ["attributes.start_time ASC"]  # MLflow's own order is the reverse: its first run is the newest


class _Seen(msgspec.Struct, kw_only=True):
    """What is said about how the runs were logged.

    Attributes
    ----------
    stepless : metrics logged several times, always without a step -> how often in the first such run.
    steps : the steps of each run that has some.
    """

    stepless: dict[str, int] = {}
    steps: list[list[int]] = []

    def notes(self) -> tuple[str, ...]:
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
        return tuple(said)


def import_mlflow(
    uri: str,
    columns: ColumnMap,
    *,
    store_folder: Path,
    study: str,
    experiments: tuple[str, ...] = (),
    duplicates: Rule = "refuse",
    choices: Choices = Choices(),  # noqa: B008  frozen
    dry_run: bool = False,
    before: Before = nothing,
) -> ImportReport:
    """Write the finished runs of an MLflow tracking store as records of `study`; twice is once.

    Parameters
    ----------
    uri : tracking URI: ``sqlite:///mlflow.db``, ``http://...``, or a folder ``mlruns``.
    columns : on top of names that are ours already, and of `ALIASES` where a run has no such name.
    experiments : names; empty = all.
    duplicates : what counts of runs of one cell and seed, or of values of one step, that differ.

    Raises
    ------
    DataError
        MLflow is not installed, or the tracking store cannot be read.
    DuplicateRunsError
        There are such runs or steps and `duplicates` is "refuse".
    """
    seen = _Seen()
    runs = list(_read(uri, experiments, seen))
    names = dict.fromkeys(name for run in runs for row in run.rows for name in row)
    columns, guessed, unclear = with_guesses(columns, names)
    reading = understand(
        ((run.label, row) for run in runs for row in run.rows),
        columns,
        choices,
        source=uri,
        guessed=guessed,
        notes=(*unclear, *seen.notes()),
        stored_rates=lambda: stored_rates(store_folder, study),
        aside={*ALIASES.values(), "run_name", *(name for name in names if name.startswith("tags.mlflow."))},
    )
    return import_flat(
        runs,
        reading,
        source=Path(uri),
        store_folder=store_folder,
        study=study,
        origin="mlflow",
        duplicates=duplicates,
        dry_run=dry_run,
        before=before,
    )


def _read(uri: str, experiments: tuple[str, ...], seen: _Seen) -> Iterator[FlatRun]:
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as cause:
        raise DataError("MLflow is not installed", hint="python -m pip install 'heatdrift[mlflow]'") from cause
    file = _file(uri)
    if file is not None and not file.exists():  # MLflow would make it
        raise DataError(
            f"there is no MLflow store at {file}", hint="name a tracking URI: sqlite:///mlflow.db, mlruns, http://..."
        )
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 reads its own folders on request only
    try:
        client = MlflowClient(tracking_uri=uri)
        chosen = [e for e in client.search_experiments() if not experiments or e.name in experiments]
        token = None
        while chosen:
            page = client.search_runs(
                [e.experiment_id for e in chosen], max_results=_PAGE, page_token=token, order_by=_OLDEST_FIRST
            )
            for run in page:
                yield FlatRun(label=f"run {run.info.run_id}", rows=tuple(_rows(client, run, seen)))
            token = page.token
            if not token:
                return
    except MlflowException as cause:
        raise DataError(f"cannot read MLflow at {uri}: {cause}", hint="check the tracking URI") from cause


def _file(uri: str) -> Path | None:
    """Return the file or folder that a tracking URI names on this machine; None for a server or a database on one."""
    for scheme in ("sqlite:///", "file://"):
        if uri.startswith(scheme):
            return Path(uri.removeprefix(scheme))
    return None if "://" in uri else Path(uri)


def _rows(client: "MlflowClient", run: "Run", seen: _Seen) -> Iterator[dict[str, object]]:
    whole: dict[str, object] = {f"tags.{name}": value for name, value in run.data.tags.items()}
    whole |= run.data.params
    whole |= {name: getattr(run.info, name) for name in ("run_id", "run_name", "status", "start_time", "end_time")}
    for ours, theirs in ALIASES.items():
        if ours not in whole and theirs in whole:
            whole[ours] = whole[theirs]
    steps: dict[tuple[int, int], dict[str, object]] = {}  # step, and which time it was logged
    final: dict[str, object] = {}
    for name, latest in run.data.metrics.items():
        history = client.get_metric_history(run.info.run_id, name)
        if all(point.step == 0 for point in history):
            final[name] = latest  # MLflow's own rule: the latest one counts
            if len(history) > 1:
                seen.stepless.setdefault(name, len(history))
            continue
        times: dict[int, int] = {}
        for point in sorted(history, key=lambda point: point.timestamp):
            times[point.step] = times.get(point.step, -1) + 1
            steps.setdefault((point.step, times[point.step]), {})[name] = point.value
    if not steps:
        yield whole | final
        return
    seen.steps.append(sorted({step for step, _ in steps}))
    last = max(steps)
    for place, values in sorted(steps.items()):
        # what was logged once is known at the end, not at every epoch
        yield whole | (final if place == last else {}) | values | {"epoch": place[0]}
