"""Import of MLflow runs through its own client (extra `mlflow`), so every kind of tracking URI works.

Of a run, params and tags (as ``tags.<name>``) are of the whole run; a metric gives one row per step, steps being
epochs; a metric logged once gives the value of the run. Names go through the same column map as tables. MLflow's own
facts have the names ``run_id``, ``run_name``, ``status``, ``start_time``, ``end_time``.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import ColumnMap
from heatdrift.store.importers.duplicates import Rule
from heatdrift.store.importers.flat import FlatRun, import_flat
from heatdrift.store.importers.outcome import ImportReport

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


def import_mlflow(
    uri: str,
    columns: ColumnMap,
    *,
    store_folder: Path,
    study: str,
    experiments: tuple[str, ...] = (),
    duplicates: Rule = "refuse",
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
    runs = _read(uri, experiments)
    return import_flat(
        runs, columns, source=Path(uri), store_folder=store_folder, study=study, origin="mlflow", duplicates=duplicates
    )


def _read(uri: str, experiments: tuple[str, ...]) -> Iterator[FlatRun]:
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
            page = client.search_runs([e.experiment_id for e in chosen], max_results=_PAGE, page_token=token)
            for run in page:
                yield FlatRun(label=f"run {run.info.run_id}", rows=tuple(_rows(client, run)))
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


def _rows(client: "MlflowClient", run: "Run") -> Iterator[dict[str, object]]:
    whole: dict[str, object] = {f"tags.{name}": value for name, value in run.data.tags.items()}
    whole |= run.data.params
    whole |= {name: getattr(run.info, name) for name in ("run_id", "run_name", "status", "start_time", "end_time")}
    for ours, theirs in ALIASES.items():
        if ours not in whole and theirs in whole:
            whole[ours] = whole[theirs]
    steps: dict[tuple[int, int], dict[str, object]] = {}  # step, and which time it was logged
    for name in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, name)
        if len(history) == 1 and history[0].step == 0:
            whole[name] = history[0].value
        else:
            times: dict[int, int] = {}
            for point in sorted(history, key=lambda point: point.timestamp):
                times[point.step] = times.get(point.step, -1) + 1
                steps.setdefault((point.step, times[point.step]), {})[name] = point.value
    if not steps:
        yield whole
    for (step, _), values in sorted(steps.items()):
        yield whole | values | {"epoch": step}
