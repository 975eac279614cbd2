"""Import of MLflow runs through its own client (extra `mlflow`), so every kind of tracking URI works.

Of a run, params and tags (as ``tags.<name>``) are of the whole run; a metric gives one row per step, steps being
epochs; a metric logged once, or several times without a step, gives the value at the end of the run. Names go through
the same column map as tables. MLflow's own facts: ``run_id``, ``run_name``, ``status``, ``start_time``, ``end_time``.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.decoding import decoding
from heatdrift.errors import DataError
from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.outcome import Before, ImportReport, nothing
from heatdrift.store.importers.reading import Choices
from heatdrift.store.importers.tracked import StepsSeen, Tracked, by_step, import_tracked

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
    seen = StepsSeen()
    runs = list(_read(uri, experiments, seen))
    tags = {name for run in runs for name in run.settings if name.startswith("tags.mlflow.")}
    return import_tracked(
        runs,
        columns,
        source=uri,
        origin="mlflow",
        store_folder=store_folder,
        study=study,
        seen=seen,
        aside={*ALIASES.values(), "run_name", *tags},
        duplicates=duplicates,
        choices=choices,
        dry_run=dry_run,
        before=before,
    )


def _read(uri: str, experiments: tuple[str, ...], seen: StepsSeen) -> Iterator[Tracked]:
    try:
        from mlflow import MlflowClient
    except ImportError as cause:
        raise DataError("MLflow is not installed", hint="python -m pip install 'heatdrift[mlflow]'") from cause
    file = _file(uri)
    if file is not None and not file.exists():  # MLflow would make it
        raise DataError(
            f"there is no MLflow store at {file}", hint="name a tracking URI: sqlite:///mlflow.db, mlruns, http://..."
        )
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 reads its own folders on request only
    with decoding(lambda said: DataError(f"cannot read MLflow at {uri}: {said}", hint="check the tracking URI")):
        client = MlflowClient(tracking_uri=uri)
        chosen = [e for e in client.search_experiments() if not experiments or e.name in experiments]
        token = None
        while chosen:
            page = client.search_runs(
                [e.experiment_id for e in chosen], max_results=_PAGE, page_token=token, order_by=_OLDEST_FIRST
            )
            for run in page:
                yield _run(client, run, seen)
            token = page.token
            if not token:
                return


def _file(uri: str) -> Path | None:
    """Return the file or folder that a tracking URI names on this machine; None for a server or a database on one."""
    for scheme in ("sqlite:///", "file://"):
        if uri.startswith(scheme):
            return Path(uri.removeprefix(scheme))
    return None if "://" in uri else Path(uri)


def _run(client: "MlflowClient", run: "Run", seen: StepsSeen) -> Tracked:
    whole: dict[str, object] = {f"tags.{name}": value for name, value in run.data.tags.items()}
    whole |= run.data.params
    whole |= {name: getattr(run.info, name) for name in ("run_id", "run_name", "status", "start_time", "end_time")}
    for ours, theirs in ALIASES.items():
        if ours not in whole and theirs in whole:
            whole[ours] = whole[theirs]
    points: list[tuple[int, dict[str, object]]] = []
    final: dict[str, object] = {}
    for name, latest in run.data.metrics.items():
        history = client.get_metric_history(run.info.run_id, name)
        if all(point.step == 0 for point in history):
            final[name] = latest  # MLflow's own rule: the latest one counts
            if len(history) > 1:
                seen.stepless.setdefault(name, len(history))
            continue
        ordered = sorted(history, key=lambda point: point.timestamp)
        points += [(point.step, {name: point.value}) for point in ordered]
    return Tracked(label=f"run {run.info.run_id}", settings=whole, final=final, steps=by_step(points))
