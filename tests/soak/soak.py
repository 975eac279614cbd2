"""Soak of the store: processes train a study of tiny cells while one of them is killed (-9) every few seconds.

``python tests/soak/soak.py FOLDER [--processes 8] [--seeds 10] [--pause 1 4]`` prints one JSON object. It runs
heatdrift's own claims, training, records and ingest; only the loop around them is its own. A reader in another process,
plain DuckDB without heatdrift, queries all the time, and a second connection stays open from the first rows to the end.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # stubs

STUDY = """
name = "soak"
protocol = "leakfree"
backbone = {{ name = "tiny", config = "tiny.json", weights = "tiny.safetensors" }}
[train]
epochs = 1
batch_size = 8
data_seed = 5
[datasets.stripes]
train = "parquet:stripes_train.parquet"
test = "parquet:stripes_test.parquet"
sizes = {{ train = 3, val = 2, probe = 2 }}
[datasets.hues]
train = "parquet:hues_train.parquet"
test = "parquet:hues_test.parquet"
sizes = {{ train = 3, val = 2, probe = 2 }}
[transfer.other]
test = "parquet:other.parquet"
[grid]
dataset = ["stripes", "hues"]
method = ["full_ft", "lora_r8"]
lr = [1e-5, 1e-4, 1e-3, 3e-3, 1e-2]
seed = {seeds}
"""
READER = """
import duckdb, json, os, sys, time
store, out = sys.argv[1:3]
found = dict(queries=0, longest_s=0.0, errors=[], decreased=0, doubled=0, snapshot_kept=True)
seen, held, first = 0, None, None
while not os.path.exists(out + ".stop"):
    if os.path.exists(store):
        start = time.monotonic()
        try:
            with duckdb.connect(store, read_only=True) as connection:
                done, cells, rows = connection.execute(
                    "select count(*) filter (status = 'done'), count(distinct cell_id), count(*) from runs").fetchone()
                connection.execute("select method, lr, avg(value) from layers join runs using (study, cell_id) "
                                   "where metric = 'entropy' group by all").fetchall()
            found["queries"] += 1
            found["decreased"] += done < seen
            found["doubled"] += cells != rows
            seen = max(seen, done)
            if held is None and done:
                held = duckdb.connect(store, read_only=True)
                first = held.execute("select count(*), sum(seed) from runs").fetchone()
        except Exception as error:
            found["errors"].append(repr(error)[:300])
        found["longest_s"] = max(found["longest_s"], time.monotonic() - start)
    time.sleep(0.05)
if held is not None:
    found["snapshot_kept"] = held.execute("select count(*), sum(seed) from runs").fetchone() == first
json.dump(found, open(out, "w"))
"""


def make_inputs(folder: Path, seeds: int) -> None:
    """Write backbone, images and study.toml."""
    from stubs import write_image_parquet, write_tiny_backbone

    folder.mkdir(parents=True)
    write_tiny_backbone(folder)
    for name, classes, per_class, seed in (
        ("stripes_train", 3, 8, 1),
        ("stripes_test", 3, 4, 2),
        ("hues_train", 3, 8, 3),
        ("hues_test", 3, 4, 4),
        ("other", 4, 4, 5),
    ):
        write_image_parquet(folder / f"{name}.parquet", classes=classes, per_class=per_class, size=28, seed=seed)
    (folder / "study.toml").write_text(STUDY.format(seeds=list(range(1, seeds + 1))))


def work(inputs: Path, store: Path, finished: Path, number: int) -> None:
    """Run whatever cell is open until none is; note every cell whose record is written in `finished`."""
    import torch

    from heatdrift.cli.workspace import planned_cells
    from heatdrift.plan.study import load_study
    from heatdrift.records import Provenance
    from heatdrift.store.ingest import ingest
    from heatdrift.train.resources import Resources
    from heatdrift.train.status import cell_states, unfinished
    from heatdrift.train.worker import Task, WorkerSettings, train_task

    torch.set_num_threads(1)
    study = load_study(str(inputs / "study.toml"))
    settings = WorkerSettings(
        study=study,
        store_folder=str(store.parent),
        data_folder=str(inputs),
        device="cpu",
        threads=1,
        provenance=Provenance(host=f"process-{number}"),
    )
    cells = planned_cells(study, inputs)
    resources = Resources.of(study, inputs, torch.device("cpu"))
    order = random.Random(number)
    while True:
        states = cell_states(cells, study=study.name, store_folder=store.parent)
        todo = list(unfinished(states))
        seen = {s.cell.cell_id: s.attempt for s in states}
        if not todo and all(s.status in ("done", "diverged") for s in states):
            return
        for cell in order.sample(todo, min(4, len(todo))):
            ended = train_task(Task(cell=cell, seen=seen[cell.cell_id]), resources, settings, lambda _event: None)
            if ended.status in ("done", "diverged"):
                with finished.open("a") as stream:
                    stream.write(cell.cell_id + "\n")
        ingest(store)
        if not todo:
            time.sleep(0.2)


def soak(folder: Path, *, processes: int, seeds: int, pause: tuple[float, float], seed: int, limit_s: float) -> dict:
    """Run the soak in `folder`, verify, and return what was found."""
    from heatdrift.cli.workspace import planned_cells
    from heatdrift.plan.study import load_study
    from heatdrift.train.status import cell_states

    inputs, store, finished = folder / "inputs", folder / "runs" / "heatdrift.duckdb", folder / "finished.txt"
    make_inputs(inputs, seeds)
    finished.touch()
    cells = planned_cells(load_study(str(inputs / "study.toml")), inputs)
    result = folder / "reader.json"
    reader = subprocess.Popen([sys.executable, "-c", READER, str(store), str(result)])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["heatdrift.train.cell", "heatdrift.train.worker", "heatdrift.store.ingest"])
    draw, number, kills, begun = random.Random(seed), 0, 0, time.monotonic()
    alive: list = []

    def start() -> None:
        nonlocal number
        number += 1
        process = context.Process(target=work, args=(inputs, store, finished, number), daemon=True)
        process.start()
        alive.append(process)

    try:
        for _ in range(processes):
            start()
        while True:
            time.sleep(draw.uniform(*pause))
            states = cell_states(cells, study="soak", store_folder=store.parent)
            if all(s.status in ("done", "diverged") for s in states):
                break
            if time.monotonic() - begun > limit_s:
                raise TimeoutError(f"not finished after {limit_s} s")
            alive = [p for p in alive if p.is_alive()]
            victim = draw.choice(alive)
            os.kill(victim.pid, signal.SIGKILL)
            kills += 1
            alive.remove(victim)
            while len(alive) < processes:
                start()
        wall_s = time.monotonic() - begun
        for process in alive:
            process.join(timeout=60)
    finally:
        for process in alive:
            process.kill()
            process.join()
        Path(f"{result}.stop").touch()
        reader.wait(timeout=60)
    found = json.loads(result.read_text())
    return {
        "cells": len(cells),
        "processes": processes,
        "started": number,
        "kills": kills,
        "wall_s": round(wall_s, 1),
        **{f"reader_{key}": value for key, value in found.items()},
        **verify(store, finished, len(cells)),
    }


def verify(store: Path, finished: Path, n_cells: int) -> dict:
    """Compare what processes said they finished, the records, and the database, and a rebuilt one."""
    from heatdrift.store.check import check_store
    from heatdrift.store.ingest import ingest, rebuild
    from heatdrift.store.sql import run_sql

    ingest(store)
    noted = set(finished.read_text().split())
    done = set(run_sql(store, "select cell_id from runs where status in ('done', 'diverged')")["cell_id"])
    rows = run_sql(store, "select cell_id from runs")["cell_id"]
    overlap = run_sql(
        store,
        "select count(*) n from attempts a join attempts b using (study, cell_id) "
        "where a.attempt < b.attempt and a.started_at < b.finished_at and b.started_at < a.finished_at",
    )["n"][0]
    again = run_sql(
        store,
        "select coalesce(sum(n - 1), 0)::int n from "
        "(select count(*) n from attempts where status in ('done', 'diverged') group by study, cell_id)",
    )["n"][0]
    killed = run_sql(store, "select count(*) n from attempts where status = 'failed'")["n"][0]
    before = run_sql(store, "select * from runs order by cell_id")
    layers = run_sql(store, "select * from layers order by all")
    problems = [f"{f.kind}: {f.what}" for f in check_store(store).findings if f.wrong]
    rebuild(store)
    return {
        "lost": len(noted - done) + n_cells - len(done),
        "doubled": len(rows) - rows.n_unique(),
        "ran_twice_at_once": overlap,
        "trained_again_though_finished": again,
        "killed_attempts_kept": killed,
        "rebuild_equal": before.equals(run_sql(store, "select * from runs order by cell_id"))
        and layers.equals(run_sql(store, "select * from layers order by all")),
        "check_problems": problems,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10, help="20 cells each")
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 4.0), help="seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=1500.0)
    options = parser.parse_args()
    found = soak(
        options.folder,
        processes=options.processes,
        seeds=options.seeds,
        pause=tuple(options.pause),
        seed=options.seed,
        limit_s=options.limit,
    )
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
