"""Stores of several machines that sync with one place, what they hold, and interruptions at random moments.

As a script: one push or sync in a process that ends itself with kill -9 after a number of operations.
"""

import os
import random
import signal
import sys
import threading
from pathlib import Path

import msgspec

from heatdrift.store import files, folder, remote, sync_files, sync_pull
from heatdrift.store.folder import attempt_files, find_cells, read_arrays, read_record, write_arrays, write_record
from heatdrift.store.sync import sync
from heatdrift.store.sync_layout import remote_bytes

OWN_SEEDS = 2  # cells that only one machine has


def store_of(folder):
    return folder / "heatdrift.duckdb"


def put(folder, record, hits=None):
    """Write a run as training does: arrays first."""
    cell = folder / record.study / record.cell_id
    if hits is not None:
        cell.mkdir(parents=True, exist_ok=True)
        write_arrays(cell, "hits", hits)
    write_record(record, folder)
    return cell


def make_machines(root, n, make_record, make_hits):
    """`n` store folders: cells of their own, one that all ran with different results, one with the same results."""
    machines = []
    for number in range(n):
        place = root / f"machine{number}"
        ended = f"2026-01-02T03:{number:02d}:00+00:00"
        for i in range(OWN_SEEDS):
            record = make_record(seed=100 + OWN_SEEDS * number + i, finished_at=ended)
            put(place, record, make_hits(record))
        differing = make_record(seed=7, test_acc_pct=60.0 + number, finished_at=ended)
        put(place, differing, make_hits(differing))
        put(place, make_record(seed=8, finished_at=ended), None)
        machines.append(place)
    return machines


def held(place):
    """What a store folder holds: (study, cell) -> (hash of what counts, hashes of all finished attempts, arrays)."""
    found = {}
    for cell in find_cells(place):
        current = remote_bytes(read_record(cell / "record.json"))[0]
        attempts = [remote_bytes(read_record(path))[0] for path in attempt_files(cell)]
        assert len(attempts) == len(set(attempts)), f"{cell}: an attempt is doubled"
        arrays = {name: values.tolist() for name, values in read_arrays(cell, "hits").items()}
        found[cell.parent.name, cell.name] = (current, frozenset(attempts), msgspec.json.encode(arrays, order="sorted"))
    return found


def union(machines):
    """What every machine must hold in the end: all attempts of all, of each cell the one that finished last."""
    runs = {}
    for place in machines:
        for key, (current, _, arrays) in held(place).items():
            record = read_record(place / key[0] / key[1] / "record.json")
            runs.setdefault(key, {})[current] = (record.finished_at, current, arrays)
    return {key: (max(found.values())[1], frozenset(found), max(found.values())[2]) for key, found in runs.items()}


class Interrupted(BaseException):
    """Stands for the end of a thread: no `except Exception` of the code may catch it."""


def interrupting(function, rng, chance):
    """Make `function` end before or after its work, at random."""

    def wrapped(*arguments, **options):
        if rng.random() < chance:
            raise Interrupted
        result = function(*arguments, **options)
        if rng.random() < chance:
            raise Interrupted
        return result

    return wrapped


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_after(n_operations, rng):
    """End this process with kill -9 before, after or in the middle of its n-th operation on a file or an object."""
    left = [n_operations]

    def counted(function):
        def wrapped(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                moment = rng.choice(("before", "within", "after"))
                if moment == "before":
                    _kill()
                if moment == "within":
                    threading.Timer(0.01 * rng.random(), _kill).start()
                function(*arguments, **options)
                _kill()
            return function(*arguments, **options)

        return wrapped

    for name in ("names", "read", "write"):
        setattr(remote.Remote, name, counted(getattr(remote.Remote, name)))
    for name in ("write_bytes", "create_bytes"):
        replaced = counted(getattr(files, name))
        for module in (files, folder, remote, sync_pull, sync_files):
            if hasattr(module, name):
                setattr(module, name, replaced)


def main():
    """Sync STORE with URL; with N > 0 be killed at the N-th operation."""
    store, url, seed, n_operations = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if n_operations:
        kill_after(n_operations, random.Random(seed))
    report = sync(store, url)
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
