"""Soak of polite ends: a study of tiny cells under signals at random moments, and at the end the undisturbed numbers.

``python tests/soak/signals.py FOLDER [--seeds 5] [--stops 60] [--seed 0]`` prints one JSON object. One command trains
everything undisturbed; another one is started again and again with ``--jobs 2``, and at a random moment gets TERM, USR1
or USR2, alone, with its whole process group, or one of its workers does, now and then twice.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # stubs

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
WITHIN = re.compile(r"interrupted: SIG\w+ in epoch \d+, after step (\d+) of (\d+)")
CLOCKS = "wall_s, started_at, finished_at, record_sha256, attempt, resumed_after"
VIEWS = {view: f"select * from {view} order by all" for view in ("epochs", "layers", "heads", "transfer")} | {
    "runs": f"select * exclude ({CLOCKS}) from runs order by all"
}
STUDY = """
name = "signals"
protocol = "leakfree"
backbone = {{ name = "tiny", config = "tiny.json", weights = "tiny.safetensors" }}
[train]
epochs = 4
batch_size = 1
data_seed = 5
[datasets.stripes]
train = "parquet:stripes_train.parquet"
test = "parquet:stripes_test.parquet"
sizes = {{ train = 8, val = 3, probe = 2 }}
[transfer.other]
test = "parquet:other.parquet"
track = 8
[grid]
dataset = ["stripes"]
method = ["full_ft", "lora_r8", "last_block", "linear_probe"]
lr = [1e-2]
seed = {seeds}
"""


def make_inputs(folder: Path, seeds: int) -> None:
    """Write backbone, images and study.toml."""
    from stubs import write_image_parquet, write_tiny_backbone

    folder.mkdir(parents=True)
    write_tiny_backbone(folder)
    for name, classes, per_class, seed in (("stripes_train", 3, 14, 1), ("stripes_test", 3, 4, 2), ("other", 4, 4, 5)):
        write_image_parquet(folder / f"{name}.parquet", classes=classes, per_class=per_class, size=28, seed=seed)
    (folder / "study.toml").write_text(STUDY.format(seeds=list(range(1, seeds + 1))))


def command(inputs: Path, store: Path, jobs: int) -> list[str]:
    """Return the command that trains what is not finished."""
    words = ["train", "--all", "--study", str(inputs / "study.toml"), "--store", str(store), "--jobs", str(jobs)]
    return [sys.executable, "-m", "heatdrift", *words]


def workers_at(store: Path) -> list[int]:
    """Return the processes that hold a cell now."""
    found = []
    for path in store.parent.rglob("running.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.append(json.loads(path.read_bytes())["pid"])
    return found


def compared(whole: Path, store: Path) -> bool:
    """Return whether a store has the numbers of the undisturbed one, in every measured column and array."""
    from heatdrift.store.sql import run_sql

    rows = all(run_sql(whole, query).equals(run_sql(store, query)) for query in VIEWS.values())
    arrays = {p.relative_to(whole.parent): p.read_bytes() for p in whole.parent.rglob("*.npz")}
    return rows and bool(arrays) and all((store.parent / p).read_bytes() == data for p, data in arrays.items())


def soak(folder: Path, *, seeds: int, stops: int, seed: int, limit_s: float) -> dict:
    """Run the soak in `folder`, which must not exist; after `stops` signals the command runs to its end."""
    from heatdrift.store.check import check_store
    from heatdrift.store.sql import run_sql

    inputs, whole, store = (
        folder / "inputs",
        folder / "whole" / "heatdrift.duckdb",
        folder / "runs" / "heatdrift.duckdb",
    )
    make_inputs(inputs, seeds)
    undisturbed = subprocess.run(command(inputs, whole, 2), capture_output=True, text=True, check=False)
    assert undisturbed.returncode == 0, undisturbed.stderr
    draw, begun = random.Random(seed), time.monotonic()
    codes, aims, kinds = Counter(), Counter(), Counter()
    sent = within = said_twice = rounds = resumed = 0
    equal = True
    while True:
        assert time.monotonic() - begun < limit_s, f"not finished after {limit_s} s: {codes}"
        process = subprocess.Popen(
            command(inputs, store, 2), stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder
        )
        if sent < stops:
            if draw.random() < 0.85:
                while process.poll() is None and not workers_at(store):
                    time.sleep(0.01)
                time.sleep(draw.uniform(0, 1.5))
            else:  # while it plans, or its workers start
                time.sleep(draw.uniform(0.3, 2))
            number, aim = draw.choice(SIGNALS), draw.choice(("parent", "parent", "group", "worker"))
            with contextlib.suppress(ProcessLookupError):
                if aim == "worker":
                    working = workers_at(store)
                    if working:
                        os.kill(draw.choice(working), number)
                elif aim == "group":
                    os.killpg(process.pid, number)
                else:
                    process.send_signal(number)
                sent += 1
                aims[aim] += 1
                kinds[number.name] += 1
                if draw.random() < 0.1:
                    time.sleep(1.1)
                    process.send_signal(draw.choice(SIGNALS))
                    said_twice += 1
        _, said = process.communicate(timeout=limit_s)
        codes[process.returncode] += 1
        within += sum(0 < int(step) < int(steps) for step, steps in WITHIN.findall(said))
        if process.returncode not in (0, 75) and process.returncode not in [-number for number in SIGNALS]:
            raise AssertionError(f"exit code {process.returncode}:\n{said}")
        leftovers = [str(path) for path in store.parent.rglob("running.json")]
        assert not leftovers, f"claims after exit code {process.returncode}: {leftovers}"
        if process.returncode == 0:
            rounds += 1
            equal &= compared(whole, store)
            resumed += int(run_sql(store, "select count(*) n from runs where resumed_after is not null")["n"][0])
            if sent >= stops:
                break
            # finished before all signals were sent: once more from the beginning
            for path in store.parent.rglob("record.json"):
                for kept in (path, *path.parent.glob("attempts/*.json")):
                    kept.unlink()
            store.unlink()
    return {
        "cells": 4 * seeds,
        "signals": sent,
        "of_them_twice": said_twice,
        "to": dict(aims),
        "kinds": dict(kinds),
        "exit_codes": {str(code): n for code, n in sorted(codes.items())},
        "cells_left_within_an_epoch": within,
        "wall_s": round(time.monotonic() - begun, 1),
        "rounds": rounds,
        "equal": equal,
        "failed_attempts": int(run_sql(store, "select count(*) n from attempts where status = 'failed'")["n"][0]),
        "resumed_runs": resumed,
        "left_over": [p.name for p in store.parent.rglob("*") if p.name.endswith((".tmp", "running.json", ".pt"))],
        "check_problems": [f"{f.kind}: {f.what}" for f in check_store(store).findings if f.wrong],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="4 cells each")
    parser.add_argument("--stops", type=int, default=60, help="signals to send")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3000.0)
    options = parser.parse_args()
    found = soak(options.folder, seeds=options.seeds, stops=options.stops, seed=options.seed, limit_s=options.limit)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
