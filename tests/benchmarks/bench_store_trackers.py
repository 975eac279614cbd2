"""The store beside MLflow (SQLite) and trackio on the same runs: write all, then read the seed-averaged table.

80 runs x 6 epochs x 12 layers x 8 metrics. Each tool writes through its own client, one process, one run after the
other (heatdrift a record per run, the others every epoch), and reads by its own way to a table: heatdrift by SQL on
`layers`, MLflow by search_runs, trackio by its SQLite storage class. `python tests/benchmarks/bench_store_trackers.py
FOLDER` in an environment that has all three prints one JSON object with seconds and ratios to heatdrift.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

METRICS = ("entropy", "erf95", "gini", "cls_self_mass", "head_diversity", "patch_entropy", "cka", "cka_debiased")
LAYERS, EPOCHS = 12, 6
GRID = tuple(product(("shapes", "surfaces"), ("full_ft", "lora_r8"), (1e-6, 1e-5, 1e-4, 1e-3), (7, 11, 19, 42, 123)))
Key = tuple[str, str, float, str, int]


def value(number: int, epoch: int, layer: int, metric: int) -> float:
    """Return the value of one measurement, by formula."""
    return 0.1 + ((number * 31 + epoch * 7 + layer * 3 + metric) % 97) / 120


def points(number: int, epoch: int) -> dict[str, float]:
    """Return what one epoch of a run measures, flat."""
    return {f"{m}/{i}": value(number, epoch, i, j) for j, m in enumerate(METRICS) for i in range(LAYERS)}


def averaged(rows: Iterator[tuple[int, int, str, float]]) -> dict[Key, float]:
    """Average over seeds: (run, epoch, "metric/layer", value) -> the last epoch's mean by group, metric and layer."""
    sums: dict[Key, list[float]] = defaultdict(list)
    for number, epoch, name, found in rows:
        if epoch == EPOCHS:
            metric, _, layer = name.partition("/")
            sums[(*GRID[number][:3], metric, int(layer))].append(found)
    return {key: sum(values) / len(values) for key, values in sums.items()}


def heatdrift_write(folder: Path) -> None:
    """One record per run, then one ingest."""
    from heatdrift.methods import METHODS
    from heatdrift.records import Cell, EpochRecord, RunRecord
    from heatdrift.store.folder import write_record
    from heatdrift.store.ingest import ingest

    for number, (dataset, method, lr, seed) in enumerate(GRID):
        cell = Cell(
            backbone="lab",
            backbone_sha256=None,
            dataset=dataset,
            data_sha256=None,
            protocol="leakfree",
            method=method,
            method_spec=METHODS[method],
            lr=lr,
            seed=seed,
            recipe=None,
        )
        epochs = tuple(
            EpochRecord(
                epoch=e,
                layers={m: tuple(value(number, e, i, j) for i in range(LAYERS)) for j, m in enumerate(METRICS)},
            )
            for e in range(1, EPOCHS + 1)
        )
        record = RunRecord(
            study="bench", cell_id=cell.cell_id, status="done", cell=cell, epochs=epochs, selected_epoch=EPOCHS
        )
        write_record(record, folder / "heatdrift")
    ingest(folder / "heatdrift" / "heatdrift.duckdb")


def heatdrift_read(folder: Path) -> dict[Key, float]:
    """One query."""
    from heatdrift.store.sql import run_sql

    frame = run_sql(
        folder / "heatdrift" / "heatdrift.duckdb",
        "SELECT dataset, method, lr, metric, layer, avg(value) FROM layers JOIN runs USING (study, cell_id) "
        "WHERE epoch = selected_epoch GROUP BY ALL",
    )
    return {row[:5]: row[5] for row in frame.iter_rows()}


def _mlflow_client(folder: Path):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")


def mlflow_write(folder: Path) -> None:
    """One log_batch per epoch: the fastest that MLflow's client offers."""
    from mlflow.entities import Metric, Param

    client = _mlflow_client(folder)
    experiment = client.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    for number, (dataset, method, lr, seed) in enumerate(GRID):
        run_id = client.create_run(experiment).info.run_id
        config = {"number": number, "dataset": dataset, "method": method, "lr": lr, "seed": seed}
        client.log_batch(run_id, params=[Param(k, str(v)) for k, v in config.items()])
        for e in range(1, EPOCHS + 1):
            now = int(time.time() * 1000)
            client.log_batch(run_id, metrics=[Metric(k, v, now, e) for k, v in points(number, e).items()])
        client.set_terminated(run_id)


def mlflow_read(folder: Path) -> dict[Key, float]:
    """search_runs: the last value of every metric of every run."""
    client = _mlflow_client(folder)
    experiment = client.get_experiment_by_name("bench").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    return averaged(
        (int(run.data.params["number"]), EPOCHS, name, found)
        for run in runs
        for name, found in run.data.metrics.items()
    )


def trackio_write(folder: Path) -> None:
    """init, log per epoch, finish."""
    import trackio

    for number, (dataset, method, lr, seed) in enumerate(GRID):
        config = {"number": number, "dataset": dataset, "method": method, "lr": lr, "seed": seed}
        run = trackio.init(project="bench", name=f"run{number}", config=config, embed=False)
        for e in range(1, EPOCHS + 1):
            trackio.log(points(number, e), step=e)
        trackio.finish()
        del run


def trackio_read(folder: Path) -> dict[Key, float]:
    """Read the logs of every run from trackio's own storage class."""
    from trackio.sqlite_storage import SQLiteStorage

    def rows() -> Iterator[tuple[int, int, str, float]]:
        for name in SQLiteStorage.get_runs("bench"):
            number = int(name.removeprefix("run"))
            for log in SQLiteStorage.get_logs("bench", name):
                for key, found in log.items():
                    if "/" in key:
                        yield number, int(log["step"]), key, found

    return averaged(rows())


TOOLS: dict[str, tuple[Callable[[Path], None], Callable[[Path], dict[Key, float]]]] = {
    "heatdrift": (heatdrift_write, heatdrift_read),
    "mlflow": (mlflow_write, mlflow_read),
    "trackio": (trackio_write, trackio_read),
}


def main(folder: Path) -> dict[str, object]:
    """Run all tools one after the other and compare the tables that they give."""
    folder.mkdir(parents=True)
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    found: dict[str, dict[str, float]] = {}
    tables: dict[str, dict[Key, float]] = {}
    for tool, (write, read) in TOOLS.items():
        start = time.perf_counter()
        write(folder)
        written = time.perf_counter()
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            tables[tool] = read(folder)
            times.append(time.perf_counter() - begun)
        found[tool] = {"write_s": round(written - start, 2), "read_s": round(min(times), 4)}
    ours = found["heatdrift"]
    for tool, numbers in found.items():
        for step in ("write", "read"):
            numbers[f"{step}_ratio"] = round(numbers[f"{step}_s"] / ours[f"{step}_s"], 1)
        table, truth = tables[tool], tables["heatdrift"]
        numbers["same_table"] = set(table) == set(truth) and all(abs(table[k] - truth[k]) < 1e-9 for k in truth)
    return {"runs": len(GRID), "measurements": len(GRID) * EPOCHS * LAYERS * len(METRICS), **found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    sys.stdout.write(json.dumps(main(parser.parse_args().folder), indent=2) + "\n")
