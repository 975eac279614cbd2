"""Soak of records, claims and ingest without training: many more kills (-9) in a minute than ``soak.py`` can do.

``python tests/soak/records.py FOLDER [--kills 1000] [--processes 4] [--pause 0.02 0.2]`` prints one JSON object.
Processes claim a cell, write its record and arrays, give it back and ingest, all by heatdrift's own functions; nothing
is trained, so that most of their time goes into what a kill could break. One of them is killed after every pause and
replaced. The records are those of the study that comes with the clone, with other seeds.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

STUDY = "records"
RECORDS = Path(__file__).resolve().parents[2] / "runs" / "mini"
WINDOW = 12  # cells that all processes want at the same time


def template():
    """Return a finished run whose record is small."""
    import msgspec

    from heatdrift.store.folder import read_record

    record = read_record(sorted(RECORDS.glob("*/record.json"))[0])
    return msgspec.structs.replace(record, study=STUDY, epochs=record.epochs[:2], selected_epoch=1)


def work(store: Path, finished: Path, stop: Path, number: int) -> None:
    """Write records of whatever cell is open until `stop` is there; note each that is written in `finished`."""
    import msgspec
    import numpy as np

    from heatdrift.store.claims import claim
    from heatdrift.store.folder import cell_folder, count_attempts, restore_record, write_arrays, write_record
    from heatdrift.store.ingest import ingest

    record, draw, written, first = template(), random.Random(number), 0, 0
    while not stop.exists():
        cells = []
        for seed in range(first, first + 100_000):
            cell = msgspec.structs.replace(record.cell, seed=seed)
            folder = cell_folder(store.parent, STUDY, cell.cell_id)
            if not (folder / "record.json").exists():
                cells.append((cell, folder))
            elif not cells:
                first = seed
            if len(cells) == WINDOW:
                break
        cell, folder = draw.choice(cells)
        attempts = count_attempts(folder)
        held = claim(folder, cell, attempts=attempts)
        if held is None:
            continue
        with held, held.beating():
            restore_record(folder)
            if (folder / "record.json").exists():
                continue
            write_arrays(folder, "hits", {"other": np.arange(50) % 2 == 0})
            write_record(msgspec.structs.replace(record, cell=cell, cell_id=cell.cell_id), store.parent)
        with finished.open("a") as stream:
            stream.write(cell.cell_id + "\n")
        written += 1
        if written % 3 == 0:
            ingest(store)


def soak(folder: Path, *, kills: int, processes: int, pause: tuple[float, float], seed: int, limit_s: float) -> dict:
    """Kill `kills` processes, or as many as `limit_s` seconds allow, and return what was found afterwards."""
    store, finished, stop = folder / "runs" / "heatdrift.duckdb", folder / "finished.txt", folder / "stop"
    store.parent.mkdir(parents=True)
    finished.touch()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["heatdrift.store.ingest", "heatdrift.store.folder", "heatdrift.store.claims"])
    draw, number, killed, begun = random.Random(seed), 0, 0, time.monotonic()
    claimed = making = 0
    alive: list = []
    try:
        while killed < kills and time.monotonic() - begun < limit_s:
            while len(alive) < processes:
                number += 1
                process = context.Process(target=work, args=(store, finished, stop, number), daemon=True)
                process.start()
                alive.append(process)
            time.sleep(draw.uniform(*pause))
            victim = draw.choice(alive)
            assert victim.is_alive(), f"a process ended by itself with {victim.exitcode}"
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            alive.remove(victim)
            killed += 1
            claimed += victim.pid in holders(store.parent)
        making = sum(1 for _ in store.parent.rglob(".*.tmp*"))
        stop.touch()
        for process in alive:
            process.join(timeout=120)
    finally:
        for process in alive:
            process.kill()
            process.join()
    facts = {"kills": killed, "holding_a_cell": claimed, "files_left_in_the_making": making, "started": number}
    return facts | {"wall_s": round(time.monotonic() - begun, 1)} | verify(store, finished)


def holders(store_folder: Path) -> set[int]:
    """Return the processes named by claims."""
    found = set()
    for path in store_folder.glob("*/*/running.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.add(json.loads(path.read_bytes())["pid"])
    return found


def verify(store: Path, finished: Path) -> dict:
    """Compare what processes said they wrote with the database, the records, and a rebuilt database."""
    from heatdrift.store.check import check_store
    from heatdrift.store.ingest import ingest, rebuild
    from heatdrift.store.sql import run_sql

    ingest(store)
    noted = finished.read_text().split()
    rows = run_sql(store, "select cell_id from runs where status = 'done'")["cell_id"]
    again = "select count(*) n from attempts where status = 'done' group by study, cell_id having n > 1"
    before = run_sql(store, "select * from runs order by cell_id")
    problems = [f"{f.kind}: {f.what}" for f in check_store(store).findings if f.wrong]
    rebuild(store)
    return {
        "records": len(noted),
        "lost": len(set(noted) - set(rows)),
        "doubled": len(rows) - rows.n_unique() + len(noted) - len(set(noted)),
        "written_again_though_finished": run_sql(store, again).height,
        "stuck": len(list(store.parent.glob("*/*/running.json"))),
        "killed_attempts_kept": run_sql(store, "select count(*) n from attempts where status = 'failed'")["n"][0],
        "rebuild_equal": before.equals(run_sql(store, "select * from runs order by cell_id")),
        "check_problems": problems,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--pause", type=float, nargs=2, default=(0.02, 0.2), help="seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which no more are killed")
    o = parser.parse_args()
    found = soak(o.folder, kills=o.kills, processes=o.processes, pause=tuple(o.pause), seed=o.seed, limit_s=o.limit)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
